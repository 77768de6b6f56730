"""Eleven networks on a 1080p frame, from the picture in memory to decoded results: mnnlite's Runtime beside MNN and LiteRT.

    python benchmarks/frame_time.py [--image PICTURE] [--rounds 12] [--lanes 2] [--environments FOLDER] [--json]

The networks are those of mediapipe 0.10.14 that MNN's converter takes, each with its own picture (letterbox or stretched)
and decoder: boxes with points, landmarks, heat maps, masks, scores (benchmarks/mediapipe_tasks.py). MNN's Python package
(Session API) and LiteRT get OpenCV and NumPy around them, which do the same; that the results of all agree is checked first.

Each contender lives in a child process and waits while another works; they take turns of a few frames, so that a busy
machine is busy for all. `frame ms` is the median over all frames, `faster` the median over the rounds of the ratio of
each round's medians. Overhead is a frame's time less the stages of the lane that had most to do, a task; then the same
with a Python thread beside it that never rests: at most one switch interval a frame more (5 ms). Cold start: from the
first constructor to the first frame's results, in fresh processes that take turns.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import environments
import machine
import numpy as np
import psutil
from environments import Child, answer
from many_models import networks
from mediapipe_tasks import KINDS, Decoder, differences, spec_of

CONTENDERS = ("MNN, 1 thread", "MNN, 2 threads", "LiteRT, 1 thread", "LiteRT, 2 threads")
QUIET = 0.1  # cores used by other processes


class Ours:
    """The Runtime with decoders."""

    def __init__(self, lanes: int) -> None:
        import mnnlite

        self.package, self.lanes = mnnlite, lanes

    def load(self, files: dict[str, tuple[Path, Path]]) -> None:
        self.runtime = self.package.Runtime(lanes=self.lanes)
        self.runtime.add_all({name: spec_of(KINDS[name], path) for name, (_, path) in files.items()})

    def frame(self, image: Any) -> Any:
        return self.runtime.process(self.package.Frame(image, "BGR"))

    def critical_us(self, result: Any) -> float:
        """Microseconds of the stages on the lane that had most to do."""
        lane_of = {name: task.lane for name, task in self.runtime.memory().tasks.items()}
        spent = [0.0] * self.lanes
        for name, stages in result.timing.items():
            spent[lane_of[name]] += sum(stages.values()) / 1e3
        return max(spent)


class Theirs:
    """OpenCV and NumPy around an engine's Python package."""

    def __init__(self, threads: int) -> None:
        import cv2

        cv2.setNumThreads(threads)
        self.cv2, self.threads = cv2, threads
        self.models: dict[str, tuple[Any, Decoder]] = {}

    def load(self, files: dict[str, tuple[Path, Path]]) -> None:
        self.models = {name: (self.open(each), Decoder(KINDS[name], self.cv2)) for name, each in files.items()}

    def frame(self, image: Any) -> Any:
        results = {}
        for name, (model, decoder) in self.models.items():
            picture, place = decoder.picture(image)
            results[name] = decoder.decode(self.run(model, picture), place)
        return results

    def open(self, files: tuple[Path, Path]) -> Any:
        raise NotImplementedError

    def run(self, model: Any, picture: Any) -> dict[str, Any]:
        raise NotImplementedError


class Mnn(Theirs):
    """MNN's own Python package, Session API."""

    def open(self, files: tuple[Path, Path]) -> Any:
        import MNN

        self.package = MNN
        interpreter = MNN.Interpreter(str(files[1]))
        session = interpreter.createSession({"backend": "CPU", "numThread": self.threads})
        outputs = {}
        for name, tensor in interpreter.getSessionOutputAll(session).items():
            shape = tensor.getShape()
            array = np.zeros(shape, np.float32)
            host = MNN.Tensor(shape, MNN.Halide_Type_Float, array, tensor.getDimensionType())
            outputs[name] = (tensor, host, array)
        return interpreter, session, interpreter.getSessionInput(session), outputs

    def run(self, model: Any, picture: Any) -> dict[str, Any]:
        interpreter, session, target, outputs = model
        host = self.package.Tensor(picture.shape, self.package.Halide_Type_Float, picture, target.getDimensionType())
        target.copyFrom(host)
        interpreter.runSession(session)
        found = {}
        for name, (tensor, into, array) in outputs.items():
            tensor.copyToHostTensor(into)
            found[name] = np.asarray(into.getNumpyData()).reshape(array.shape)
        return found


