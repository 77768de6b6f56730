"""Decoders on real networks: against the original in ONNX Runtime or LiteRT with the usual NumPy decoding.

    python benchmarks/decode_networks.py PICTURE... [--network NAME] [--snapshots FOLDER] [--draw FOLDER] [--json]

Two comparisons for each network and picture. "decoder": both decode the original's outputs; results have to be equal
(pixels within 0.01, scores within 1e-5), or the script ends with 1. "task": a mnnlite.Task with the converted network
against the same, which shows what conversion, engine and preprocessing change. Networks come from packages on PyPI (see
fetch.py), those of fetch.SNAPSHOTS out of clones on this machine. Needs onnxruntime, ai-edge-litert, opencv-python-headless.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import fetch
import numpy as np
from usual_decoding import Array, Found, centerface, fastestdet, heat_maps, landmarks, rfb320, yolov8, yolox

import mnnlite
from mnnlite import Frame, ImageSpec, Task, TaskSpec, decoders

# ---- the networks


@dataclass
class Case:
    family: str
    network: str  # of fetch.py
    image: ImageSpec
    decoder: Callable[[dict[str, Array]], decoders.Decoder]  # of the original's or the converted outputs
    usual: Callable[[dict[str, Array]], Found]
    shapes: dict[str, Any] | None = None


UNIT = {"std": (255, 255, 255)}


def named(outputs: dict[str, Array], wanted: Callable[[Array], bool]) -> tuple[str]:
    """The one output that looks as is wanted: names differ between the original and the converted network."""
    (name,) = (name for name, each in outputs.items() if wanted(each))
    return (name,)


CASES = {
    "fastestdet": Case(
        "FastestDet",
        "fastestdet",
        ImageSpec(size=(352, 352), color="BGR", **UNIT),
        lambda outputs: decoders.FastestDet(clip=False),
        fastestdet,
    ),
    "yolov8": Case(
        "Yolo v8",
        "yolov8",
        ImageSpec(size=(320, 320), fit="letterbox", anchor="top_left", **UNIT),
        lambda outputs: decoders.Yolo("v8", score=0.2, clip=False),
        yolov8,
        {"images": (1, 3, 320, 320)},
    ),
    "yolox": Case(
        "Yolo yolox",
        "yolox",
        ImageSpec(size=(416, 416), fit="letterbox", anchor="top_left", pad=114, color="BGR"),
        lambda outputs: decoders.Yolo("yolox", score=0.1, clip=False),
        yolox,
    ),
    "centerface": Case(
        "CenterFace",
        "centerface",
        ImageSpec(size=(640, 480)),
        lambda outputs: decoders.CenterFace(score=0.5, clip=False),
        centerface,
        {"input.1": (1, 3, 480, 640)},
    ),
    "rfb320": Case(
        "Ssd, corners",
        "rfb320",
        ImageSpec(size=(320, 240), mean=127, std=128),
        lambda outputs: decoders.Ssd(tensors=("scores", "boxes"), background=0, score=0.7, iou=0.3, clip=False),
        rfb320,
    ),
    "face_landmark": Case(
        "Keypoints, regressed",
        "face_landmark",
        ImageSpec(size=(192, 192), **UNIT),
        lambda outputs: decoders.Keypoints(
            mode="regressed", values=3, confidence=False, tensors=named(outputs, lambda each: each.size == 1404)
        ),
        lambda outputs: landmarks(outputs, 3, confidence=False),
    ),
    "pose": Case(
        "Keypoints, regressed",
        "pose_landmark_full",
        ImageSpec(size=(256, 256), fit="letterbox", **UNIT),
        lambda outputs: decoders.Keypoints(
            mode="regressed", values=5, activation="sigmoid", tensors=named(outputs, lambda each: each.size == 195)
        ),
        lambda outputs: landmarks(outputs, 5, confidence=True),
    ),
    "pose_maps": Case(
        "Keypoints, heat maps",
        "pose_landmark_full",
        ImageSpec(size=(256, 256), fit="letterbox", **UNIT),
        lambda outputs: decoders.Keypoints(
            layout="NHWC",
            subpixel="quarter",
            score=-1e9,
            tensors=named(outputs, lambda each: each.shape == (1, 64, 64, 39)),
        ),
        heat_maps,
    ),
}


def run_original(path: Path, x: Array) -> dict[str, Array]:
    """One run of the network as it was published; `x` is NCHW."""
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x.transpose(0, 2, 3, 1).copy())
        interpreter.invoke()
        return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}
    import onnx
    import onnxruntime

    model = onnx.load(path)
    # CenterFace declares 10x3x32x32 and runs at any size: what is declared goes.
    for each in (*model.graph.input, *model.graph.output):
        for axis, dim in enumerate(each.type.tensor_type.shape.dim):
            if each.name == "input.1" or each not in model.graph.input:
                dim.Clear()
                dim.dim_param = f"{each.name}_{axis}"
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(
        zip([o.name for o in session.get_outputs()], session.run(None, {session.get_inputs()[0].name: x}), strict=True)
    )


def values_of(found: Any) -> Found:
    """Results in the form of the usual decoding: pixels of the frame, then the class."""
    if isinstance(found, mnnlite.results.Keypoints):
        return found.points[:, :, :2].reshape(len(found), -1 if len(found) else 0), found.scores
    points = found.points.reshape(len(found), -1) if found.points.size else np.zeros((len(found), 0))
    return np.column_stack([found.boxes_xyxy, points, found.class_ids]), found.scores


def to_frame(found: Found, image: ImageSpec, size: tuple[int, int], classes: bool) -> Found:
    """The same in pixels of the frame."""
    matrix = np.reshape(decoders.batch_item(image, size).to_frame, (3, 3))
    values = np.array(found[0], np.float64)
    pixels = values[:, :-1] if classes else values
    pixels[:, 0::2] = pixels[:, 0::2] * matrix[0, 0] + matrix[0, 2]
    pixels[:, 1::2] = pixels[:, 1::2] * matrix[1, 1] + matrix[1, 2]
    return values, found[1]


def differ(got: Found, want: Found) -> tuple[float, float]:
    """Largest difference in pixels (of matched rows, where they are as many) and in scores; NaN if they are not."""
    if len(got[1]) != len(want[1]):
        return float("nan"), float("nan")
    if not len(want[1]):
        return 0.0, 0.0
    return float(np.abs(got[0] - want[0]).max()), float(np.abs(got[1] - want[1]).max())


def compare(
    name: str, case: Case, original: Path, converted: Path, picture: Path, folder: Path | None
) -> dict[str, Any]:
    image = cv2.imread(str(picture))
    if image is None:
        raise SystemExit(f"{picture}: no picture that OpenCV reads")
    frame, size = Frame(image, "BGR"), (image.shape[1], image.shape[0])
    outputs = run_original(original, case.image.apply(frame))
    decoder = case.decoder(outputs)
    mine = decoder.decode(outputs, size, case.image)
    want = to_frame(case.usual(outputs), case.image, size, classes="Keypoints" not in case.family)
    pixels, scores = differ(values_of(mine), want)
    with Task(TaskSpec(converted, case.image, shapes=case.shapes)) as task:
        shapes = {output: np.empty(each.shape) for output, each in task.model.outputs.items()}
    with Task(TaskSpec(converted, case.image, case.decoder(shapes), shapes=case.shapes)) as task:
        found = task(frame)
    task_pixels, task_scores = differ(values_of(found), want)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{name}_{picture.stem}.png"), found.draw(image.copy()))
    return {
        "network": name,
        "family": case.family,
        "picture": picture.name,
        "found": len(mine),
        "pixels": pixels,
        "scores": scores,
        "equal": bool(pixels <= 0.01 and scores <= 1e-5),
        "task_found": len(found),
        "task_pixels": task_pixels,
        "task_scores": task_scores,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("--network", choices=sorted(CASES), action="append", help="only this one; may be repeated")
    parser.add_argument("--snapshots", type=Path, help="a folder of clones, OWNER/NAME, of repositories on GitHub")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write the pictures with what the tasks found")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for path in args.pictures:
        if not path.is_file():
            parser.error(f"there is no file {path}")
    rows = []
    for name in args.network or CASES:
        case = CASES[name]
        files = fetch.both(case.network, args.snapshots)
        if files is None:
            print(f"{name}: no clone of {fetch.SNAPSHOTS[name].repository}, left out", file=sys.stderr)
            continue
        original, converted = files
        for picture in args.pictures:
            row = compare(name, case, original, converted, picture, args.draw)
            rows.append(row)
            if not args.json:
                print(
                    f"{name:14} {picture.name:28} {row['found']:3} found; decoder: {row['pixels']:.2g} px, scores "
                    f"{row['scores']:.2g} {'equal' if row['equal'] else 'DIFFERENT'}; task: {row['task_found']:3} found, "
                    f"{row['task_pixels']:.2g} px, scores {row['task_scores']:.2g}"
                )
    if args.json:
        print(json.dumps(rows, indent=2))
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
