#!/usr/bin/env python3
"""Time from output tensors to results, against good NumPy and OpenCV.

One thread, contenders interleaved (A B A B ...), the best of N rounds of each; every result is compared before anything
is timed. "native" is the call that a task makes, "python" is `decoder.decode` on arrays, results included. Losses are
printed like wins. The bound of a head is one read of its tensor, measured here as a sum over it.

    python benchmarks/decode.py [--rounds 60] [--only yolov8] [--json]

Needs opencv-python(-headless); without it the cases that are compared with it are left out and named.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import decode_heads
import machine
import numpy as np

import mnnlite
from mnnlite import _core, decoders

Array = np.ndarray[Any, Any]


class Case(SimpleNamespace):
    """A decoder, its outputs, what does the same without mnnlite, and how the two are compared."""

    name: str
    spec: decoders.Decoder
    outputs: dict[str, Array]
    frame: tuple[int, int]
    usual: Callable[[], Any]
    same: Callable[[Any, Any], None]
    goal: str


def load_cv2() -> Any:
    if importlib.util.find_spec("cv2") is None:
        return None
    import cv2

    cv2.setNumThreads(1)
    return cv2


def objects(rng: np.random.Generator, count: int, candidates: int, side: float) -> tuple[Array, Array, Array]:
    """Give `candidates` boxes around `count` objects, with classes and scores, as a detector leaves them."""
    centers = rng.uniform(0.05, 0.95, (count, 2)) * side
    sizes = np.exp(rng.uniform(np.log(0.03), np.log(0.25), (count, 2))) * side
    which = rng.integers(0, count, candidates)
    boxes = np.concatenate([centers[which], sizes[which]], axis=1) * rng.normal(1, 0.02, (candidates, 4))
    return (
        boxes.astype(np.float32),
        rng.integers(0, 80, count)[which],
        rng.uniform(0.3, 0.95, candidates).astype(np.float32),
    )


def corners(boxes: Array) -> Array:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def same_boxes(found: Any, usual: tuple[Array, Array, Array]) -> None:
    boxes, scores, class_ids = usual
    assert len(found) == len(scores), (len(found), len(scores))
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_allclose(np.sort(found.scores), np.sort(scores), atol=1e-5)
    np.testing.assert_array_equal(np.sort(found.class_ids), np.sort(class_ids))
    np.testing.assert_allclose(found.boxes_xyxy[0], np.clip(boxes[order[0]], 0, found.frame_size[0]), atol=1e-2)


def yolov8(cv2: Any, rng: np.random.Generator) -> Case:
    head = (rng.random((1, 84, 8400)) ** 4 * 0.2).astype(np.float32)
    boxes, class_ids, scores = objects(rng, 100, 900, 640)
    where = rng.choice(8400, 900, replace=False)
    head[0, :4, where] = boxes
    head[0, 4 + class_ids, where] = scores

    def usual() -> tuple[Array, Array, Array]:
        out = head[0]
        classes = out[4:]
        best = classes.max(axis=0)
        keep = np.flatnonzero(best > 0.25)
        ids = classes[:, keep].argmax(axis=0)
        xywh = out[:4, keep].T.copy()
        xywh[:, :2] -= xywh[:, 2:] / 2
        left = cv2.dnn.NMSBoxesBatched(xywh, best[keep], ids, 0.25, 0.45)
        xywh[:, 2:] += xywh[:, :2]
        return xywh[left], best[keep][left], ids[left]

    spec = decoders.Yolo(version="v8", max_detections=1000)
    return Case(
        name="yolov8", spec=spec, outputs={"y": head}, frame=(640, 640), usual=usual, same=same_boxes,
        goal="8x and at most 0.3 ms",
    )  # fmt: skip


def ssd(cv2: Any, rng: np.random.Generator) -> Case:
    boxes, class_ids, scores = objects(rng, 20, 200, 1)
    where = rng.choice(26880, 200, replace=False)
    head, placed = (rng.random((1, 26880, 3)) * 0.3).astype(np.float32), rng.random((1, 26880, 4)).astype(np.float32)
    placed[0, where] = np.clip(corners(boxes), 0, 1)
    head[0, where, class_ids % 3] = scores

    def usual() -> tuple[Array, Array, Array]:
        best = head[0].max(axis=1)
        keep = np.flatnonzero(best > 0.35)
        ids = head[0, keep].argmax(axis=1)
        xywh = placed[0, keep] * 640
        xywh[:, 2:] -= xywh[:, :2]
        left = cv2.dnn.NMSBoxesBatched(xywh, best[keep], ids, 0.35, 0.5)
        xywh[:, 2:] += xywh[:, :2]
        return xywh[left], best[keep][left], ids[left]

    spec = decoders.Ssd(score=0.35, iou=0.5)
    return Case(
        name="ssd", spec=spec, outputs={"s": head, "b": placed}, frame=(640, 640), usual=usual, same=same_boxes, goal=""
    )


def nanodet(cv2: Any, rng: np.random.Generator) -> Case:
    strides, side = (8, 16, 32, 64), 416
    grids = [(stride, -(-side // stride)) for stride in strides]
    cells = sum(n * n for _, n in grids)
    head = np.concatenate([rng.random((1, cells, 80)) ** 4 * 0.35, rng.normal(size=(1, cells, 32)) * 2], axis=2)
    head = head.astype(np.float32)
    which = rng.choice(cells, 150, replace=False)
    head[0, which, rng.integers(0, 80, 150)] = rng.uniform(0.45, 0.95, 150)
    centers = np.concatenate([
        np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2) * stride for stride, n in grids
    ]).astype(np.float32)  # fmt: skip
    steps = np.concatenate([np.full(n * n, stride) for stride, n in grids]).astype(np.float32)
    bins = np.arange(8, dtype=np.float32)

    def usual() -> tuple[Array, Array, Array]:
        classes = head[0, :, :80]
        best = classes.max(axis=1)
        keep = np.flatnonzero(best > 0.4)
        ids = classes[keep].argmax(axis=1)
        logits = head[0, keep, 80:].reshape(-1, 4, 8)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        sides = (powers @ bins) / powers.sum(axis=-1) * steps[keep, None]
        box = np.concatenate([centers[keep] - sides[:, :2], centers[keep] + sides[:, 2:]], axis=1).clip(0, side)
        xywh = box.copy()
        xywh[:, 2:] -= xywh[:, :2]
        left = cv2.dnn.NMSBoxesBatched(xywh, best[keep], ids, 0.4, 0.6)
        return box[left], best[keep][left], ids[left]

    return Case(
        name="nanodet", spec=decoders.NanoDet(), outputs={"y": head}, frame=(side, side), usual=usual, same=same_boxes,
        goal="",
    )  # fmt: skip


def text_map(cv2: Any, rng: np.random.Generator, size: int = 640, count: int = 30) -> Array:
    map_ = np.zeros((size, size), np.float32)
    for _ in range(count):
        box = (
            (rng.uniform(40, size - 40), rng.uniform(20, size - 20)),
            (rng.uniform(40, 120), rng.uniform(8, 20)),
            rng.uniform(-20, 20),
        )
        cv2.fillPoly(map_, [cv2.boxPoints(box).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(map_, (5, 5), 1.2) * 0.95


def dbtext(cv2: Any, rng: np.random.Generator) -> Case:
    probability = text_map(cv2, rng)

    def usual() -> list[Any]:
        bitmap = (probability > 0.3).astype(np.uint8)
        found = []
        for contour in cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
            center, size, angle = cv2.minAreaRect(contour)
            if min(size) < 3:
                continue
            box = cv2.boxPoints((center, size, angle))
            x1, y1 = np.floor(box.min(axis=0)).astype(int).clip(0)
            x2, y2 = np.ceil(box.max(axis=0)).astype(int) + 1
            mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
            cv2.fillPoly(mask, [(box - (x1, y1)).astype(np.int32)], 1)
            part = probability[y1:y2, x1:x2]
            if cv2.mean(part, mask[: part.shape[0], : part.shape[1]])[0] < 0.6:
                continue
            grow = size[0] * size[1] * 1.5 / (size[0] + size[1])
            found.append(cv2.boxPoints((center, (size[0] + grow, size[1] + grow), angle)))
        return found

    def same(found: Any, boxes: list[Any]) -> None:
        assert abs(len(found) - len(boxes)) <= 2, (len(found), len(boxes))

    return Case(
        name="dbtext", spec=decoders.DbText(), outputs={"p": probability[None, None]}, frame=(640, 640), usual=usual,
        same=same, goal="",
    )  # fmt: skip


def street(cv2: Any, rng: np.random.Generator, channels: int, height: int, width: int) -> Array:
    """Scores of a street-like picture: large areas with bent borders, and small ones on them."""
    small = rng.normal(size=(channels, height // 64, width // 64)).astype(np.float32)
    fine = rng.normal(size=(channels, height // 16, width // 16)).astype(np.float32) * 0.35
    return np.stack([
        cv2.resize(a, (width, height), interpolation=cv2.INTER_CUBIC) + cv2.resize(b, (width, height), interpolation=cv2.INTER_CUBIC)
        for a, b in zip(small, fine, strict=True)
    ])  # fmt: skip


def argmax(cv2: Any, rng: np.random.Generator) -> Case:
    head = street(cv2, rng, 19, 512, 1024)[None]

    def same(found: Any, classes: Array) -> None:
        np.testing.assert_array_equal(found.class_map(), classes)

    return Case(
        name="argmax", spec=decoders.Segmentation(), outputs={"y": head}, frame=(1024, 512),
        usual=lambda: np.argmax(head[0], axis=0), same=same, goal="10x; a native call measures areas as well",
    )  # fmt: skip


def contours(cv2: Any, rng: np.random.Generator) -> Case:
    classes = street(cv2, rng, 19, 512, 1024).argmax(axis=0).astype(np.uint8)

    def usual() -> int:
        count = 0
        for c in np.unique(classes):
            found, _ = cv2.findContours((classes == c).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
            for contour in found:
                cv2.approxPolyDP(contour, 1.0, True)
            count += len(found)
        return count

    def same(found: Any, count: int) -> None:
        assert len(found) == count, (len(found), count)

    spec = decoders.Segmentation(output="polygons", mode="classes", max_polygons=16384, max_points=1 << 20)
    return Case(
        name="contours",
        spec=spec,
        outputs={"y": classes[None]},
        frame=(1024, 512),
        usual=usual,
        same=same,
        goal="near 1x",
    )


def ctc(_: Any, rng: np.random.Generator) -> Case:
    steps = rng.random((1, 40, 6906)).astype(np.float32) * 1e-3
    steps[0, np.arange(40), rng.integers(0, 6906, 40)] = 0.9
    keys = tuple(chr(0x4E00 + k) for k in range(6905))

    def usual() -> str:
        best, top = steps[0].argmax(axis=1), steps[0].max(axis=1)
        keep = (best != 0) & np.insert(best[1:] != best[:-1], 0, True)
        return "".join(keys[k - 1] for k in best[keep]) + f"{top[keep].mean():.0f}"[:0]

    def same(found: Any, text: str) -> None:
        assert found.text == [text]

    return Case(
        name="ctc", spec=decoders.Ctc(keys=keys), outputs={"y": steps}, frame=(320, 48), usual=usual, same=same, goal=""
    )


CASES = {case.__name__: case for case in (yolov8, ssd, nanodet, dbtext, argmax, contours, ctc)} | decode_heads.CASES


def best_of(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Best microseconds of each, in turns; a contender gives its own nanoseconds."""
    best = dict.fromkeys(contenders, math.inf)
    for contender in contenders.values():
        contender()
    for _ in range(rounds):
        for name, contender in contenders.items():
            best[name] = min(best[name], contender() / 1000)
    return best