class LiteRt(Theirs):
    """LiteRT on the files as their authors published them."""

    def open(self, files: tuple[Path, Path]) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(files[0]), num_threads=self.threads)
        interpreter.allocate_tensors()
        return interpreter

    def run(self, model: Any, picture: Any) -> dict[str, Any]:
        model.set_tensor(model.get_input_details()[0]["index"], picture)
        model.invoke()
        return {each["name"]: model.get_tensor(each["index"]) for each in model.get_output_details()}


def made_of(contender: str) -> Any:
    kind, count = contender.split(", ")
    return {"mnnlite": Ours, "MNN": Mnn, "LiteRT": LiteRt}[kind](int(count.split()[0]))


# ---- the child's side


def serve(contender: str, image: Any) -> None:
    """Load, then do what the lines of standard input ask for; one line of JSON each."""
    files = networks()
    made = made_of(contender)
    begin = time.perf_counter()
    made.load(files)
    result = made.frame(image)
    answer({"cold_ms": 1e3 * (time.perf_counter() - begin)})
    del result
    for line in sys.stdin:
        what, *rest = line.rstrip("\n").split(" ")
        if what == "frames":
            answer({"ms": [1e3 * timed(made, image) for _ in range(int(rest[0]))]})
        elif what == "overhead":
            answer({"us": overhead(made, image, int(rest[0])), "plan": made.runtime.plan()})
        elif what == "busy":
            answer({"us": beside_a_busy_thread(made, image, int(rest[0]))})
        elif what == "keep":
            Path(rest[0]).write_bytes(pickle.dumps(made.frame(image)))
            answer({})
        elif what == "compare":
            answer({"differences": compare(made, image, list(files), Path(rest[0]))})


def timed(made: Any, image: Any) -> float:
    begin = time.perf_counter()
    made.frame(image)
    return time.perf_counter() - begin


def overhead(made: Ours, image: Any, frames: int) -> float:
    """Microseconds a frame that are not work of the critical lane: the median."""
    found = []
    for _ in range(frames):
        begin = time.perf_counter()
        result = made.frame(image)
        found.append(1e6 * (time.perf_counter() - begin) - made.critical_us(result))
    return machine.median(found)


def beside_a_busy_thread(made: Ours, image: Any, frames: int) -> float:
    with machine.busy_thread():
        return overhead(made, image, frames)


def compare(made: Ours, image: Any, names: list[str], kept: Path) -> list[str]:
    """What differs between mnnlite's results and those that another contender kept."""
    ours, theirs = made.frame(image), pickle.loads(kept.read_bytes())
    diagonal = float(np.hypot(*image.shape[:2]))
    return [
        f"{name}: {line}" for name in names for line in differences(ours[name], theirs[name], KINDS[name], diagonal)
    ]


# ---- the parent's side


def start(contender: str, args: argparse.Namespace) -> Child:
    command = [environments.python_of(contender, args.environments), __file__, "--child", contender]
    return Child(contender, [*command, *(["--image", args.image] if args.image else [])])


def check(children: dict[str, Child], ours: str) -> list[str]:
    """What differs from mnnlite's results, of all others."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in CONTENDERS:
            kept = Path(folder) / name.replace(" ", "-")
            children[name].ask("keep", kept)
            found += [f"{name}: {line}" for line in children[ours].ask("compare", kept)["differences"]]
    return found


def picture(path: str | None) -> Any:
    """A 1080p BGR frame."""
    import cv2

    if path is None:  # clouds: no detail that one resizing keeps and another does not
        small = np.random.default_rng(0).integers(0, 256, (27, 48, 3), np.uint8)
        return cv2.resize(small, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    image = cv2.imread(path)
    if image is None:
        raise SystemExit(f"--image {path}: no picture there")
    return cv2.resize(image, (1920, 1080), interpolation=cv2.INTER_AREA)


class Others:
    """What other processes take of the machine while the children work."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._last = self._now()

    def _now(self) -> tuple[float, float]:
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0)
        return time.perf_counter(), busy - sum(child.cpu_s() for child in self._children)

    def cores(self) -> float:
        """Cores used since the last call."""
        (before, used), self._last = self._last, self._now()
        return max(0.0, (self._last[1] - used) / (self._last[0] - before))


