# A target to build wheels for and to run them on, on this machine: a Debian root with the target's Python, the packages of
# the wheel's tests, and a wrapper that starts that Python (aarch64 under qemu, x86_64 by the root's own loader).
# Sourced with `checkout` set, and if wanted TARGET_MACHINE (aarch64), TARGET_PYTHON_VERSION (3.11) and `work`.
# Gives: work, python, abi, say; exports TARGET_ROOT, TARGET_PYTHON, TARGET_RUN. Debian only.
export TARGET_MACHINE=${TARGET_MACHINE:-aarch64} TARGET_PYTHON_VERSION=${TARGET_PYTHON_VERSION:-3.11}
python=${PYTHON:-python3}
abi=cp${TARGET_PYTHON_VERSION/./}
targets=$checkout/build/targets          # what several targets have together
work=${work:-$targets/$TARGET_MACHINE-$TARGET_PYTHON_VERSION}
export TARGET_ROOT=$work/root TARGET_PYTHON=$work/python TARGET_HEADERS=$work/headers
export TARGET_LINK_ROOT=$targets/link-$TARGET_MACHINE
case $TARGET_PYTHON_VERSION in
  3.11) suite=bookworm ;;
  3.13) suite=trixie ;;
  3.14) suite=sid ;;
  *) echo "no Debian suite is known to have Python $TARGET_PYTHON_VERSION for both machines: 3.11, 3.13 or 3.14" >&2; exit 2 ;;
esac
link_suite=bullseye  # glibc 2.31 and libstdc++ 10: what a wheel built here demands of a device
case $TARGET_MACHINE in
  aarch64) debian=arm64 ;;
  x86_64) debian=amd64 ;;
  *) echo "TARGET_MACHINE is $TARGET_MACHINE: aarch64 or x86_64" >&2; exit 2 ;;
esac
qemu=$targets/qemu/usr/bin/qemu-$TARGET_MACHINE
triplet=$TARGET_MACHINE-linux-gnu
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
mkdir -p "$targets" "$work"

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

# debian_mirror: the one that this machine's own packages come from.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | awk '$2 !~ /-/ { print $1; exit }'
}

# unpack ARCHITECTURE SUITE FOLDER PACKAGES: no maintainer script runs, so nothing needs emulation.
unpack() {
  [ ! -e "$3.done" ] || return 0
  local mirror
  mirror=$(debian_mirror)
  rm -rf "$3"
  # A mirror may stand still: signatures are checked, the day until which a suite's list is to be believed is not.
  mmdebstrap -q --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' --architectures="$1" --include="$4" "$2" "$3" "deb $mirror $2 main"
  # A link that begins at the root would leave this one, and a linker that misses libpthread.so takes libpthread.a.
  find "$3" -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do ln -sfn "$3$target" "$link"; done
  [ -e "$3/lib" ] || ln -s usr/lib "$3/lib"
  [ -e "$3/lib64" ] || [ ! -e "$3/usr/lib64" ] || ln -s usr/lib64 "$3/lib64"
  touch "$3.done"
  say "$3: $2 for $1, $(du -sh "$3" | cut -f1)"
}

target_environment() {
  install_packages tools/apt-arm.txt
  unpack "$debian" "$suite" "$TARGET_ROOT" "python$TARGET_PYTHON_VERSION,libpython$TARGET_PYTHON_VERSION-dev,libc6,libstdc++6,libgomp1,doctest-dev"
  unpack "$debian" "$link_suite" "$TARGET_LINK_ROOT" "libc6-dev,libstdc++-10-dev,libgomp1"
  rm -rf "$TARGET_ROOT/dev"  # the guest sees this machine's: /dev/shm lies in memory, a folder in the root does not
  # Headers of Python and doctest alone: beside them lie those of a newer C library.
  if [ ! -e "$TARGET_HEADERS" ]; then
    mkdir -p "$TARGET_HEADERS/$triplet"
    cp -r "$TARGET_ROOT/usr/include/python$TARGET_PYTHON_VERSION" "$TARGET_ROOT/usr/include/doctest" "$TARGET_HEADERS/"
    cp -r "$TARGET_ROOT/usr/include/$triplet/python$TARGET_PYTHON_VERSION" "$TARGET_HEADERS/$triplet/"
  fi

  local start
  # The wrapper. sitecustomize makes its children start through it as well.
  if [ "$TARGET_MACHINE" = x86_64 ] && [ "$(uname -m)" = x86_64 ]; then
    export TARGET_RUN="$TARGET_ROOT/lib64/ld-linux-x86-64.so.2;--library-path;$TARGET_ROOT/usr/lib/$triplet"
    start="\"$TARGET_ROOT/lib64/ld-linux-x86-64.so.2\" --library-path \"$TARGET_ROOT/usr/lib/$triplet\""
  else
    # qemu 10, whatever the host has: under 7.2 ONNX Runtime and LiteRT crash. The program is static, so it runs anywhere.
    unpack "$(dpkg --print-architecture)" trixie "$targets/qemu" qemu-user
    export TARGET_RUN="$qemu;-L;$TARGET_ROOT"
    start="\"\${TARGET_EMULATOR:-$qemu}\" \${TARGET_EMULATOR_ARGS:-} -cpu \"\${TARGET_CPU:-max}\" -L \"$TARGET_ROOT\""
  fi
  cat >"$TARGET_PYTHON" <<SH
#!/bin/sh
export TARGET_PYTHON="$TARGET_PYTHON"
unset PYTHONDONTWRITEBYTECODE  # the root has no bytecode: without it each start compiles all that it imports, emulated
export PYTHONPATH="\${PYTHONPATH:+\$PYTHONPATH:}$work/wheel:$checkout/tools/target:$work/site"  # last, as a site is
exec $start "$TARGET_ROOT/usr/bin/python$TARGET_PYTHON_VERSION" "\$@"
SH
  chmod +x "$TARGET_PYTHON"

  if [ "$(sha256sum pyproject.toml)" != "$(cat "$targets/.venv" 2>/dev/null)" ]; then
    [ -x "$targets/venv/bin/python" ] || "$python" -m venv "$targets/venv"
    "$targets/venv/bin/python" -m pip --disable-pip-version-check -qq install -U "pip>=25.1"
    "$targets/venv/bin/python" -m pip --disable-pip-version-check -qq install -c tools/constraints.txt --group build --group wheels
    sha256sum pyproject.toml >"$targets/.venv"
  fi
}

