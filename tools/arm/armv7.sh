#!/bin/bash
# Build the rooms without Python and MNN for 32-bit ARM and run their tests, on the fake engine, under emulation.
# usage: armv7.sh CHECKOUT; Debian only.
set -euo pipefail
checkout=$(realpath "$1")
cd "$checkout"
build=$checkout/build/armv7
. tools/target/environment.sh
install_packages tools/apt-arm.txt
install_packages tools/apt-armv7.txt
unpack "$(dpkg --print-architecture)" trixie "$targets/qemu" qemu-user
triplet=arm-linux-gnueabihf
cmake -S . -B "$build" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=armv7l -DCMAKE_C_COMPILER=$triplet-gcc \
  -DCMAKE_CXX_COMPILER=$triplet-g++ -DCMAKE_CROSSCOMPILING_EMULATOR="$targets/qemu/usr/bin/qemu-arm;-L;/usr/$triplet" \
  -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_DEV=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-g -O1" --log-level=WARNING
cmake --build "$build" -- --quiet
readelf -h "$build/tests/cpp/test_task" | grep -E 'Class|Machine'
ctest --test-dir "$build" --output-on-failure
