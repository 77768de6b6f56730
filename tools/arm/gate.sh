#!/bin/bash
# Cross-build what tools/arm/gate.py counts, and count it: `make arm-gate`, `make arm-baseline`. Debian only.
# usage: gate.sh CHECKOUT [arguments of gate.py]
set -euo pipefail
checkout=$(realpath "$1")
shift
cd "$checkout"
build=$checkout/build/arm-gate
. tools/target/environment.sh
target_environment
CMAKE_TOOLCHAIN_FILE=$checkout/tools/target/toolchain.cmake "$targets/venv/bin/cmake" -S . -B "$build" -G Ninja \
  -DCMAKE_MAKE_PROGRAM="$targets/venv/bin/ninja" -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_COUNTED=ON \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O3 -DNDEBUG" --log-level=WARNING >/dev/null
"$targets/venv/bin/cmake" --build "$build" --target counted -- --quiet
"$python" tools/arm/gate.py "$build" "$@"
