#!/bin/bash
# Build, check and try the wheels of this commit on a plain Debian machine, without containers: Python 3.11, 3.13 and 3.14 for
# aarch64 and x86_64, each built twice in two folders, whose bytes must be equal. The release's are cibuildwheel's.
# usage: wheels.sh CHECKOUT [DIST]; WHEELS="aarch64-3.11 ..." builds fewer. Debian only.
set -euo pipefail
checkout=$(realpath "$1")
dist=${2:-$checkout/dist}
cd "$checkout"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH PYTHONHASHSEED=0
mkdir -p "$dist"
rm -f "$dist"/*.whl "$dist"/SHA256SUMS "$dist"/*.cdx.json

one() (  # one MACHINE PYTHON
  export TARGET_MACHINE=$1 TARGET_PYTHON_VERSION=$2
  . tools/target/environment.sh
  target_environment
  target_packages numpy MNN
  # Two copies of the commit in folders of different names and depths.
  local build copies=("$targets/first/$TARGET_MACHINE" "$targets/second/of/$TARGET_MACHINE")
  for build in 0 1; do
    rm -rf "${copies[$build]:?}"/{tree,build}  # CMake keeps the flags of the Python before
    mkdir -p "${copies[$build]}/tree"
    git archive HEAD | tar -x -C "${copies[$build]}/tree"
    build_wheel "${copies[$build]}/tree" "${copies[$build]}/build" "$work/dist$build"
  done
  cmp "$work"/dist0/*.whl "$work"/dist1/*.whl
  say "two builds, equal bytes"
  PATH=$targets/venv/bin:$PATH auditwheel show "$work"/dist0/*.whl | tr -s '\n ' ' ' && echo
  "$targets/venv/bin/twine" check --strict "$work"/dist0/*.whl
  "$targets/venv/bin/check-wheel-contents" "$work"/dist0/*.whl
  unpack_wheel "$work"/dist0/*.whl
  "$TARGET_PYTHON" -c 'import sys, sysconfig; print("Python", sys.version.split()[0], sysconfig.get_platform())'
  # MNN's library of some Pythons asks for an executable stack, which glibc refuses from 2.41 on unless told otherwise.
  (cd "$work" && GLIBC_TUNABLES=glibc.rtld.execstack=2 "$TARGET_PYTHON" "$checkout/tests/smoke/smoke.py")
  cp "$work"/dist0/*.whl "$dist/"
  say "$TARGET_MACHINE $TARGET_PYTHON_VERSION: built, checked, tried"
)
for each in ${WHEELS:-aarch64-3.11 x86_64-3.11 aarch64-3.13 x86_64-3.13 aarch64-3.14 x86_64-3.14}; do one "${each%-*}" "${each#*-}"; done

. tools/target/environment.sh
# What the release would build: its settings are read here, though its containers are not.
release=$(for machine in x86_64 aarch64; do
  "$targets/venv/bin/cibuildwheel" --print-build-identifiers --platform linux --archs "$machine"
done | sort)
wanted=$(for python in cp310 cp311 cp312 cp313 cp314; do printf '%s\n' "$python-manylinux_"{aarch64,x86_64}; done | sort)
[ "$release" = "$wanted" ] || { echo "cibuildwheel would build other wheels than these: $release" >&2; exit 1; }
say "cibuildwheel would build $(wc -l <<<"$release") wheels: $(tr '\n' ' ' <<<"$release")"

# What a user's environment then holds, by name, version and licence: of one of them, in this machine's Python.
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
if one=$(ls "$dist"/*"-$tag-manylinux"*"_$(uname -m).whl"); then
  rm -rf "$targets/sbom"
  "$python" -m venv --without-pip "$targets/sbom"
  "$targets/venv/bin/python" -m pip --disable-pip-version-check -qq --python "$targets/sbom" install -c tools/constraints.txt "$one"
  "$targets/venv/bin/cyclonedx-py" environment --output-reproducible --pyproject pyproject.toml --mc-type library \
    --of JSON -o "$dist/mnnlite.cdx.json" "$targets/sbom/bin/python"
fi
(cd "$dist" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
