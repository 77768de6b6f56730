# What every script here needs: host packages, the arm64 root, the emulator, the emulated interpreter, aarch64 packages.
# Sourced with `checkout` set. Gives: work, python, qemu, suite, abi, say; exports ARM_ROOT, ARM_PYTHON, ARM_QEMU.
work=$checkout/build/arm
python=${PYTHON:-python3}
suite=${ARM_SUITE:-bookworm}
export ARM_PYTHON_VERSION=${ARM_PYTHON_VERSION:-3.11} ARM_ROOT=$work/root ARM_PYTHON=$work/python
export ARM_QEMU=$work/qemu/usr/bin/qemu-aarch64
abi=cp${ARM_PYTHON_VERSION/./}
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
mkdir -p "$work"

# install_packages LIST: Debian packages of a list that are not there are installed by root, and named to others.
install_packages() {
  local missing
  missing=$(xargs -a "$1" dpkg-query -W -f '${Status} ${Package}\n' 2>&1 | grep -v ' installed ' || true)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "apt install $(tr '\n' ' ' <"$1")" >&2
    return 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive xargs -a "$1" apt-get install -y -qq --no-install-recommends >/dev/null
  say "host packages of $1"
}

arm_environment() {
  local host
  host=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  [ "$host" = "$ARM_PYTHON_VERSION" ] ||
    { echo "$python is $host, the $suite root has $ARM_PYTHON_VERSION: a cross build needs the same; set PYTHON" >&2; return 1; }
  install_packages tools/apt-arm.txt

  if [ ! -e "$work/.root" ]; then
    rm -rf "$ARM_ROOT"
    # Unpacks only: no maintainer script runs, so nothing needs emulation.
    mmdebstrap -q --variant=extract --architectures=arm64 \
      --include="python$ARM_PYTHON_VERSION,libpython$ARM_PYTHON_VERSION-dev,libc6-dev,libstdc++6,libgomp1,doctest-dev" "$suite" "$ARM_ROOT"
    [ -e "$ARM_ROOT/lib" ] || ln -s usr/lib "$ARM_ROOT/lib"
    touch "$work/.root"
    say "arm64 root: $(du -sh "$ARM_ROOT" | cut -f1)"
  fi

  # qemu 10, whatever the host has: under 7.2 ONNX Runtime and LiteRT crash. The program is static, so it runs anywhere.
  if [ ! -x "$ARM_QEMU" ]; then
    rm -rf "$work/qemu"
    mmdebstrap -q --variant=extract --include=qemu-user trixie "$work/qemu"
    say "$("$ARM_QEMU" --version | head -n 1)"
  fi

  # The emulated interpreter. sitecustomize makes its children start through it as well.
  cat >"$ARM_PYTHON" <<SH
#!/bin/sh
export ARM_PYTHON="$ARM_PYTHON"
exec "\${ARM_EMULATOR:-$ARM_QEMU}" \${ARM_EMULATOR_ARGS:-} -cpu "\${ARM_CPU:-max}" -L "$ARM_ROOT" \\
  -E PYTHONPATH="$work/wheel:$checkout/tools/arm:$work/site\${PYTHONPATH:+:\$PYTHONPATH}" \\
  "$ARM_ROOT/usr/bin/python$ARM_PYTHON_VERSION" "\$@"
SH
  chmod +x "$ARM_PYTHON"

  local wanted
  wanted=$(cat pyproject.toml tools/constraints.txt | sha256sum)
  if [ "$wanted" != "$(cat "$work/.site" 2>/dev/null)" ]; then
    [ -x "$work/venv/bin/python" ] || "$python" -m venv "$work/venv"
    local pip=("$work/venv/bin/python" -m pip --disable-pip-version-check -qq) platforms=()
    "${pip[@]}" install -U "pip>=25.1"
    "${pip[@]}" install -c tools/constraints.txt --group build --group arm
    rm -rf "$work/site"
    for tag in manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_34; do platforms+=(--platform "${tag}_aarch64"); done
    "${pip[@]}" install --target "$work/site" --only-binary=:all: --implementation cp --python-version "$ARM_PYTHON_VERSION" \
      --abi "$abi" --abi abi3 --abi none "${platforms[@]}" -c tools/constraints.txt --group test numpy MNN
    echo "$wanted" >"$work/.site"
    say "aarch64 packages: $(du -sh "$work/site" | cut -f1)"
  fi
}

# The wheel for the arm64 root, repaired and unpacked in $work/wheel; built again only if sources are newer.
arm_wheel() {
  if [ -e "$work/.wheel" ] && [ -z "$(find CMakeLists.txt pyproject.toml csrc cmake mnnlite third_party -newer "$work/.wheel" -type f ! -name '*.pyc' -print -quit)" ]; then
    return 0
  fi
  rm -rf "$work/dist" "$work/raw" "$work/wheel"
  # Without the second and third variable the build succeeds and names an aarch64 library x86_64.
  CMAKE_TOOLCHAIN_FILE=$checkout/tools/arm/aarch64.cmake \
    _PYTHON_HOST_PLATFORM=linux-aarch64 SETUPTOOLS_EXT_SUFFIX=.cpython-${ARM_PYTHON_VERSION/./}-aarch64-linux-gnu.so \
    "$work/venv/bin/python" -m pip --disable-pip-version-check -qq wheel --no-build-isolation --no-deps \
    -Ccmake.define.MNNLITE_DEV=ON -Ccmake.define.MNNLITE_ENGINE="$(echo "$work"/site/_mnncengine*.so)" \
    -Cbuild-dir="$work/build" -w "$work/raw" .
  PATH=$work/venv/bin:$PATH "$work/venv/bin/auditwheel" repair --ldpaths \
    "$ARM_ROOT/usr/lib/aarch64-linux-gnu:$ARM_ROOT/lib/aarch64-linux-gnu" -w "$work/dist" "$work"/raw/*.whl >/dev/null 2>&1
  "$work/venv/bin/python" tools/arm/check_wheel.py "$work"/dist/*.whl
  "$work/venv/bin/python" -m zipfile -e "$work"/dist/*.whl "$work/wheel"
  touch "$work/.wheel"
  say "wheel"
}

# The C++ tests of the rooms in $work/cpp.
arm_cpp() {
  CMAKE_TOOLCHAIN_FILE=$checkout/tools/arm/aarch64.cmake \
    cmake -S . -B "$work/cpp" -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_DEV=ON --log-level=WARNING
  cmake --build "$work/cpp" -- -s >/dev/null
  say "C++ tests built"
}
