#!/bin/bash
# Cross-build the aarch64 wheel and run the tests with it under emulation: no container, no binfmt, no ARM machine.
# usage: run.sh CHECKOUT [--quick] [--resume] [--prepare] [pytest arguments]; Debian only.
# The whole suite runs on each of ARM_CPUS in ARM_SHARDS parts, what depends on the CPU also on each of ARM_MORE_CPUS;
# ARM_JOBS at a time. --resume: parts that were green before are left as they were, of those that failed only what failed
# runs again. The end says on which commits each was green. Other pytest arguments make other parts: -m "not slow" and then, with
# --resume, -m slow are together the whole.
# The emulator of the Python tests is the fast one of counting.sh; with --quick, which is not worth building it, Debian's.
# --prepare: only what comes from elsewhere, the emulator and the target's packages.
# --quick: the C++ tests, every supported kind of network (smoke), every head, and the road pack's networks, on one CPU.
set -euo pipefail
checkout=$(realpath "$1")
shift
cd "$checkout"
packages=(-c tools/constraints.txt --group test numpy MNN)
everything=
quick= resume= prepare=
while true; do
  case ${1:-} in
    --quick) quick=yes ;;
    --resume) resume=yes ;;
    --prepare) prepare=yes ;;
    *) break ;;
  esac
  shift
done
if [ -n "$quick" ]; then
  packages=(-c tools/constraints.txt numpy MNN pytest hypothesis psutil)
  everything="tests/smoke tests/test_decode_heads.py tests/test_demo_pack.py"
  for slow in shipped_files_on_fresh_scenes command_prints_the_table; do everything+=" --deselect=tests/test_demo_pack.py::test_metrics__$slow"; done
  export ARM_CPUS=${ARM_CPUS:-cortex-a72} ARM_MORE_CPUS= ARM_SHARDS=1
fi
work=$checkout/build/arm${quick:+-quick}
. tools/target/environment.sh
target_environment
target_packages "${packages[@]}"
[ -z "$prepare" ] || exit 0
[ -n "$quick" ] || export TARGET_EMULATOR="${TARGET_EMULATOR:-$(tools/arm/counting.sh)/qemu-aarch64}"
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
rm -rf "$work/suite" "$work/wanted"
[ -n "$resume" ] || rm -rf "$work/logs" "$work/green" "$work/failed"
mkdir -p "$work/suite" "$work/wanted" "$work/logs" "$work/green" "$work/failed"
cp -r pyproject.toml tests "$work/suite/"
shards=${ARM_SHARDS:-8}
commit=$(git describe --always --dirty --abbrev=10 2>/dev/null || echo unknown)
depends_on_cpu="tests/smoke tests/test_image.py tests/test_image_fuzz.py tests/test_decode.py tests/test_decode_detectors.py tests/test_decode_shapes.py tests/test_model.py"

# job CPU SHARD PYTEST-ARGUMENTS: one process; its log is printed when it ends.
job() {
  local cpu=$1 shard=$2 name=$1-${2/\//of} log before code=0
  shift 2
  [ $# = 0 ] || name+=-$(printf '%s' "$*" | cksum | cut -d' ' -f1)
  touch "$work/wanted/$name"
  [ ! -e "$work/green/$name" ] || return 0
  export TARGET_CPU=$cpu QEMU_CPU=$cpu
  log=$work/logs/$name.log before=
  if [ "$shard" = cpp ]; then
    ctest --test-dir "$work/cpp" --output-on-failure -Q >"$log" 2>&1 || { cat "$log"; return 1; }
  else
    cd "$work/suite"
    # What failed before, if the last run of this part came to its end.
    local again=(-o "cache_dir=$work/failed/$name")
    if [ -e "$work/failed/$name.whole" ]; then
      before=$(cat "$work/failed/$name.whole")
      again+=(--last-failed --last-failed-no-failures none)
      shard=1/1
      mv "$log" "$log.$(date +%H%M%S)"
    else
      rm -rf "$work/failed/$name"
    fi
    "$TARGET_PYTHON" -m pytest -v "${again[@]}" -o faulthandler_timeout=2400 --shard "$shard" --durations=10 \
      --ignore=tests/package/test_wheel.py --ignore=tests/package/test_layers.py "$@" >"$log" 2>&1 || code=$?
    if [ "$code" = 1 ]; then echo "${before:+$before, }$commit" >"$work/failed/$name.whole"; else rm -f "$work/failed/$name.whole"; fi
    # 5: the part has no such test, as no slow one; of what failed before that would be wrong.
    if [ "$code" = 5 ] && [ -z "$before" ]; then code=0; fi
    [ "$code" = 0 ] || { grep -E '^(FAILED|ERROR)|passed|failed|Fatal|error' "$log" | tail -n 60; return 1; }
  fi
  echo "on ${before:+$before, and what failed there on }$commit${*:+: $*}" >"$work/green/$name"
}
export -f job
export work commit

jobs_of() {
  local cpu shard arguments=
  [ $# = 0 ] || arguments=$(printf ' %q' "$@")
  for cpu in ${ARM_CPUS:-cortex-a72 max}; do
    printf '%s cpp\n' "$cpu"
    for shard in $(seq "$shards"); do printf '%s %s/%s %s\n' "$cpu" "$shard" "$shards" "$everything$arguments"; done
  done
  for cpu in ${ARM_MORE_CPUS-cortex-a53 cortex-a76}; do
    printf '%s cpp\n%s 1/1 %s %s\n' "$cpu" "$cpu" "$depends_on_cpu" "$arguments"
  done
}
failed=0
jobs_of "$@" | xargs -d '\n' -P "${ARM_JOBS:-$(nproc)}" -I{} bash -c 'job {} && echo "[ok] {}" || { echo "[failed] {}"; exit 1; }' || failed=1
say "$(cat "$work"/logs/*of*.log* | grep -E ' (passed|failed)' | tr '\n' ';')"
# Parts without a test are green, so all of them could be: one at least has a test.
(cd "$work/wanted" && for each in *; do cat "../logs/$each.log"; done) | grep -E '[0-9] passed' >/dev/null || { say "no test passed"; failed=1; }
(cd "$work/wanted" && for each in *; do echo "$each: $(sed 's/^/green /' "$work/green/$each" 2>/dev/null || echo failed)"; done)
echo "left out under emulation:"
cat "$work"/logs/*of*.log* | { grep -E '^SKIPPED' || true; } | sed -E 's/^SKIPPED \[([0-9]+)\] ([^:]*):[0-9]+: /\2: /' | sort | uniq -c | sort -rn
exit "$failed"
