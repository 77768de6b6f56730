"""The networks that peers.py counts on: what mnnlite takes of each, and what OpenCV and NumPy do in its place.

Those of mediapipe are TFLite files (mnnlite, MNN's package, LiteRT), the others ONNX files (mnnlite, MNN's package, ONNX
Runtime, ncnn). They are out of packages of PyPI and out of clones that fetch.py pins. Their decoding by NumPy is that of
mediapipe_tasks.py and of usual_decoding.py; `unlike_results` says whether it finds what mnnlite finds in the same outputs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

TFLITE = (
    "face_detection_short_range",
    "palm_detection_full",
    "face_landmark",
    "hand_landmark_lite",
    "selfie_segmentation_landscape",
    "pose_landmark_full",
)
ONNX = ("yolov8", "fastestdet", "rfb320")
NAMES = (*TFLITE, *ONNX)
CONTENDERS = {"mnnlite": NAMES, "MNN": NAMES, "LiteRT": TFLITE, "ONNX Runtime": ONNX, "ncnn": ONNX}


@dataclass(frozen=True)
class OnnxPicture:
    """Picture of an ONNX network: by letterbox at the top left, or stretched."""

    input: str
    size: tuple[int, int]  # width, height
    color: str = "RGB"
    mean: float = 0.0
    std: float = 255.0
    letterbox: bool = False


TOLERANCE = {"normal": 2e-3, "low": 5e-2}  # of outputs, relative to the largest
EQUAL = 1e-5  # of results of the same outputs: a part of the frame's diagonal, and of what scores can be
PICTURES = {
    "yolov8": OnnxPicture("images", (320, 320), letterbox=True),
    "fastestdet": OnnxPicture("input.1", (352, 352), "BGR"),
    "rfb320": OnnxPicture("input", (320, 240), mean=127, std=128),
}


def spec_of(name: str, model: Path) -> Any:
    """Give mnnlite's TaskSpec of a network."""
    if name in TFLITE:
        from mediapipe_tasks import KINDS
        from mediapipe_tasks import spec_of as mediapipe

        return mediapipe(KINDS[name], model)
    from mnnlite import ImageSpec, TaskSpec, decoders

    how = PICTURES[name]
    fit = {"fit": "letterbox", "anchor": "top_left"} if how.letterbox else {}
    image = ImageSpec(size=how.size, color=how.color, mean=how.mean, std=how.std, **fit)
    decoder = {
        "yolov8": decoders.Yolo("v8", score=0.2, clip=False),
        "fastestdet": decoders.FastestDet(clip=False),
        "rfb320": decoders.Ssd(tensors=("scores", "boxes"), background=0, score=0.7, iou=0.3, clip=False),
    }[name]
    return TaskSpec(model, image, decoder, shapes={how.input: (1, 3, how.size[1], how.size[0])})


class Usual:
    """Picture and results of a network by OpenCV and NumPy, as its users write them."""

    def __init__(self, name: str, cv2: Any) -> None:
        self.name, self.cv2 = name, cv2
        if name in TFLITE:
            from mediapipe_tasks import KINDS, Decoder

            self.decoder = Decoder(KINDS[name], cv2)
        else:
            import usual_decoding

            self.usual = getattr(usual_decoding, name)

    def picture(self, frame: np.ndarray) -> tuple[np.ndarray, Any]:
        """Give the input as the network's file wants it, and where it lies in the frame."""
        if self.name in TFLITE:
            return self.decoder.picture(frame)
        cv2, how = self.cv2, PICTURES[self.name]
        (width, height), (rows, columns) = how.size, frame.shape[:2]
        if how.letterbox:
            factor = min(width / columns, height / rows)
            part = cv2.resize(frame, (round(columns * factor), round(rows * factor)))
            small = np.zeros((height, width, 3), np.uint8)
            small[: part.shape[0], : part.shape[1]] = part
            place = np.full(4, 1 / factor)
        else:
            small = cv2.resize(frame, how.size)
            place = np.tile([columns / width, rows / height], 2)
        # Half the instructions of NumPy's way from bytes to planes of floats.
        return cv2.dnn.blobFromImage(small, 1 / how.std, mean=(how.mean,) * 3, swapRB=how.color == "RGB"), place

    def decode(self, outputs: Mapping[str, np.ndarray], place: Any) -> Any:
        """Results in pixels of the frame."""
        if self.name in TFLITE:
            return self.decoder.decode(outputs, place)
        boxes, scores = self.usual(dict(outputs))
        boxes[:, :4] *= place
        return boxes, scores


def picture(folder: Path) -> Path:
    """Write the frame: a part of a photograph, whose face the detectors find."""
    import cv2
    import described_networks
    import fetch

    photograph = cv2.imread(str(fetch.member_of(described_networks.PICTURES, described_networks.PERSON)))
    bgr = cv2.resize(photograph[:288], (1920, 1080))
    planes = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    luma, chroma = planes[: 1080 * 1920].reshape(1080, 1920), planes[1080 * 1920 :].reshape(2, 540, 960)
    path = folder / "frames.npz"
    np.savez(path, bgr=bgr, y=luma, uv=np.ascontiguousarray(chroma.transpose(1, 2, 0)))
    return path


def ready_input(name: str, frames: Path) -> np.ndarray:
    """Give the input that the outputs of all are compared on."""
    import cv2

    return Usual(name, cv2).picture(np.load(frames)["bgr"])[0]


def unlike(found: Path, reference: Path) -> float:
    """Give the largest difference of outputs, relative to the largest value of each; the order may be another."""
    others = list(np.load(reference).values())
    worst = 0.0
    for mine in np.load(found).values():
        same = [each for each in others if each.size == mine.size]
        if not same:
            return float("inf")
        worst = max(
            worst,
            min(float(np.abs(mine.ravel() - each.ravel()).max() / max(1e-3, np.abs(each).max())) for each in same),
        )
    return worst


def unlike_results(name: str, outputs: Mapping[str, np.ndarray], frame: np.ndarray) -> Iterable[str]:
    """Lines about what mnnlite's decoders and NumPy find differently in the same outputs."""
    import cv2

    usual, size = Usual(name, cv2), frame.shape[1::-1]
    theirs = usual.decode(outputs, usual.picture(frame)[1])
    spec = spec_of(name, Path("of no matter.mnn"))
    if name in TFLITE:
        from mediapipe_tasks import KINDS, differences

        ours = {each: decoder.decode(outputs, size, spec.image) for each, decoder in spec.decoder.items()}
        return differences(ours, theirs, KINDS[name], float(np.hypot(*size)), EQUAL)
    from decode_networks import differ, values_of

    pixels, scores = differ(values_of(spec.decoder.decode(outputs, size, spec.image)), theirs)
    return [] if pixels <= EQUAL * np.hypot(*size) and scores <= EQUAL else [f"{pixels} px apart, scores {scores}"]
