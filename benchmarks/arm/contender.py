"""One contender's work on some networks, with a mark before and after each stage: what peers.py lets an emulated CPU count.

usage: contender.py CONTENDER PRECISION FRAMES REQUEST

CONTENDER: a key of cases.CONTENDERS. FRAMES: an .npz file with a 1080p picture as bgr, y and uv. REQUEST: a JSON file of
{network: its files}. Prints a line of JSON for each stage; the numbers of its marks lie between `begin` and `end`. A line
with `network` follows the stages of a network.

Stages of a frame: `picture` (from the frame in memory to the input as an array, or with mnnlite to the engine's tensor),
`hand over` (that array into the engine, outputs out of it), `infer` (the engine's own call), `decode` (outputs to results in
pixels of the frame), and `frame`, all of it as a user calls it. Of mnnlite a task is one call: its `picture` is a task
without a decoder less `infer`, its `decode` a task less one without, of BGR; peers.py works these out.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import PICTURES, Usual, spec_of

MARK = 0x5EED
Work = Callable[[], Any]
_libc = ctypes.CDLL(None)
_marks = 0


def mark() -> int:
    """Mark a place; give its number."""
    global _marks
    _marks += 1
    _libc.syscall(MARK, _marks)
    return _marks


def counted(what: dict[str, Any], work: Work, warm: int = 1) -> None:
    """Count one repetition of something that was warmed up; what comes in turns of calls, such as garbage, is kept out."""
    for _ in range(warm):
        work()
    gc.collect()
    gc.disable()
    begin = mark()
    work()
    end = mark()
    gc.enable()
    print("\n" + json.dumps({**what, "begin": begin, "end": end}), flush=True)


class Ours:
    """Mnnlite: tasks, and a model alone."""

    def __init__(self, precision: str) -> None:
        import mnnlite

        self.package, self.precision = mnnlite, precision

    def stages(self, name: str, files: dict[str, str], frames: dict[str, np.ndarray], report: Path) -> None:
        spec = spec_of(name, Path(files["mnn"]))
        plain = dataclasses.replace(spec, decoder="raw")
        arena = {"precision": self.precision}
        model = self.package.Model(files["mnn"], shapes=spec.shapes, **arena)
        ready = np.load(files["ready"])
        (given,) = model.inputs
        np.savez(report, *model.run({given: ready}).values())
        counted({"stage": "infer"}, lambda: model.run(borrow=True), warm=0)  # it ran just now
        with self.package.Task(plain, arena=self.package.Arena(**arena)) as task:
            counted(
                {"format": "BGR", "stage": "without decoder"},
                lambda: task(self.package.Frame(frames["bgr"], "BGR"), borrow=True),
            )
        with self.package.Task(spec, arena=self.package.Arena(**arena)) as task:
            for layout, frame in {
                "BGR": lambda: self.package.Frame(frames["bgr"], "BGR"),
                "NV12": lambda: self.package.Frame.nv12(frames["y"], frames["uv"]),
            }.items():
                counted({"format": layout, "stage": "frame"}, lambda frame=frame: task(frame()))


class Theirs:
    """An engine's Python package with OpenCV and NumPy around it."""

    def __init__(self, precision: str, threads: int = 1) -> None:
        import cv2

        cv2.setNumThreads(threads)
        self.cv2, self.precision, self.threads = cv2, precision, threads

    def stages(self, name: str, files: dict[str, str], frames: dict[str, np.ndarray], report: Path) -> None:
        usual = Usual(name, self.cv2)
        self.open(name, files)
        convert = self.cv2.cvtColorTwoPlane
        makers: dict[str, Work] = {
            "BGR": lambda: usual.picture(frames["bgr"]),
            "NV12": lambda: usual.picture(convert(frames["y"], frames["uv"], self.cv2.COLOR_YUV2BGR_NV12)),
        }
        ready, place = np.load(files["ready"]), usual.picture(frames["bgr"])[1]

        def hand_over() -> dict[str, np.ndarray]:
            self.give(ready)
            return self.take()

        self.give(ready)
        self.infer()
        # Copies: MNN's inputs share memory with what a run leaves, and they are given again below.
        outputs = {name: array.copy() for name, array in self.take().items()}
        np.savez(report, *outputs.values())
        counted({"stage": "hand over"}, hand_over)
        counted({"stage": "infer"}, self.infer, warm=0)  # it ran just now
        counted({"stage": "decode"}, lambda: usual.decode(outputs, place))
        for layout, picture in makers.items():

            def frame(picture: Work = picture) -> Any:
                array, place = picture()
                self.give(array)
                self.infer()
                return usual.decode(self.take(), place)

            counted({"format": layout, "stage": "picture"}, picture)
            counted({"format": layout, "stage": "frame"}, frame, warm=0)  # each of its stages did run

    def open(self, name: str, files: dict[str, str]) -> None:
        raise NotImplementedError

    def give(self, array: np.ndarray) -> None:
        raise NotImplementedError

    def infer(self) -> None:
        raise NotImplementedError

    def take(self) -> dict[str, np.ndarray]:
        raise NotImplementedError


