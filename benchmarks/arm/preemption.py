"""Instructions of giving way on an emulated ARM CPU: of a point where nothing is urgent, and of one where a network runs in between.

    make arm ARGS="-k nothing"          once: the aarch64 wheel, its root, its packages
    python benchmarks/arm/preemption.py LONG.mnn URGENT.mnn [--cpu cortex-a72] [--json]

`point` is what each operator costs more where networks may be interrupted and nothing is urgent: the engine's two calls
around an operator, and the look at one flag. `preemption` is what a run in between costs beside the urgent network's own.
Both are differences of whole runs, whose counts vary by about a hundred thousand: upper bounds, and no more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
GUEST = "--guest"
REPEATS = 4  # runs that are counted as one: what starting and loading vary by is shared by them


def work(way: str, long: str, urgent: str, runs: int) -> None:
    """Be the guest: one way of running, again and again."""
    import mnnlite
    from mnnlite import _core

    outer, inner = mnnlite.Model(long), mnnlite.Model(urgent)
    middle = len(_core.run_interrupted(outer.native)[0]) // 2
    ways = {
        "long": outer.run,
        "urgent": inner.run,
        "long points": lambda: _core.run_interrupted(outer.native, stops=False),
        "urgent points": lambda: _core.run_interrupted(inner.native, stops=False),
        "stops": lambda: _core.run_interrupted(outer.native),
        "nested": lambda: _core.run_interrupted(outer.native, middle, inner.native),
    }
    for _ in range(runs * REPEATS):
        ways[way]()


def points(path: Path) -> int:
    """How often a network passes a point in a run, as it does on this machine."""
    import mnnlite
    from mnnlite import _core

    with mnnlite.Model(path) as model:
        return len(_core.run_interrupted(model.native)[0])


def main() -> int:
    """Count, and print."""
    if GUEST in sys.argv:
        way, long, urgent, runs = sys.argv[sys.argv.index(GUEST) + 1 :]
        work(way, long, urgent, int(runs))
        return 0
    sys.path[:0] = [str(Path(__file__).parents[1]), str(CHECKOUT / "tools" / "arm")]
    import count
    import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("long", type=Path)
    parser.add_argument("urgent", type=Path)
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "arm", help="what `make arm` leaves")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not (args.folder / "wheel" / "mnnlite").is_dir():
        print(f"{args.folder} holds no aarch64 wheel: run `make arm` first", file=sys.stderr)
        return 2
    counting = subprocess.run([CHECKOUT / "tools/arm/counting.sh"], check=True, stdout=subprocess.PIPE, text=True)
    qemu, root = Path(counting.stdout.split()[-1]), args.folder / "root"
    (python,) = (root / "usr" / "bin").glob("python3.[0-9]*[0-9]")
    environment = {"PYTHONPATH": f"{args.folder / 'wheel'}:{args.folder / 'site'}"}

    def counted(way: str) -> float:
        words = [str(python), __file__, GUEST, way, str(args.long.resolve()), str(args.urgent.resolve())]
        return count.per_run(qemu, args.cpu, str(root), environment, words) / REPEATS

    names = ("long", "urgent", "long points", "urgent points", "stops", "nested")
    found = {way: counted(way) for way in names}
    passed = {"long": points(args.long), "urgent": points(args.urgent)}
    more = {name: found[f"{name} points"] - found[name] for name in passed}
    result = {
        "cpu": args.cpu,
        "points": passed,
        "instructions": found,
        "point": more["long"] / passed["long"],
        "preemption": found["nested"] - found["stops"] - found["urgent"],
    }
    lines = [
        f"{args.long.name}: {found['long'] / 1e6:.1f} million instructions, {passed['long']} points on {args.cpu}",
        f"{args.urgent.name}: {found['urgent'] / 1e6:.2f} million instructions, {passed['urgent']} points",
        f"a point where nothing is urgent: {result['point']:.0f} instructions, "
        f"{result['point'] * passed['long'] / found['long']:.3%} of the long network's run",
        f"a preemption beside the urgent network's own run: {result['preemption']:.0f} instructions",
    ]
    machine.report("arm preemption", result, lines, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
