#!/bin/bash
# Cross-build the aarch64 wheel and run the tests with it under emulation: no container, no binfmt, no ARM machine.
# usage: run.sh CHECKOUT [--quick] [pytest arguments]; Debian only.
# The whole suite runs on each of ARM_CPUS, what depends on the CPU also on each of ARM_MORE_CPUS; ARM_JOBS at a time.
# --quick: the C++ tests, every supported kind of network (smoke), every head, and the road pack's networks, on one CPU.
set -euo pipefail
checkout=$(realpath "$1")
shift
cd "$checkout"
packages=(-c tools/constraints.txt --group test numpy MNN)
everything=
if [ "${1:-}" = --quick ]; then
  shift
  packages=(-c tools/constraints.txt numpy MNN pytest hypothesis psutil)
  everything="tests/smoke tests/test_decode_heads.py tests/test_demo_pack.py"
  for slow in shipped_files_on_fresh_scenes command_prints_the_table; do everything+=" --deselect=tests/test_demo_pack.py::test_metrics__$slow"; done
  export ARM_CPUS=${ARM_CPUS:-cortex-a72} ARM_MORE_CPUS= ARM_SHARDS=1
fi
work=$checkout/build/arm$([ -z "$everything" ] || echo -quick)
. tools/target/environment.sh
target_environment
target_packages "${packages[@]}"
if [ ! -e "$work/.wheel" ] || [ -n "$(find CMakeLists.txt pyproject.toml csrc cmake mnnlite third_party -newer "$work/.wheel" -type f ! -name '*.pyc' -print -quit)" ]; then
  build_wheel "$checkout" "$work/build" "$work/dist"
  unpack_wheel "$work"/dist/*.whl
  touch "$work/.wheel"
  say "wheel"
fi
CMAKE_TOOLCHAIN_FILE=$checkout/tools/target/toolchain.cmake "$targets/venv/bin/cmake" -S . -B "$work/cpp" -G Ninja \
  -DCMAKE_MAKE_PROGRAM="$targets/venv/bin/ninja" -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_DEV=ON --log-level=WARNING
"$targets/venv/bin/cmake" --build "$work/cpp" -- --quiet
say "C++ tests built"

# What reads build products or compiles for the host stays out.
rm -rf "$work/suite" "$work/logs"
mkdir -p "$work/suite" "$work/logs"
cp -r pyproject.toml tests "$work/suite/"
shards=${ARM_SHARDS:-2}
depends_on_cpu="tests/smoke tests/test_image.py tests/test_image_fuzz.py tests/test_decode.py tests/test_decode_detectors.py tests/test_decode_shapes.py tests/test_model.py"

# job CPU SHARD PYTEST-ARGUMENTS: one process; its log is printed when it ends.
job() {
  local cpu=$1 shard=$2 log
  shift 2
  export TARGET_CPU=$cpu QEMU_CPU=$cpu
  log=$work/logs/$cpu-${shard/\//of}.log
  if [ "$shard" = cpp ]; then
    ctest --test-dir "$work/cpp" --output-on-failure -Q >"$log" 2>&1 || { cat "$log"; return 1; }
    return 0
  fi
  cd "$work/suite"
  "$TARGET_PYTHON" -m pytest -q -p no:cacheprovider -o faulthandler_timeout=1200 --shard "$shard" --durations=10 \
    --ignore=tests/package/test_wheel.py --ignore=tests/package/test_layers.py "$@" >"$log" 2>&1 || { grep -E '^(FAILED|ERROR)|passed|failed|Fatal|error' "$log" | tail -n 60; return 1; }
}
export -f job
export work

jobs_of() {
  local cpu shard
  for cpu in ${ARM_CPUS:-cortex-a72 max}; do
    printf '%s cpp\n' "$cpu"
    for shard in $(seq "$shards"); do printf '%s %s/%s %s\n' "$cpu" "$shard" "$shards" "$everything $*"; done
  done
  for cpu in ${ARM_MORE_CPUS-cortex-a53 cortex-a76}; do
    printf '%s cpp\n%s 1/1 %s %s\n' "$cpu" "$cpu" "$depends_on_cpu" "$*"
  done
}
failed=0
jobs_of "$@" | xargs -P "${ARM_JOBS:-$(nproc)}" -I{} bash -c 'job {} && echo "[ok] {}" || { echo "[failed] {}"; exit 1; }' || failed=1
say "$(cat "$work"/logs/*of*.log | grep -E ' (passed|failed)' | tr '\n' ';')"
echo "left out under emulation:"
cat "$work"/logs/*of*.log | { grep -E '^SKIPPED' || true; } | sed -E 's/^SKIPPED \[([0-9]+)\] ([^:]*):[0-9]+: /\2: /' | sort | uniq -c | sort -rn
exit "$failed"
