"""Tuned pipelines beside the engine's usual options, MNN's own Python package, LiteRT and ONNX Runtime: memory and time of a frame.

    python benchmarks/tune.py [--yolo FOLDER] [--road FOLDER] [--only a] [--rounds 30] [--plot FOLDER] [--json]

Set a: the eleven networks of many_models.py. Set b, with --yolo: yolov8n.onnx, yolo11n.onnx and yolov8n-seg.onnx of a folder,
exports at 320x320 (`yolo export model=yolov8n.yaml format=onnx imgsz=320` gives random weights). Set c, with --road: fastestdet,
twinlitenet, gtsrb_cnn and deeplab_cityscapes of a folder of networks, each in a folder of its name. One lane, one thread.

Each set is tuned four times from one measurement: for the least time, and for the least memory within 1.03, 1.06 and, with mapped
weights, 1.05 of the usual options' time as tuning reckons it. Then all contenders are loaded, each in a process of its own, and
work on the same frame in turns. MiB: anonymous memory after two frames over the moment before the first network was loaded.
Time: from a BGR frame in memory to all outputs as arrays; the ratio to the usual options is of the same round, and the median of
these. The peers resize with OpenCV and scale with NumPy, the usual way.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fetch
import machine
import numpy as np
from many_models import networks
from memory_one_model import anonymous

YOLO = ("yolov8n", "yolo11n", "yolov8n-seg")
ROAD = ("fastestdet", "twinlitenet", "gtsrb_cnn", "deeplab_cityscapes")
BOUNDS = {"within 1.03": (1.03, False), "within 1.06": (1.06, False), "mapped, within 1.05": (1.05, True)}
SIZE = (720, 1280)
Files = dict[str, tuple[Path | None, Path]]  # original and .mnn by name


def converted(folder: Path) -> Files:
    """The exports and what mnnlite makes of them."""
    from mnnlite.convert import convert

    found: Files = {}
    for name in YOLO:
        source, target = folder / f"{name}.onnx", fetch.FOLDER / f"tune-{name}.mnn"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            convert(source, target, compare=False)
        found[name] = (source, target)
    return found


def road(folder: Path) -> Files:
    """Networks of a folder; those without an original are MNN's alone."""
    found: Files = {}
    for name in ROAD:
        source = folder / name / f"{name}.onnx"
        found[name] = (source if source.exists() else None, folder / name / f"{name}.mnn")
    return found


def pipeline_of(files: Files) -> Any:
    """All tasks with raw outputs, as the peers give them."""
    import mnnlite
    from mnnlite.pipeline import Pipeline

    tasks = {}
    for name, (_, path) in files.items():
        # What an exporter leaves open, and a tensor typed NCHW that holds NHWC.
        more = {"shapes": {"input": (1, 30, 30, 3)}} if name == "gtsrb_cnn" else {}
        layout = "NHWC" if name == "gtsrb_cnn" else None
        tasks[name] = mnnlite.TaskSpec(str(path), mnnlite.ImageSpec(std=255, color="RGB", layout=layout), **more)
    return Pipeline(tasks)


class Ours:
    def __init__(self, argument: str) -> None:
        import mnnlite
        from mnnlite import pipeline

        self.package = mnnlite
        self.spec = pipeline.load(argument)

    def load(self) -> list[str]:
        self.runtime = self.spec.open()
        return []

    def frame(self, image: Any) -> Any:
        return self.runtime.process(self.package.Frame(image, "BGR"))


class Peer:
    """A picture for each network by OpenCV and NumPy."""

    def __init__(self, argument: str) -> None:
        import cv2

        cv2.setNumThreads(1)
        self.cv2, self.files = cv2, json.loads(argument)
        self.models: dict[str, Any] = {}

    def load(self) -> list[str]:
        refused = []
        for name, (original, path) in self.files.items():
            try:
                self.models[name] = self.one(original, path)
            except (RuntimeError, ValueError, TypeError):
                refused.append(name)
        return refused

    def picture(self, image: Any, shape: Any) -> Any:
        nhwc = shape[3] == 3
        height, width = (shape[1], shape[2]) if nhwc else (shape[2], shape[3])
        small = self.cv2.cvtColor(self.cv2.resize(image, (width, height)), self.cv2.COLOR_BGR2RGB)
        made = small[None].astype(np.float32) / np.float32(255)
        return made if nhwc else np.ascontiguousarray(made.transpose(0, 3, 1, 2))

    def frame(self, image: Any) -> Any:
        return [self.run(model, image) for model in self.models.values()]

    def one(self, original: str | None, path: str) -> Any:
        raise NotImplementedError

    def run(self, model: Any, image: Any) -> Any:
        raise NotImplementedError


