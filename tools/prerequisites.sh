#!/bin/sh
# Stop with the README's one apt line unless everything that must be on the machine before `make` is there.
# usage: prerequisites.sh [PYTHON [LIST]]
python=${1:-python3}
list=${2:-$(dirname "$0")/apt.txt}
missing=

command -v c++ >/dev/null 2>&1 || missing="$missing, a C++ compiler"
command -v cmake >/dev/null 2>&1 || missing="$missing, cmake"
command -v "$python" >/dev/null 2>&1 || missing="$missing, $python"
if command -v "$python" >/dev/null 2>&1; then
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    missing="$missing, Python's headers"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing, Python's venv"
fi
if command -v c++ >/dev/null 2>&1; then
  echo '#include <doctest/doctest.h>' | c++ -std=c++17 -x c++ -fsyntax-only - 2>/dev/null || missing="$missing, doctest"
fi
# Instructions are counted on x86-64; a list of another purpose does without.
if [ $# -lt 2 ] && [ "$(uname -m 2>/dev/null)" = x86_64 ]; then
  [ -e /usr/include/valgrind/callgrind.h ] && command -v valgrind >/dev/null 2>&1 || missing="$missing, valgrind"
fi

[ -z "$missing" ] && exit 0
echo "missing: ${missing#, }" >&2
echo "apt install $(tr '\n' ' ' <"$list" | sed 's/ *$//')" >&2
exit 1
