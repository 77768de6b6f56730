"""One network on a 1080p BGR frame to decoded results: mnnlite beside MNN's package, LiteRT and ONNX Runtime.

    python benchmarks/one_network.py [--rounds 12] [--frames 8] [--networks NAME ...] [--environments FOLDER] [--json]

The networks and what is done around them are those of arm/cases.py: mediapipe's are TFLite files (MNN's package and LiteRT
beside mnnlite), yolov8 is an ONNX file (MNN's package and ONNX Runtime). OpenCV and NumPy stand around all but mnnlite. Each
contender has a process of its own for one and for two threads, which loads all networks; they take turns of a few frames.
`frame ms` is from the picture in memory to results, `engine ms` the engine's own call on an input that is there already.
Before anything is timed the outputs of all on the same input are compared with mnnlite's; `apart` is the largest difference,
relative to the largest value. The script ends with 1 if one is more than arm/cases.py allows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environments
import fetch
import machine
import numpy as np
from environments import Child, answer
from many_models import networks

sys.path.insert(0, str(Path(__file__).parent / "arm"))

import cases

NAMES = tuple(name for name in cases.NAMES if name not in (*fetch.SNAPSHOTS, "palm_detection_full"))
CONTENDERS = ("mnnlite", "MNN", "LiteRT", "ONNX Runtime")
THREADS = (1, 2)


def files_of(names: list[str]) -> dict[str, tuple[Path, Path]]:
    """Original and converted file of each network."""
    mediapipe = networks()
    return {name: mediapipe[name] if name in mediapipe else (fetch.original(name), fetch.mnn(name)) for name in names}


# ---- the child's side


class Work:
    """One network in one contender: a frame, and the engine's call alone."""

    frame: Callable[[], Any]
    engine: Callable[[], Any]

    def outputs(self, ready: np.ndarray) -> list[np.ndarray]:
        raise NotImplementedError


class Ours(Work):
    def __init__(self, name: str, files: tuple[Path, Path], bgr: np.ndarray, threads: int) -> None:
        import mnnlite

        spec = cases.spec_of(name, files[1])
        self.task = mnnlite.Task(spec, arena=mnnlite.Arena(threads=threads))
        self.model = mnnlite.Model(files[1], shapes=spec.shapes, threads=threads)
        self.frame = lambda: self.task(mnnlite.Frame(bgr, "BGR"))
        self.engine = lambda: self.model.run(borrow=True)

    def outputs(self, ready: np.ndarray) -> list[np.ndarray]:
        (given,) = self.model.inputs
        return list(self.model.run({given: ready}).values())


class Theirs(Work):
    def __init__(self, kind: str, name: str, files: tuple[Path, Path], bgr: np.ndarray, threads: int) -> None:
        import contender

        self.made: Any = contender.MADE[kind]("normal", threads)  # type: ignore[call-arg]
        self.made.open(name, {"original": str(files[0]), "mnn": str(files[1])})
        self.usual, self.bgr = cases.Usual(name, self.made.cv2), bgr
        self.made.give(self.usual.picture(bgr)[0])
        self.engine = self.made.infer

    def frame(self) -> Any:
        array, place = self.usual.picture(self.bgr)
        self.made.give(array)
        self.made.infer()
        return self.usual.decode(self.made.take(), place)

    def outputs(self, ready: np.ndarray) -> list[np.ndarray]:
        self.made.give(ready)
        self.made.infer()
        return [each.copy() for each in self.made.take().values()]


def serve(kind: str, threads: int, frames: Path, names: list[str]) -> None:
    """Load, then do what the lines of standard input ask for; one line of JSON each."""
    bgr = np.load(frames)["bgr"]
    made: dict[str, Work] = {}
    for name, files in files_of(names).items():
        one = (name, files, bgr, threads)
        made[name] = Ours(*one) if kind == "mnnlite" else Theirs(kind, *one)
    answer({})
    for line in sys.stdin:
        what, name, more = line.rstrip("\n").split(" ")
        if what == "outputs":
            found = made[name].outputs(np.load(frames.with_name(f"{name}.npy")))
            np.savez(frames.with_name(f"{kind} {threads} {name}.npz"), *found)
            answer({})
        else:
            answer({"ms": times(made[name].frame if what == "frame" else made[name].engine, int(more))})


def times(work: Callable[[], Any], count: int) -> list[float]:
    found = []
    for _ in range(count):
        begin = time.perf_counter()
        work()
        found.append(1e3 * (time.perf_counter() - begin))
    return found


# ---- the parent's side


def measured(names: list[str], rounds: int, count: int, folder: Path, places: Path | None) -> dict[str, Any]:
    files_of(names)  # fetched and converted before anything is timed
    frames = cases.picture(folder)
    for name in names:
        np.save(folder / f"{name}.npy", cases.ready_input(name, frames))
    children: dict[tuple[str, int], Child] = {}
    takes = {each: [name for name in names if name in cases.CONTENDERS[each]] for each in CONTENDERS}
    for kind in CONTENDERS:
        for threads in THREADS if takes[kind] else ():
            command = [environments.python_of(kind, places), __file__, "--child", kind, str(threads), str(frames)]
            children[kind, threads] = Child(f"{kind}, {threads} threads", [*command, "--networks", *takes[kind]])
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    for name in names:
        for kind, threads in children:
            if name in takes[kind]:
                children[kind, threads].ask("outputs", name, 0)
                paths = (folder / f"{each} {name}.npz" for each in (f"{kind} {threads}", "mnnlite 1"))
                apart = cases.unlike(*paths)
                rows[name, kind, threads] = {"apart": apart, "frame_ms": [], "engine_ms": []}
    for (name, kind, threads), row in rows.items():
        children[kind, threads].ask("frame", name, count)  # warm
        row["equal"] = row["apart"] <= cases.TOLERANCE["normal"]
    for _ in range(rounds):
        for (name, kind, threads), row in rows.items():
            for what in ("frame", "engine"):
                row[f"{what}_ms"] += children[kind, threads].ask(what, name, count)["ms"]
    for child in children.values():
        child.close()
    return {
        "rows": [
            {
                "network": name,
                "contender": kind,
                "threads": threads,
                **row,
                **{f"{what}_ms": machine.median(row[f"{what}_ms"]) for what in ("frame", "engine")},
                "frame_spread": machine.spread(row["frame_ms"]),
            }
            for (name, kind, threads), row in rows.items()
        ]
    }


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="turns of each contender")
    parser.add_argument("--frames", type=int, default=8, help="frames a turn")
    parser.add_argument("--networks", nargs="*", default=list(NAMES), choices=NAMES, metavar="NAME")
    environments.add_option(parser)
    parser.add_argument(
        "--child", nargs=3, metavar=("CONTENDER", "THREADS", "FRAMES"), help="used by this script itself"
    )
    args = parser.parse_args()
    if args.child:
        kind, threads, frames = args.child
        serve(kind, int(threads), Path(frames), args.networks)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measured(args.networks, args.rounds, args.frames, Path(folder), args.environments)
    lines = [f"{'network':32}{'contender':14}{'threads':>8}{'engine ms':>11}{'apart':>10}  frame ms"]
    lines += [
        f"{row['network']:32}{row['contender']:14}{row['threads']:8}{row['engine_ms']:11.2f}{row['apart']:10.1e}"
        f"  {row['frame_spread']}" + ("" if row["equal"] else "  NOT EQUAL")
        for row in found["rows"]
    ]
    machine.report("one_network", found, lines, args.json)
    if not all(row["equal"] for row in found["rows"]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
