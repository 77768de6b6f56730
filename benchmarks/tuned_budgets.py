"""Random pipelines under random budgets, tuned: the measured peak beside the budget and the prediction.

    python benchmarks/tuned_budgets.py [--sets 32] [--seed 1] [--json]

The networks are the eleven of many_models.py, tuned once (`mnnlite tune`, with mapped weights). Each set draws 2 to 8 of them, one or
two lanes, whether weights may be mapped, for some tasks every how many frames they run, and a budget between the least possible and
what the usual options need. What is chosen is opened in a fresh process under that budget and works on frames. The peak is the
kernel's high-water mark of each step as in budgets.py, which is never too small. The prediction is `Tuning.expected`, which tuning
says beforehand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import fetch
import machine
import numpy as np
from many_models import networks

MIB = 2**20
WITHIN = 0.05


def drawn(seed: int, paths: list[str]) -> tuple[Any, bool, float]:
    """A pipeline, whether weights may be mapped, and where between the least and the usual its budget is."""
    import mnnlite
    from mnnlite.pipeline import Pipeline
    from mnnlite.runtime.schedule import Schedule

    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(paths), size=int(rng.integers(2, 9)), replace=False)
    image = mnnlite.ImageSpec(std=255, color="RGB")
    tasks = {f"t{number}": mnnlite.TaskSpec(paths[index], image) for number, index in enumerate(chosen)}
    schedules = {name: Schedule(every=int(rng.integers(2, 5))) for name in tasks if rng.random() < 0.3}
    runtime = {"lanes": int(rng.integers(1, 3)), "force": True}
    return Pipeline(tasks, runtime, schedules), bool(rng.random() < 0.3), float(rng.uniform(0.05, 0.95))


def life(path: str) -> dict[str, Any]:
    """In the child: the pipeline under its budget, from load to close."""
    import mnnlite
    from mnnlite import pipeline, proc

    spec = pipeline.load(path)
    rng = np.random.default_rng(0)
    frame = mnnlite.Frame(rng.integers(0, 256, (1080, 1920, 3), np.uint8), "BGR")
    first = next(iter(spec.tasks.values()))
    with mnnlite.Runtime(**{**spec.runtime, "memory": None}) as runtime:  # what only a first use leaves behind
        runtime.add("first", first)
        runtime.process(frame)
    proc.trim()
    start = proc.process().anonymous
    result = {"peak": 0, "grown": 0}
    before = proc.process()
    if not proc.reset_high_water():
        raise SystemExit("this kernel does not measure peaks (/proc/self/clear_refs cannot be written)")

    def step(_: object = None) -> None:
        nonlocal before
        now, marked = proc.process(), proc.high_water() or 0
        files = max(before.file_backed, now.file_backed)
        result["peak"] = max(result["peak"], now.anonymous - start, marked - files - start)
        proc.trim()
        before = proc.process()
        proc.reset_high_water()

    try:
        runtime = spec.open(_on_task=step)
    except mnnlite.MemoryBudgetError as error:
        return {**result, "refused": str(error), "expected": 0, "peak": max(1, result["peak"])}
    for _ in range(5):
        found = runtime.process(frame)
        step()
        result["grown"] = max(result["grown"], proc.process().anonymous - start)
        del found
    result["peak"] = max(result["peak"], result["grown"])
    result["expected"] = runtime.memory().budget.expected
    runtime.close()
    return result


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--sets", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help="used by this script itself")
    args = parser.parse_args()
    if args.child is not None:
        print("\n" + json.dumps(life(args.child)))
        return
    os.environ.setdefault("MNNLITE_CACHE", str(fetch.FOLDER / "tune-cache"))
    from mnnlite import MemoryBudgetError, pipeline
    from mnnlite.tune import tune, tuned_pipeline

    paths = [str(files[1]) for files in networks().values()]
    rows: list[dict[str, Any]] = []
    refused: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seed, args.seed + 2 * args.sets):
            if len(rows) == args.sets:
                break
            what, mapped, where = drawn(seed, paths)
            usual = tune(what, mapped=True).before.peak
            least = tune(what, frame_ms=3.6e6, mapped=mapped).choice.peak
            limit = int(least + where * (usual - least))
            bounded = replace(what, runtime={**what.runtime, "memory": limit})
            try:
                made = tune(bounded, mapped=mapped)
            except MemoryBudgetError as error:
                refused.append(seed)
                print(f"set {seed}: {error}", file=sys.stderr)
                continue
            try:
                tune(what, memory=int(least * 0.98), mapped=mapped)
                raise SystemExit(f"set {seed}: a budget below the least possible was accepted")
            except MemoryBudgetError:
                pass
            chosen = tuned_pipeline(bounded, made.choice)
            path = Path(folder) / f"{seed}.toml"
            pipeline.save(chosen, path)
            command = [sys.executable, __file__, "--child", str(path)]
            child = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
            if child.returncode != 0:
                raise SystemExit(f"set {seed}: ended with {child.returncode}\n{child.stderr}")
            row = json.loads(child.stdout.splitlines()[-1])
            row |= {
                "seed": seed,
                "tasks": len(what.tasks),
                "lanes": what.runtime["lanes"],
                "mapped": mapped,
                "limit": limit,
            }
            row |= {
                "usual": usual,
                "least": least,
                "chosen": made.choice.peak,
                "predicted": made.expected,
            }
            rows.append(row)
            if "refused" in row:
                print(f"set {seed}: {row['refused']}", file=sys.stderr)
            print(f"set {seed}: {len(rows)} of {args.sets}", file=sys.stderr)
    over = [row for row in rows if row["peak"] > row["limit"]]
    errors = [row["predicted"] / row["peak"] - 1 for row in rows]
    close = sum(abs(error) <= WITHIN for error in errors)
    lines = [
        f"{'seed':>5}{'tasks':>6}{'lanes':>6}{'usual':>8}{'least':>8}{'budget':>8}{'predicted':>10}{'peak':>8}{'held':>8}  MiB"
    ]
    for row, error in zip(rows, errors, strict=True):
        figures = "".join(
            f"{row[name] / MIB:{width}.1f}"
            for name, width in (("usual", 8), ("least", 8), ("limit", 8), ("predicted", 10), ("peak", 8), ("grown", 8))
        )
        lines.append(
            f"{row['seed']:5}{row['tasks']:6}{row['lanes']:6}{figures}  {error:+.1%}{'  mapped' if row['mapped'] else ''}"
        )
    if refused:
        lines.append(
            f"tuning refused sets {', '.join(map(str, refused))}: loaded to see, no choice of theirs fitted; further seeds took their place"
        )
    verdict = {"refused": refused, "sets": len(rows), "over_the_budget": len(over), "within_5_percent": close,
               "prediction_errors": [min(errors), max(errors)]}  # fmt: skip
    lines.append(
        f"{len(over)} of {len(rows)} over the budget; prediction within {WITHIN:.0%} of the measured peak for {close} of {len(rows)}, "
        f"off by {min(errors):+.1%} to {max(errors):+.1%}"
    )
    machine.report("tuned_budgets", {"rows": rows, **verdict}, lines, args.json)
    raise SystemExit(1 if over else 0)


if __name__ == "__main__":
    main()
