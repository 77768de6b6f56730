"""A memory budget against what is measured: random sets of networks, lanes, places of weights and limits.

    python benchmarks/budgets.py [--sets 20] [--seed 1] [--json]

The networks are the eleven of many_models.py. Each set is a fresh child process that draws networks (some twice), one or two
lanes, weights on the heap or in files, and a limit between a third and all of what the set would need; it adds them one by
one, working on frames in between, removes some and adds again. The peak is the kernel's high-water mark of each step, minus
the pages of files that are mapped at its ends and minus what was held when the runtime was made: that counts a model file
while it is read as well, so it is never too small. The prediction is what `Runtime.memory().budget.expected` says after
two frames, beside the growth that was measured then, malloc's free pages given back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np
from many_models import networks

MIB = 2**20
WITHIN = 0.10


def one_set(seed: int, paths: list[str]) -> dict[str, Any]:
    """In the child: one runtime under one limit."""
    import mnnlite
    from mnnlite import proc
    from mnnlite.runtime.budget import Budget, held

    rng = np.random.default_rng(seed)
    chosen = [paths[index] for index in rng.integers(len(paths), size=int(rng.integers(2, 9)))]
    lanes = int(rng.integers(1, 3))
    weights = "mapped" if rng.random() < 0.4 else "heap"
    frame = mnnlite.Frame(rng.integers(0, 256, (1080, 1920, 3), np.uint8), "BGR")
    specs = [mnnlite.TaskSpec(path, mnnlite.ImageSpec(std=255, color="RGB")) for path in chosen]

    runtime = mnnlite.Runtime(lanes=lanes, weights=weights, force=True)  # what only a first use leaves behind
    runtime.add("first", mnnlite.TaskSpec(paths[0], mnnlite.ImageSpec(std=255, color="RGB")))
    runtime.process(frame)
    where = runtime._parts.lanes[0].options
    runtime.close()
    del runtime
    budget = Budget(1 << 40, 1, lanes, where)
    demands = [budget.demand_of(f"t{i}", spec, i % lanes) for i, spec in enumerate(specs)]
    limit = int(held(demands) * rng.uniform(0.33, 1.1)) + 4 * MIB
    proc.trim()

    runtime = mnnlite.Runtime(lanes=lanes, memory=limit, weights=weights, force=True)
    start = proc.process().anonymous
    result: dict[str, Any] = {"seed": seed, "lanes": lanes, "weights": weights, "limit": limit, "networks": len(specs)}
    result |= {"taken": 0, "refused": 0, "removed": 0, "peak": 0}

    def step(function: Any, *arguments: Any) -> None:
        if not proc.reset_high_water():
            raise SystemExit("this kernel does not measure peaks (/proc/self/clear_refs cannot be written)")
        before = proc.process()
        try:
            function(*arguments)
        finally:
            now, marked = proc.process(), proc.high_water() or 0
            files = max(before.file_backed, now.file_backed)
            result["peak"] = max(result["peak"], now.anonymous - start, marked - files - start)

    def work() -> None:
        runtime.process(frame)
        runtime.process(frame)

    for turn in range(2):
        for index, spec in enumerate(specs):
            if f"t{index}" in runtime.tasks:
                continue
            try:
                step(runtime.add, f"t{index}", spec)
                result["taken"] += 1
            except mnnlite.MemoryBudgetError:
                result["refused"] += 1
            step(work)
        for name in list(runtime.tasks)[::2] if turn == 0 else []:
            step(runtime.remove, name)
            result["removed"] += 1
            step(work)
    found = runtime.process(frame)  # results travel: they are part of what is expected
    proc.trim()
    result["grown"] = proc.process().anonymous - start
    result["expected"] = runtime.memory().budget.expected
    result["tasks"] = len(runtime.tasks)
    del found
    runtime.close()
    return result


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=int, help="used by this script itself")
    args = parser.parse_args()
    paths = [str(files[1]) for files in networks().values()]
    if args.child is not None:
        print("\n" + json.dumps(one_set(args.child, paths)))
        return
    rows = []
    for seed in range(args.seed, args.seed + args.sets):
        command = [sys.executable, __file__, "--child", str(seed)]
        child = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
        if child.returncode != 0:
            raise SystemExit(f"set {seed}: ended with {child.returncode}\n{child.stderr}")
        rows.append(json.loads(child.stdout.splitlines()[-1]))
    over = [row for row in rows if row["peak"] > row["limit"]]
    errors = [row["expected"] / row["grown"] - 1 for row in rows if row["tasks"]]
    lines = [f"{'seed':>5}{'lanes':>6} {'weights':8}{'limit':>8}{'peak':>8}{'expected':>9}{'grown':>8}  MiB"]
    for row in rows:
        figures = "".join(
            f"{row[name] / MIB:{width}.1f}"
            for name, width in (("limit", 8), ("peak", 8), ("expected", 9), ("grown", 8))
        )
        lines.append(
            f"{row['seed']:5}{row['lanes']:6} {row['weights']:8}{figures}  {row['taken']} taken, {row['refused']} refused, "
            f"{row['removed']} removed, {row['tasks']} at the end"
        )
    verdict = {
        "sets": len(rows),
        "over_the_budget": len(over),
        "largest_peak_of_budget": max(row["peak"] / row["limit"] for row in rows),
        "prediction_errors": [min(errors), max(errors)],
        "within": sum(abs(error) <= WITHIN for error in errors) / len(errors),
    }
    lines.append(
        f"{len(over)} of {len(rows)} over the budget, the largest peak {verdict['largest_peak_of_budget']:.0%} of it; prediction off by "
        f"{min(errors):+.1%} to {max(errors):+.1%}, {verdict['within']:.0%} of the sets within {WITHIN:.0%}"
    )
    machine.report("budgets", {"rows": rows, **verdict}, lines, args.json)
    raise SystemExit(1 if over else 0)


if __name__ == "__main__":
    main()
