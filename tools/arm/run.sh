#!/bin/bash
# Cross-build the aarch64 wheel and run the tests with it under emulation: no container, no binfmt, no ARM machine.
# usage: run.sh CHECKOUT [pytest arguments]; the host's Python must have the root's minor version. Debian only.
set -euo pipefail
checkout=$(realpath "$1")
shift
cd "$checkout"
work=$checkout/build/arm
python=${PYTHON:-python3}
suite=${ARM_SUITE:-bookworm}
export ARM_PYTHON_VERSION=${ARM_PYTHON_VERSION:-3.11} ARM_ROOT=$work/root ARM_PYTHON=$work/python
abi=cp${ARM_PYTHON_VERSION/./}
cpus=${ARM_CPUS:-cortex-a72 max}
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
mkdir -p "$work"

host=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$host" = "$ARM_PYTHON_VERSION" ] ||
  { echo "$python is $host, the $suite root has $ARM_PYTHON_VERSION: a cross build needs the same; set PYTHON" >&2; exit 1; }

missing=$(xargs -a tools/apt-arm.txt dpkg-query -W -f '${Status} ${Package}\n' 2>&1 | grep -v ' installed ' || true)
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "apt install $(tr '\n' ' ' <tools/apt-arm.txt)" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  xargs -a tools/apt-arm.txt apt-get install -y -qq --no-install-recommends >/dev/null
  say "host packages"
fi

if [ ! -e "$work/.root" ]; then
  rm -rf "$ARM_ROOT"
  # Unpacks only: no maintainer script runs, so nothing needs emulation.
  mmdebstrap -q --variant=extract --architectures=arm64 \
    --include="python$ARM_PYTHON_VERSION,libpython$ARM_PYTHON_VERSION-dev,libc6-dev,libstdc++6,libgomp1,doctest-dev" "$suite" "$ARM_ROOT"
  [ -e "$ARM_ROOT/lib" ] || ln -s usr/lib "$ARM_ROOT/lib"
  touch "$work/.root"
  say "arm64 root: $(du -sh "$ARM_ROOT" | cut -f1)"
fi

# The emulated interpreter. sitecustomize makes its children start through it as well.
cat >"$ARM_PYTHON" <<SH
#!/bin/sh
export ARM_PYTHON="$ARM_PYTHON"
exec qemu-aarch64-static -cpu "\${ARM_CPU:-max}" -L "$ARM_ROOT" \\
  -E PYTHONPATH="$work/wheel:$checkout/tools/arm:$work/site\${PYTHONPATH:+:\$PYTHONPATH}" \\
  "$ARM_ROOT/usr/bin/python$ARM_PYTHON_VERSION" "\$@"
SH
chmod +x "$ARM_PYTHON"

if [ ! -e "$work/.site" ] || [ pyproject.toml -nt "$work/.site" ] || [ tools/constraints.txt -nt "$work/.site" ]; then
  [ -x "$work/venv/bin/python" ] || "$python" -m venv "$work/venv"
  pip=("$work/venv/bin/python" -m pip --disable-pip-version-check -qq)
  "${pip[@]}" install -U "pip>=25.1"
  "${pip[@]}" install -c tools/constraints.txt --group build --group arm
  rm -rf "$work/site"
  platforms=()
  for tag in manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_34; do platforms+=(--platform "${tag}_aarch64"); done
  "${pip[@]}" install --target "$work/site" --only-binary=:all: --implementation cp --python-version "$ARM_PYTHON_VERSION" \
    --abi "$abi" --abi abi3 --abi none "${platforms[@]}" -c tools/constraints.txt --group test numpy MNN
  rm -rf "$work/site/onnxruntime"* # crashes under emulation as soon as it is imported
  touch "$work/.site"
  say "aarch64 packages: $(du -sh "$work/site" | cut -f1)"
fi

rm -rf "$work/dist" "$work/raw" "$work/wheel"
export CMAKE_TOOLCHAIN_FILE=$checkout/tools/arm/aarch64.cmake
suffix=.cpython-${ARM_PYTHON_VERSION/./}-aarch64-linux-gnu.so
# Without these two the build succeeds and names an aarch64 library x86_64.
_PYTHON_HOST_PLATFORM=linux-aarch64 SETUPTOOLS_EXT_SUFFIX=$suffix \
  "$work/venv/bin/python" -m pip --disable-pip-version-check -qq wheel --no-build-isolation --no-deps \
  -Ccmake.define.MNNLITE_DEV=ON -Ccmake.define.MNNLITE_ENGINE="$(echo "$work"/site/_mnncengine*.so)" \
  -Cbuild-dir="$work/build" -w "$work/raw" .
PATH=$work/venv/bin:$PATH "$work/venv/bin/auditwheel" repair --ldpaths \
  "$ARM_ROOT/usr/lib/aarch64-linux-gnu:$ARM_ROOT/lib/aarch64-linux-gnu" -w "$work/dist" "$work"/raw/*.whl >/dev/null 2>&1
"$work/venv/bin/python" tools/arm/check_wheel.py "$work"/dist/*.whl
"$work/venv/bin/python" -m zipfile -e "$work"/dist/*.whl "$work/wheel"
say "wheel"

# The C++ tests of the rooms, then the suite. What reads build products or compiles for the host stays out, and the
# command line, which starts an interpreter a test: minutes of emulation for nothing that is of this CPU.
cmake -S . -B "$work/cpp" -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_DEV=ON --log-level=WARNING
cmake --build "$work/cpp" -- -s >/dev/null
rm -rf "$work/suite"
mkdir "$work/suite"
cp -r pyproject.toml tests "$work/suite/"
cd "$work/suite"
unset CMAKE_TOOLCHAIN_FILE
failed=
for cpu in $cpus; do
  export ARM_CPU=$cpu QEMU_CPU=$cpu
  ctest --test-dir "$work/cpp" --output-on-failure -Q || failed="$failed, C++ tests on $cpu"
  say "$cpu: C++ tests"
  "$ARM_PYTHON" -m pytest -q -p no:cacheprovider -o faulthandler_timeout=1200 \
    --ignore=tests/package/test_wheel.py --ignore=tests/package/test_engine_found.py --ignore=tests/package/test_layers.py \
    --ignore=tests/test_cli.py --durations=15 \
    "$@" || failed="$failed, Python suite on $cpu"
  say "$cpu: Python suite"
done
[ -z "$failed" ] || { echo "failed: ${failed#, }" >&2; exit 1; }