class Mnn(Peer):
    def one(self, original: str | None, path: str) -> Any:
        import MNN

        interpreter = MNN.Interpreter(path)
        session = interpreter.createSession({"backend": "CPU", "numThread": 1})
        target = interpreter.getSessionInput(session)
        if min(target.getShape()) < 1:
            interpreter.resizeTensor(target, (1, 30, 30, 3))
            interpreter.resizeSession(session)
        outputs = []
        for tensor in interpreter.getSessionOutputAll(session).values():
            shape = tensor.getShape()
            kind = MNN.Halide_Type_Int if tensor.getDataType() == MNN.Halide_Type_Int else MNN.Halide_Type_Float
            array = np.zeros(shape, np.int32 if kind == MNN.Halide_Type_Int else np.float32)
            outputs.append((tensor, MNN.Tensor(shape, kind, array, tensor.getDimensionType()), array))
        return MNN, interpreter, session, target, outputs

    def run(self, model: Any, image: Any) -> Any:
        package, interpreter, session, target, outputs = model
        picture = self.picture(image, target.getShape())
        target.copyFrom(package.Tensor(picture.shape, package.Halide_Type_Float, picture, target.getDimensionType()))
        interpreter.runSession(session)
        for tensor, into, _ in outputs:
            tensor.copyToHostTensor(into)
        return [np.array(into.getNumpyData()) for _, into, _ in outputs]