# target_packages REQUIREMENT...: the target's packages of the index in $work/site, again only if what is wanted changed.
target_packages() {
  local wanted platforms=()
  wanted=$(echo "$@" | cat - pyproject.toml tools/constraints.txt | sha256sum)
  [ "$wanted" != "$(cat "$work/.site" 2>/dev/null)" ] || return 0
  rm -rf "$work/site"
  for tag in manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_34; do platforms+=(--platform "${tag}_$TARGET_MACHINE"); done
  "$targets/venv/bin/python" -m pip --disable-pip-version-check -qq install --target "$work/site" --only-binary=:all: \
    --implementation cp --python-version "$TARGET_PYTHON_VERSION" --abi "$abi" --abi abi3 --abi none "${platforms[@]}" "$@"
  echo "$wanted" >"$work/.site"
  say "$TARGET_MACHINE packages for Python $TARGET_PYTHON_VERSION: $(du -sh "$work/site" | cut -f1)"
}

# build_wheel TREE BUILD-FOLDER DIST: the target's wheel of a source tree, repaired, alone in DIST.
build_wheel() {
  rm -rf "$3" "$3.raw"
  # Without the second and third variable the build succeeds and names an aarch64 library x86_64.
  (
    cd "$1"
    CMAKE_TOOLCHAIN_FILE=$1/tools/target/toolchain.cmake _PYTHON_HOST_PLATFORM=linux-$TARGET_MACHINE \
      SETUPTOOLS_EXT_SUFFIX=.cpython-${TARGET_PYTHON_VERSION/./}-$triplet.so PATH=$targets/venv/bin:$PATH \
      "$targets/venv/bin/python" -m pip --disable-pip-version-check -qq wheel --no-build-isolation --no-deps \
      -Ccmake.define.MNNLITE_DEV=ON -Ccmake.define.MNNLITE_ENGINE="$(echo "$work"/site/_mnncengine*.so)" \
      -Cbuild-dir="$2" -w "$3.raw" .
  )
  # The interpreter that ran the build is not the one it was built for.
  "$targets/venv/bin/python" -m wheel tags --remove --python-tag "$abi" --abi-tag "$abi" --platform-tag "linux_$TARGET_MACHINE" "$3.raw"/*.whl >/dev/null
  PATH=$targets/venv/bin:$PATH auditwheel repair --ldpaths "$TARGET_LINK_ROOT/usr/lib/$triplet" -w "$3" "$3.raw"/*.whl >"$3.raw/log" 2>&1 ||
    { cat "$3.raw/log" >&2; return 1; }
  "$targets/venv/bin/python" tools/target/check_wheel.py "$3"/*.whl
}

# unpack_wheel WHEEL: where the wrapper finds it; pip refuses a wheel that is not for this target.
unpack_wheel() {
  rm -rf "$work/wheel"
  "$targets/venv/bin/python" -m pip --disable-pip-version-check -qq install --target "$work/wheel" --no-deps --no-compile --only-binary=:all: \
    --implementation cp --python-version "$TARGET_PYTHON_VERSION" --abi "$abi" \
    --platform "$(basename "$1" .whl | sed -E 's/.*-(manylinux[^-.]*_'"$TARGET_MACHINE"').*/\1/')" "$1"
}