def wall(call: Callable[[], Any]) -> Callable[[], float]:
    def timed() -> float:
        start = time.perf_counter_ns()
        call()
        return time.perf_counter_ns() - start

    return timed


def measure(case: SimpleNamespace, rounds: int) -> dict[str, Any]:
    case.same(case.spec.decode(case.outputs, case.frame), case.usual())
    native = _core.ArrayDecoder(case.spec.family, case.spec.native_options())
    tensors = [(name, array, 0, None, 0.0, 0) for name, array in case.outputs.items()]
    slots = [decoders.batch_item(None, case.frame)]
    flat = [array.reshape(-1).view(np.uint8) for array in case.outputs.values()]
    whole = [array[: len(array) // 8 * 8].view(np.uint64) for array in flat]
    times = best_of(
        {
            "usual": wall(case.usual),
            "native": lambda: native.time(tensors, slots, 1)[0],
            "python": wall(lambda: case.spec.decode(case.outputs, case.frame)),
            "read": wall(lambda: [np.bitwise_or.reduce(array) for array in whole]),
        },
        rounds,
    )
    return {
        "case": case.name,
        "goal": case.goal,
        **{f"{name}_us": round(value, 1) for name, value in times.items()},
        "ratio_native": round(times["usual"] / times["native"], 2),
        "ratio_python": round(times["usual"] / times["python"], 2),
        "needs": native.needs,
    }


PLUGIN = r"""
#include <Python.h>
#include "mnnlite/decoder.h"
static int create(const mnnlite_option* o, int32_t n, void** s, char* e) { (void)o; (void)n; (void)e; *s = 0; return 0; }
static int plan(void* s, const mnnlite_tensor* t, int32_t n, int32_t m, mnnlite_needs* needs) {
  (void)s; (void)t; (void)n; needs->kind = MNNLITE_DETECTIONS; needs->rows = m; return 0; }
static int decode(void* s, const mnnlite_tensor* t, int32_t n, const mnnlite_item* i, int32_t m, mnnlite_sink* sink, void* x) {
  (void)s; (void)t; (void)n; (void)i; (void)m; (void)x; sink->found = 0; return 0; }
static void destroy(void* s) { (void)s; }
static const mnnlite_decoder_v2 table = {MNNLITE_DECODER_ABI, sizeof(mnnlite_decoder_v2), "nothing", create, plan, decode, destroy};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "nothing", NULL, -1, NULL, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_nothing(void) {
  PyObject* m = PyModule_Create(&module);
  PyModule_AddObject(m, "__mnnlite_decoder__", PyCapsule_New((void*)&table, MNNLITE_DECODER_CAPSULE, NULL));
  return m; }
"""


def plugin_call() -> float | None:
    """Nanoseconds of a call of a plug-in that does nothing, checks of what it returns included; None without gcc."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "nothing.c", Path(folder) / "nothing.so"
        source.write_text(PLUGIN)
        include = ["-I", mnnlite.get_include(), "-I", sysconfig.get_path("include")]
        command = ["cc", "-O2", "-shared", "-fPIC", *include, str(source), "-o", str(library)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        spec = importlib.util.spec_from_file_location("nothing", library)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        native = _core.ArrayDecoder(module.__mnnlite_decoder__, {})
        item = decoders.batch_item(None, (8, 8))
        times = native.time([("y", np.zeros((1, 4), np.float32), 0, None, 0.0, 0)], [item], 20000)
        return float(np.median(times))


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", choices=sorted(CASES), action="append")
    options = parser.parse_args()
    cv2 = load_cv2()
    rows, left_out = [], []
    for name in options.only or CASES:
        if cv2 is None and name != "ctc":
            left_out.append(name)
            continue
        rows.append(measure(CASES[name](cv2, np.random.default_rng(7)), options.rounds))
    call = None if options.only else plugin_call()
    lines = [f"{'case':9} {'usual':>9} {'native':>9} {'python':>9} {'read':>8}   usual/native  usual/python   goal"]
    for row in rows:
        lost = " LOST" if row["ratio_native"] < 1 else ""
        lines.append(
            f"{row['case']:9} {row['usual_us']:9.1f} {row['native_us']:9.1f} {row['python_us']:9.1f} {row['read_us']:8.1f}"
            f"   {row['ratio_native']:12.2f}  {row['ratio_python']:12.2f}   {row['goal']}{lost}"
        )
    lines.append("microseconds, best of each; read: one pass over the tensors")
    if call is not None:
        lines.append(f"a plug-in's empty call, clock and checks included: {call:.0f} ns (goal: below 1000)")
    if left_out:
        lines.append(f"left out, OpenCV is not installed: {', '.join(left_out)}")
    machine.report("decode", {"cases": rows, "plugin_call_ns": call, "left_out": left_out}, lines, options.json)


if __name__ == "__main__":
    sys.exit(main())