class LiteRt(Peer):
    def one(self, original: str | None, path: str) -> Any:
        from ai_edge_litert.interpreter import Interpreter

        if original is None or not original.endswith(".tflite"):
            raise ValueError(original)
        interpreter = Interpreter(original, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter

    def run(self, model: Any, image: Any) -> Any:
        target = model.get_input_details()[0]
        model.set_tensor(target["index"], self.picture(image, target["shape"]))
        model.invoke()
        return [model.get_tensor(each["index"]) for each in model.get_output_details()]


class Onnx(Peer):
    def one(self, original: str | None, path: str) -> Any:
        import onnxruntime

        if original is None or not original.endswith(".onnx"):
            raise ValueError(original)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(original, options, providers=["CPUExecutionProvider"])
        source = session.get_inputs()[0]
        shape = [side if isinstance(side, int) else 1 for side in source.shape]
        return session, source.name, shape

    def run(self, model: Any, image: Any) -> Any:
        session, name, shape = model
        return session.run(None, {name: self.picture(image, shape)})


CONTENDERS: dict[str, Any] = {"mnnlite": Ours, "MNN": Mnn, "LiteRT": LiteRt, "ONNX Runtime": Onnx}


def child(kind: str, argument: str) -> None:
    """Load, say what it took, then work on a frame for each line that comes."""
    made = CONTENDERS[kind](argument)
    image = np.kron(np.random.default_rng(0).integers(0, 256, (18, 32, 3)), np.ones((40, 40, 1))).astype(np.uint8)
    assert image.shape[:2] == SIZE
    first = CONTENDERS[kind](argument)  # what only a first use leaves behind
    first.load()
    first.frame(image)
    if kind == "mnnlite":
        first.runtime.close()
    del first
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    start = anonymous()
    refused = made.load()
    made.frame(image)
    made.frame(image)
    print("\n" + json.dumps({"mib": anonymous() - start, "refused": refused}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        made.frame(image)
        print(json.dumps(1e3 * (time.perf_counter() - begin)), flush=True)


class Child:
    def __init__(self, kind: str, argument: str) -> None:
        command = [sys.executable, __file__, "--child", kind, argument]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.times: list[float] = []
        self.facts = self.answer("mib")

    def answer(self, wanted: str | None = None) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                found = json.loads(line)
            except ValueError:
                continue  # what an engine prints
            if wanted is None or (isinstance(found, dict) and wanted in found):
                return found
        raise SystemExit(f"{self.process.args}: ended with {self.process.wait()}")

    def frame(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("frame\n")
        self.process.stdin.flush()
        self.times.append(float(self.answer()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def one_set(name: str, files: Files, rounds: int, plot: Path | None) -> dict[str, Any]:
    from mnnlite import observe, pipeline
    from mnnlite.cli.tune import _points
    from mnnlite.tune import tune, tuned_pipeline

    what = pipeline_of(files)
    found = tune(what, mapped=True, on_task=lambda task: print(f"set {name}: measuring {task}", file=sys.stderr))
    usual = found.before.frame_ms
    heap = tune(what)
    chosen = {"least time": heap}
    for title, (bound, mapped) in BOUNDS.items():
        chosen[title] = tune(what, frame_ms=bound * usual, mapped=mapped)
    if plot is not None:
        observe.plot_fronts(
            _points(heap), plot / f"tune-{name}.png", f"Set {name}: fronts and the choice for the least time"
        )
    with tempfile.TemporaryDirectory() as folder:
        children: dict[str, Child] = {}
        try:
            for title, made in {
                "usual options": what,
                **{key: tuned_pipeline(what, each.choice) for key, each in chosen.items()},
            }.items():
                path = Path(folder) / f"{len(children)}.toml"
                pipeline.save(made, path)
                children[title] = Child("mnnlite", str(path))
            listed = json.dumps(
                {key: (None if each[0] is None else str(each[0]), str(each[1])) for key, each in files.items()}
            )
            peers = ("MNN", "LiteRT") if name == "a" else ("MNN", "ONNX Runtime")
            children |= {kind: Child(kind, listed) for kind in peers}
            order = list(children.values())
            for turn in range(rounds):
                for step in range(len(order)):
                    order[(turn + step) % len(order)].frame()
        finally:
            for each in children.values():
                each.close()
    base = children["usual options"]
    rows = {}
    for title, each in children.items():
        ratios = [mine / theirs for mine, theirs in zip(each.times, base.times, strict=True)]
        rows[title] = {
            "mib": each.facts["mib"],
            "of_usual": each.facts["mib"] / base.facts["mib"],
            "ms": each.times,
            "time_ratio": statistics.median(ratios),
            "time_ratio_quartiles": statistics.quantiles(ratios, n=4)[::2],
            "refused": each.facts["refused"],
            "expected": (chosen[title].choice.peak / 2**20, chosen[title].choice.frame_ms / usual)
            if title in chosen
            else None,
        }
    fronts = {
        task: [
            {"options": each.options.unusual({}), "ms": each.ms, "mib": each.cost.running / 2**20, "agreement": each.agreement,
             "spread": each.spread}
            for each in front.alternatives
        ]
        for task, front in found.fronts.items()
    }  # fmt: skip
    return {"rows": rows, "fronts": fronts, "not_stable": found.not_stable,
            "choices": {title: {task: each.options.unusual({}) for task, each in made.choice.tasks.items()} for title, made in chosen.items()}}  # fmt: skip


def lines_of(name: str, result: dict[str, Any]) -> list[str]:
    lines = [f"set {name}: {len(result['fronts'])} networks"]
    lines += [f"  {'':22}{'MiB':>8}{'of usual':>10}{'time':>8}  (quartiles)   ms a frame"]
    for title, row in result["rows"].items():
        low, high = row["time_ratio_quartiles"]
        lines.append(
            f"  {title:22}{row['mib']:8.1f}{row['of_usual']:10.2f}{row['time_ratio']:8.3f}  ({low:.3f} {high:.3f})"
            f"  {machine.spread(row['ms'])}" + (f"  without {', '.join(row['refused'])}" if row["refused"] else "")
        )
    for task, points in result["fronts"].items():
        lines.append(
            f"  {task}: "
            + "; ".join(
                f"{', '.join(point['options'].values()) or 'usual'} {point['ms']:.2f} ms {point['mib']:.1f} MiB"
                for point in points
                if "mapped" not in point["options"].values()
            )
        )
    if result["not_stable"]:
        lines.append(f"  not stable: {', '.join(result['not_stable'])}")
    return lines


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--yolo", type=Path, metavar="FOLDER", help="set b: exports as .onnx")
    parser.add_argument("--road", type=Path, metavar="FOLDER", help="set c: a folder of networks")
    parser.add_argument("--only", help="sets whose letter is in this")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw fronts here")
    parser.add_argument("--child", nargs=2, help="used by this script itself")
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    os.environ.setdefault("MNNLITE_CACHE", str(fetch.FOLDER / "tune-cache"))
    sets: dict[str, Files] = {"a": dict(networks())}
    if args.yolo:
        sets["b"] = converted(args.yolo)
    if args.road:
        sets["c"] = road(args.road)
    results, lines = {}, []
    for name, files in sets.items():
        if args.only is None or name in args.only:
            results[name] = one_set(name, files, args.rounds, args.plot)
            lines += lines_of(name, results[name])
    machine.report("tune", results, lines, args.json)


if __name__ == "__main__":
    main()