class Mnn(Theirs):
    """MNN's own package, Session API."""

    def open(self, name: str, files: dict[str, str]) -> None:
        import MNN

        self.package = MNN
        self.interpreter = MNN.Interpreter(files["mnn"])
        self.session = self.interpreter.createSession(
            {"backend": "CPU", "numThread": self.threads, "precision": self.precision, "memory": "normal"}
        )
        self.target = self.interpreter.getSessionInput(self.session)
        if name in PICTURES:
            width, height = PICTURES[name].size
            self.interpreter.resizeTensor(self.target, (1, 3, height, width))
            self.interpreter.resizeSession(self.session)
        self.outputs = {}
        for output, tensor in self.interpreter.getSessionOutputAll(self.session).items():
            shape = tensor.getShape()
            array = np.zeros(shape, np.float32)
            host = MNN.Tensor(shape, MNN.Halide_Type_Float, array, tensor.getDimensionType())
            self.outputs[output] = (tensor, host, shape)

    def give(self, array: np.ndarray) -> None:
        kind = self.target.getDimensionType()
        self.target.copyFrom(self.package.Tensor(array.shape, self.package.Halide_Type_Float, array, kind))

    def infer(self) -> None:
        self.interpreter.runSession(self.session)

    def take(self) -> dict[str, np.ndarray]:
        found = {}
        for name, (tensor, host, shape) in self.outputs.items():
            tensor.copyToHostTensor(host)
            found[name] = np.asarray(host.getNumpyData()).reshape(shape)
        return found


class LiteRt(Theirs):
    """LiteRT, with XNNPACK as it comes."""

    def open(self, name: str, files: dict[str, str]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(files["original"], num_threads=self.threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.outputs = {each["name"]: each["index"] for each in self.interpreter.get_output_details()}

    def give(self, array: np.ndarray) -> None:
        self.interpreter.set_tensor(self.input, array)

    def infer(self) -> None:
        self.interpreter.invoke()

    def take(self) -> dict[str, np.ndarray]:
        return {name: self.interpreter.get_tensor(index) for name, index in self.outputs.items()}


class OnnxRuntime(Theirs):
    """ONNX Runtime: its call takes arrays and gives arrays."""

    def open(self, name: str, files: dict[str, str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 3
        self.runtime = onnxruntime.InferenceSession(files["original"], options, providers=["CPUExecutionProvider"])
        self.input = self.runtime.get_inputs()[0].name
        self.names = [each.name for each in self.runtime.get_outputs()]

    def give(self, array: np.ndarray) -> None:
        self.array = array

    def infer(self) -> None:
        self.found = self.runtime.run(None, {self.input: self.array})

    def take(self) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self.found, strict=True))


class Ncnn(Theirs):
    """Ncnn on what pnnx made of the ONNX file."""

    def open(self, name: str, files: dict[str, str]) -> None:
        import ncnn

        self.package, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = self.threads
        half = self.precision == "low"
        self.net.opt.use_fp16_packed = self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = half
        self.net.load_param(files["param"])
        self.net.load_model(files["bin"])
        (self.input,), self.names = self.net.input_names(), self.net.output_names()

    def give(self, array: np.ndarray) -> None:
        self.mat = self.package.Mat(array[0])

    def infer(self) -> None:
        with self.net.create_extractor() as extractor:
            extractor.input(self.input, self.mat)
            self.found = [extractor.extract(name)[1] for name in self.names]

    def take(self) -> dict[str, np.ndarray]:
        return {name: np.array(mat)[None] for name, mat in zip(self.names, self.found, strict=True)}


MADE: dict[str, type[Ours | Theirs]] = {
    "mnnlite": Ours,
    "MNN": Mnn,
    "LiteRT": LiteRt,
    "ONNX Runtime": OnnxRuntime,
    "ncnn": Ncnn,
}


def main() -> None:
    """Work between marks; outputs on the same input are left in a file for each network, to be compared."""
    contender, precision, frames, request = sys.argv[1:]
    asked: dict[str, dict[str, str]] = json.loads(Path(request).read_text())
    pictures = dict(np.load(frames))
    made = MADE[contender](precision)
    for name, files in asked.items():
        counted({"stage": "nothing"}, lambda: None)
        made.stages(name, files, pictures, Path(files["report"]))
        print(json.dumps({"network": name}), flush=True)


if __name__ == "__main__":
    main()
