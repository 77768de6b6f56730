#!/bin/bash
# Build a qemu that loads plugins, and the plugin that counts the guest's instructions. Debian's packages have none, so it is
# built from Debian's source package (about four minutes on two idle cores), once: kept in the user's cache by version. It is
# built as one unit and, where the host has them, for AVX2 and FMA: what multiplies and adds lane by lane is inlined then.
# usage: counting.sh; prints the folder that then holds qemu-aarch64 and libinsn.so. Debian only.
set -euo pipefail
cd "$(dirname "$0")/../.."
checkout=$PWD
. tools/target/environment.sh >&2
version=10.0.13+ds  # what the sum below is of; apt checks its signature besides
sha256=6a0888e806c2ffc0c5f0733e974f9aea55491950d3c47c98669c8b236dde59ae
level=$(/lib64/ld-linux-x86-64.so.2 --help 2>/dev/null | grep -oE 'x86-64-v3 \(supported' | cut -d' ' -f1 || true)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/mnnlite-dev/qemu-$version-lto${level:+-$level}
if [ -e "$folder/.done" ]; then
  echo "$folder"
  exit 0
fi
install_packages tools/apt-arm-count.txt >&2
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$build"

# Debian's source of trixie, by the mirror that this machine's own packages come from, in an apt of its own.
mirror=$(debian_mirror)
mkdir -p apt/lists/partial apt/archives/partial
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >apt/sources.list
own=(-qq -o "Dir::Etc::sourcelist=$build/apt/sources.list" -o "Dir::Etc::sourceparts=-" -o "Dir::State::lists=$build/apt/lists"
  -o "Dir::Cache=$build/apt")
apt-get "${own[@]}" update
apt-get "${own[@]}" source --download-only qemu >&2
found=$(sha256sum qemu_*.orig.tar.xz)
case $found in
  "$sha256  qemu_$version.orig.tar.xz") ;;
  qemu_*"$version"*) echo "qemu $version has another sum than is written here: $found" >&2; exit 1 ;;
  *) echo "note: Debian has moved on from qemu $version: ${found#* }; its signature holds, counts may differ" >&2 ;;
esac
mkdir source
tar -xf qemu_*.orig.tar.xz -C source --strip-components=1
"$python" -m venv venv
venv/bin/pip install --disable-pip-version-check -qq meson ninja pycotap tomli
export PATH=$build/venv/bin:$PATH
mkdir qemu && cd qemu
../source/configure --python="$build/venv/bin/python" --target-list=aarch64-linux-user --enable-plugins --disable-system \
  --disable-tools --disable-docs --disable-werror --disable-install-blobs --enable-lto -Doptimization=3 \
  ${level:+"--extra-cflags=-march=$level"} >"$build/configure.log" 2>&1 || { tail -n 20 "$build/configure.log" >&2; exit 1; }
ninja qemu-aarch64 >"$build/build.log" 2>&1 || { tail -n 20 "$build/build.log" >&2; exit 1; }
mkdir -p "$folder"
cp qemu-aarch64 "$folder/"
# shellcheck disable=SC2046 # pkg-config's words
gcc -O2 -shared -fPIC $(pkg-config --cflags glib-2.0) -I ../source/include -I ../source/include/qemu \
  -o "$folder/libinsn.so" ../source/tests/tcg/plugins/insn.c
touch "$folder/.done"
echo "$folder"
