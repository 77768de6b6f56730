#!/bin/sh
# Count the guest instructions of the image kernels, NEON against scalar, on an emulated aarch64. Counts are not speed, but
# they are ARM's and the same every time. Needs Debian's g++, g++-aarch64-linux-gnu and qemu-user.
# usage: tools/arm/count_image.sh [-o table.txt]
set -eu
cd "$(dirname "$0")/../.."
work=build/arm/count
mkdir -p "$work"
gcc -O2 -Wall -Wextra -shared -fPIC -o "$work/count.so" tools/arm/count_instructions.c
flags="-O3 -DNDEBUG -std=c++17 -ffp-contract=off -fno-math-errno -fno-trapping-math -Icsrc -Icsrc/include"
objects=
for source in csrc/core/*.cpp csrc/image/*.cpp benchmarks/count_image.cpp; do
  object=$work/$(basename "$source" .cpp).o
  # As in CMakeLists.txt: what is compared with NEON is scalar code, not NEON by way of the compiler.
  case $source in *baseline*) extra=-fno-tree-vectorize ;; *) extra= ;; esac
  aarch64-linux-gnu-g++ $flags $extra -c "$source" -o "$object"
  objects="$objects $object"
done
aarch64-linux-gnu-g++ -static -o "$work/count_image" $objects
qemu-aarch64 -seed 1 -plugin "$work/count.so" "$work/count_image" >"$work/cases.txt" 2>"$work/marks.txt"
awk -F'\t' '
  FNR == NR { split($0, mark, " "); if (mark[1] == "mark") at[mark[2]] = mark[3]; next }
  /^case/ {
    split($1, head, " ")
    instructions = at[head[2] + 1] - at[head[2]]
    if ($2 == "baseline") { scalar = instructions; next }
    printf "%-44s scalar %9d (%5.1f a pixel)  %s %9d (%5.1f)  ratio %.2f\n", $3, scalar, scalar / $4, $2, instructions, \
           instructions / $4, instructions / scalar
  }' "$work/marks.txt" "$work/cases.txt" | tee "${2:-/dev/null}"
