"""The installed mnnlite beside another one: frame time, overhead, memory, waiting for the runtime. "Not slower, not larger."

    python benchmarks/against_other.py --other PYTHON [--rounds 12] [--lanes 1] [--json]

PYTHON is an interpreter that has the other version installed, e.g. that of the parent commit. Both load the eleven networks of
mediapipe 0.10.14 that MNN's converter takes, with their decoders, and take turns of a few 1080p frames, so that a busy
machine is busy for both. A ratio is the median over the rounds of this one's median over the other's.

`frame ms`: from the picture in memory to all results. `cpu ms`: processor time of the same, which a busy machine changes
little. `overhead us`: a frame less the lane that worked longest. `MiB`: anonymous memory after the frames, over the moment
before the first network, as in many_models.py; `whole MiB`: all of the process, imports included. `stats()`, `source`: as in decoder_waits.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from mediapipe_tasks import KINDS, spec_of


def trimmed() -> float:
    """Anonymous memory of this process in MiB."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous")) / 1024


def serve(lanes: int, folder: Path) -> None:
    """In a child, which imports nothing but mnnlite: load, then answer what the lines of standard input ask for."""
    import numpy as np

    import mnnlite

    files = json.loads((folder / "networks.json").read_text())
    image = np.load(folder / "picture.npy")
    with mnnlite.Runtime(lanes=lanes, force=True) as warm:  # imports, and what a first network leaves
        name, path = next(iter(files.items()))
        warm.add(name, spec_of(KINDS[name], path))
        warm.process(mnnlite.Frame(image, "BGR"))
    del warm
    start = trimmed()
    runtime = mnnlite.Runtime(lanes=lanes, force=True)
    for name, path in files.items():
        runtime.add(name, spec_of(KINDS[name], path))
    for _ in range(3):
        runtime.process(mnnlite.Frame(image, "BGR"))
    for line in sys.stdin:
        if line.startswith("memory"):
            now = trimmed()
            answer({"mib": now - start, "whole": now})
            continue
        if line.startswith("waits"):
            import decoder_waits

            found = decoder_waits.measure(decoder_waits.NETWORK, samples=500, sleep_s=0.3)
            answer({f"{what} {which}": ms for what, figures in found.items() for which, ms in figures.items()})
            continue
        spent, over = [], []
        cpu = time.process_time_ns()
        for _ in range(int(line)):
            begin = time.perf_counter_ns()
            result = runtime.process(mnnlite.Frame(image, "BGR"))
            took = time.perf_counter_ns() - begin
            spent.append(took / 1e6)
            over.append((took - max(result.lane_ns)) / 1e3)
        cpu = time.process_time_ns() - cpu
        answer({"ms": float(np.median(spent)), "us": float(np.median(over)), "cpu": cpu / 1e6 / int(line)})
    runtime.close()


def answer(found: dict[str, float]) -> None:
    print("\n" + json.dumps(found), flush=True)  # the engine may have left a line unfinished


class Child:
    """One of the two, in a process of its own."""

    def __init__(self, python: str, lanes: int, folder: Path) -> None:
        import subprocess

        self._process = subprocess.Popen(
            [python, __file__, "--serve", str(lanes), "--folder", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )

    def ask(self, what: str) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, float] = json.loads(line)
                return found
        raise SystemExit("a child ended early")

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--other", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, metavar="LANES", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.folder)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        compare(args, Path(folder))


def compare(args: argparse.Namespace, folder: Path) -> None:
    """Ask both in turns, and print."""
    import machine
    import numpy as np
    from frame_time import picture
    from many_models import networks

    files = networks()  # fetched and converted once, before anybody is measured
    (folder / "networks.json").write_text(json.dumps({name: str(path) for name, (_, path) in files.items()}))
    np.save(folder / "picture.npy", picture(None))
    pair = {"this": Child(sys.executable, args.lanes, folder), "other": Child(args.other, args.lanes, folder)}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in pair}
    for number in range(args.rounds):
        for name in list(pair)[:: 1 if number % 2 else -1]:
            rounds[name].append(pair[name].ask("10"))
    memory = {name: child.ask("memory") for name, child in pair.items()}
    held_up = {name: child.ask("waits") for name, child in pair.items()}
    for child in pair.values():
        child.close()
    found: dict[str, Any] = {
        "lanes": args.lanes,
        **{
            key: {name: machine.median([each[key] for each in rounds[name]]) for name in pair}
            for key in ("ms", "cpu", "us")
        },
        **{
            f"{key} ratio": machine.median(
                [ours[key] / theirs[key] for ours, theirs in zip(rounds["this"], rounds["other"], strict=True)]
            )
            for key in ("ms", "cpu", "us")
        },
        **{key: {name: each[key] for name, each in memory.items()} for key in ("mib", "whole")},
        **{f"{key} ratio": memory["this"][key] / memory["other"][key] for key in ("mib", "whole")},
        "waits ms": held_up,
    }
    if args.json:
        print(json.dumps(found))
        return
    print(f"eleven networks, {args.lanes} lanes, {args.rounds} rounds in turns: this / other")
    for key, text in (
        ("ms", "frame ms"),
        ("cpu", "cpu ms"),
        ("us", "overhead us"),
        ("mib", "MiB"),
        ("whole", "whole MiB"),
    ):
        print(f"{text:12} {found[key]['this']:9.2f} {found[key]['other']:9.2f}   ratio {found[f'{key} ratio']:.3f}")
    for key, ms in held_up["this"].items():
        print(f"{key:12} {ms:9.2f} {held_up['other'][key]:9.2f}   ms")


if __name__ == "__main__":
    main()
