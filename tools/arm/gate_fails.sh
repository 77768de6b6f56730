#!/bin/bash
# Show that `make arm-gate` finds a NEON kernel that became 5 % slower: an instruction that does nothing for each
# eight samples of a component, in a copy of the tree.
# usage: gate_fails.sh CHECKOUT. Exit 1: the gate passed. Debian only.
set -euo pipefail
checkout=$(realpath "$1")
cd "$checkout"
slow=$checkout/build/arm-gate-slow
mkdir -p "$slow/build"
rm -rf "$slow"/{csrc,tests,tools,cmake}
cp -r CMakeLists.txt pyproject.toml cmake csrc tests tools "$slow/"
[ -e "$slow/build/targets" ] || ln -s "$checkout/build/targets" "$slow/build/targets"
kernel=$slow/csrc/image/kernels_neon.cpp
sed -i 's|^MNNLITE_INLINE Ints sampled(.*{$|&\n  __asm__ volatile("nop");|' "$kernel"
if cmp -s "$kernel" csrc/image/kernels_neon.cpp; then
  echo "the place that is made slower is gone from kernels_neon.cpp" >&2
  exit 2
fi
code=0
bash "$slow/tools/arm/gate.sh" "$slow" || code=$?
[ "$code" = 1 ] || { echo "the gate ended with $code: it does not find a kernel that became slower" >&2; exit 1; }
echo "the gate fails, as it must"