def measured(args: argparse.Namespace) -> dict[str, Any]:
    ours = f"mnnlite, {args.lanes} lane{'s' if args.lanes > 1 else ''}"
    names = tuple(dict.fromkeys(("mnnlite, 1 lane", ours, *CONTENDERS)))
    cold: dict[str, list[float]] = {name: [] for name in names}
    children: dict[str, Child] = {}
    for turn in range(args.cold):
        for name in names:
            child = start(name, args)
            cold[name].append(child.first["cold_ms"])
            if turn == args.cold - 1:
                children[name] = child
            else:
                child.close()
    found: dict[str, Any] = {"differences": check(children, ours)}
    for child in children.values():
        child.ask("frames", args.frames)  # warm
    rounds: list[dict[str, list[float]]] = []
    others: list[float] = []
    meter = Others(list(children.values()))
    for _ in range(args.rounds):
        rounds.append({name: child.ask("frames", args.frames)["ms"] for name, child in children.items()})
        others.append(meter.cores())
    every = {name: [ms for each in rounds for ms in each[name]] for name in names}
    mnn = [name for name in names if name.startswith("MNN")]
    best = min(mnn, key=lambda name: machine.median(every[name]))
    faster = [machine.median(each[best]) / machine.median(each[ours]) for each in rounds]
    quiet = [ratio for ratio, cores in zip(faster, others, strict=True) if cores < QUIET]
    plain = children[ours].ask("overhead", args.rounds * args.frames)
    tasks = len(networks())
    found |= {
        "frame_ms": {name: machine.median(ms) for name, ms in every.items()},
        "spread": {name: machine.spread(ms) for name, ms in every.items()},
        "cold_ms": {name: machine.median(ms) for name, ms in cold.items()},
        "best_of_MNN": best,
        "faster_than_MNN": machine.median(faster),
        "cores_used_by_others": machine.median(others),
        "quiet_rounds": len(quiet),
        "faster_than_MNN_in_quiet_rounds": machine.median(quiet) if quiet else None,
        "overhead_us_a_task": plain["us"] / tasks,
        "overhead_ms_a_frame": plain["us"] / 1e3,
        "overhead_ms_a_frame_beside_a_busy_thread": children[ours].ask("busy", args.frames * 4)["us"] / 1e3,
        "plan": plain["plan"],
    }
    for child in children.values():
        child.close()
    return found


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--image", help="a picture to show them, resized to 1080p; coloured clouds if not given")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each contender")
    parser.add_argument("--frames", type=int, default=8, help="frames a turn")
    parser.add_argument("--cold", type=int, default=5, help="cold starts of each contender")
    parser.add_argument("--lanes", type=int, default=2)
    environments.add_option(parser)
    parser.add_argument("--child", help="used by this script itself")
    args = parser.parse_args()
    if args.child:
        serve(args.child, picture(args.image))
        return
    networks()  # fetched and converted before anything is timed
    found = measured(args)
    lines = [f"{'':20}{'cold ms':>9}  frame ms"]
    lines += [f"{name:20}{found['cold_ms'][name]:9.0f}  {text}" for name, text in found["spread"].items()]
    lines += [
        f"{found['faster_than_MNN']:.2f} times faster than {found['best_of_MNN']}",
        f"  others used {found['cores_used_by_others']:.2f} cores; "
        + (
            f"{found['faster_than_MNN_in_quiet_rounds']:.2f} in the {found['quiet_rounds']} quiet rounds"
            if found["quiet_rounds"]
            else "no round was quiet"
        ),
        f"overhead {found['overhead_us_a_task']:.0f} us a task ({found['overhead_ms_a_frame']:.2f} ms a frame), "
        f"{found['overhead_ms_a_frame_beside_a_busy_thread']:.2f} ms a frame beside a busy Python thread",
        *(f"not the same as mnnlite's: {line}" for line in found["differences"]),
        found["plan"],
    ]
    machine.report("frame_time", found, lines, args.json)


if __name__ == "__main__":
    main()
