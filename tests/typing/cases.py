"""What a type checker knows about common uses: read by mypy --strict (`make types`), never run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import mnnlite
from mnnlite import Frame, ImageSpec, Task, TaskSpec, decoders, results

bgr: NDArray[np.uint8] = np.zeros((64, 96, 3), np.uint8)
frame = Frame(bgr, "BGR")
image = ImageSpec(size=(96, 64), fit="letterbox", color="RGB", std=255)

# By its path alone: some results; isinstance says which.
anything = Task("net.mnn")(bgr, "BGR")
assert_type(anything, results.Results)
if isinstance(anything, results.Detections):
    assert_type(anything.boxes_xyxy, NDArray[np.float32])

# With a decoder: what it gives.
assert_type(Task("net.mnn", image=image, decoder=decoders.Ssd())(frame), results.Detections)
assert_type(Task("net.mnn", image=image, decoder=decoders.NanoDet())(frame), results.Detections)
assert_type(Task("net.mnn", image=image, decoder=decoders.Classification())(frame), results.Classes)
assert_type(Task("net.mnn", image=image, decoder=decoders.Ctc(keys=("a",)))(frame), results.Texts)
assert_type(Task("net.mnn", image=image, decoder=decoders.Lanes())(frame), results.Polylines)
assert_type(Task("net.mnn", image=image, decoder=decoders.Embedding())(frame), results.Embeddings)
assert_type(Task("net.mnn", image=image, decoder="raw")(frame), dict[str, NDArray[Any]])
several = Task("net.mnn", image=image, decoder={"a": decoders.Segmentation(), "b": decoders.Lanes()})(frame)
assert_type(several, dict[str, results.Results])

found = Task("net.mnn", image=image, decoder=decoders.Yolo("v8"))(frame)
assert_type(found.boxes_xyxy, NDArray[np.float32])
assert_type(found.scores, NDArray[np.float32])
assert_type(found.labels, list[str])

described = mnnlite.describe("net.mnn")
assert_type(described.task_spec, TaskSpec | None)
assert_type(described.one(), TaskSpec)
assert_type(described.sources["decoder"], str)

# What is misspelt is an error of the checker; an ignore that is not needed is one too.
ImageSpec(fit="letterbx")  # type: ignore[arg-type]
ImageSpec(color="BRG")  # type: ignore[arg-type]
TaskSpec("net.mnn", precision="lowest")  # type: ignore[arg-type]
