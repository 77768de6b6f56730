"""The files that pages of the documentation take for granted: small networks with weights by hand, and pictures to go
with them, so that what the pages show is what really comes out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mnnlite import video
from mnnlite.demo.drives import Drive
from mnnlite.descriptions import mnnfile
from mnnlite.mapping.simulator import TICK, Options, noisy_log

from . import networks, tracks

SIZE = (640, 360)  # width, height of the pictures


def make(name: str, folder: Path) -> None:
    """Make one file, or one folder of files."""
    MAKERS[name](folder)


def scene(step: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a grey road with two white lines that meet, and a red sign that comes nearer."""
    width, height = SIZE
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = (120, 160, 200)
    y, x = np.mgrid[height // 2 : height, 0:width]
    depth = (y - height / 2) / (height / 2)
    road = picture[height // 2 :]
    road[:] = (90, 120, 70)
    road[np.abs(x - width / 2) < 40 + 400 * depth] = (85, 85, 90)
    for side in (-1, 1):
        road[np.abs(x - width / 2 - side * 260 * depth) < 1 + 7 * depth] = (240, 240, 240)
    left, top, side = 470 + 12 * step, 90 - 4 * step, 40 + 6 * step
    picture[top : top + side, left : left + side] = (220, 20, 30)
    return picture


def _weights(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def road(folder: Path) -> Path:
    """`image` (1, 3, 180, 320) in [0, 1] -> `line` (1, 1, 90, 160), `area` (1, 1, 90, 160): bright, and dark grey."""
    stem = np.full((2, 3, 2, 2), 1 / 12)
    stem[1] = np.array([1, 0, -1]).reshape(3, 1, 1) / 4  # red - blue
    nodes = [
        helper.make_node("Conv", ["image", "stem_w"], ["stem"], name="stem", strides=[2, 2]),
        helper.make_node("Conv", ["stem", "line_w", "line_b"], ["line_logits"], name="line_conv"),
        helper.make_node("Sigmoid", ["line_logits"], ["line"], name="line_sigmoid"),
        helper.make_node("Abs", ["stem"], ["absolute"], name="area_abs"),
        helper.make_node("Conv", ["absolute", "area_w", "area_b"], ["area_logits"], name="area_conv"),
        helper.make_node("Sigmoid", ["area_logits"], ["area"], name="area_sigmoid"),
    ]
    weights = [
        _weights("stem_w", stem),
        _weights("line_w", np.array([24.0, 0]).reshape(1, 2, 1, 1)),
        _weights("line_b", np.array([-18.0])),
        _weights("area_w", np.array([-100.0, -150]).reshape(1, 2, 1, 1)),
        _weights("area_b", np.array([42.0])),
    ]
    tensors = {"line": [1, 1, 90, 160], "area": [1, 1, 90, 160]}
    return networks.save(folder, "road", nodes, weights, {"image": [1, 3, 180, 320]}, tensors)


def signs(folder: Path) -> Path:
    """`image` (1, 3, 180, 320) in [0, 1] -> `rows` (1, 1, 6): one box around what is red, score, class."""
    redness = np.array([1.0, -0.5, -0.5]).reshape(1, 3, 1, 1)
    columns, lines = np.arange(320, dtype=np.float32), np.arange(180, dtype=np.float32)

    def reduced(operator: str, source: str, target: str, axes: list[int]) -> onnx.NodeProto:
        return helper.make_node(operator, [source], [target], name=target, axes=axes, keepdims=0)

    nodes = [
        helper.make_node("Conv", ["image", "red_w", "red_b"], ["red"], name="red"),
        helper.make_node("Sigmoid", ["red"], ["is_red"], name="is_red"),
        reduced("ReduceMax", "is_red", "by_column", [1, 2]),
        reduced("ReduceMax", "is_red", "by_line", [1, 3]),
    ]
    weights = [_weights("red_w", redness * 60), _weights("red_b", np.array([-24.0]))]
    # The first column is the last one from the right: largest of (extent - place) * redness.
    for name, source, places in (("x", "by_column", columns), ("y", "by_line", lines)):
        extent = len(places)
        weights += [_weights(f"{name}_from", extent - places), _weights(f"{name}_to", places + 1)]
        weights.append(_weights(f"{name}_extent", np.array([extent])))
        nodes += [
            helper.make_node("Mul", [source, f"{name}_from"], [f"{name}_a"], name=f"{name}_a"),
            helper.make_node("Mul", [source, f"{name}_to"], [f"{name}_b"], name=f"{name}_b"),
            helper.make_node("ReduceMax", [f"{name}_a"], [f"{name}_c"], name=f"{name}_c", axes=[1], keepdims=1),
            helper.make_node("ReduceMax", [f"{name}_b"], [f"{name}2"], name=f"{name}2", axes=[1], keepdims=1),
            helper.make_node("Sub", [f"{name}_extent", f"{name}_c"], [f"{name}1"], name=f"{name}1"),
        ]
    weights += [_weights("none", np.zeros(1)), numpy_helper.from_array(np.array([1, 1, 6], np.int64), "shape")]
    nodes += [
        helper.make_node("ReduceMax", ["by_line"], ["score"], name="score", axes=[1], keepdims=1),
        helper.make_node("Mul", ["score", "none"], ["class"], name="class"),
        helper.make_node("Concat", ["x1", "y1", "x2", "y2", "score", "class"], ["flat"], name="flat", axis=1),
        helper.make_node("Reshape", ["flat", "shape"], ["rows"], name="rows"),
    ]
    return networks.save(folder, "signs", nodes, weights, {"image": [1, 3, 180, 320]}, {"rows": [1, 1, 6]})


def kinds(folder: Path) -> Path:
    """`image` (1, 3, 32, 32) in [0, 1] -> `logits` (1, 3): red, green or blue."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"], name="mean"),
        helper.make_node("Conv", ["mean", "kind_w"], ["kind"], name="kind"),
        helper.make_node("Flatten", ["kind"], ["logits"], name="logits"),
    ]
    weights = [_weights("kind_w", 8 * np.eye(3).reshape(3, 3, 1, 1))]
    return networks.save(folder, "kinds", nodes, weights, {"image": [1, 3, 32, 32]}, {"logits": [1, 3]})


def votes(folder: Path) -> Path:
    """`memory` + `step` -> `sum`, all (1, 3)."""
    node = helper.make_node("Add", ["memory", "step"], ["sum"], name="sum")
    return networks.save(folder, "votes", [node], [], {"memory": [1, 3], "step": [1, 3]}, {"sum": [1, 3]})


def _without_epsilon(folder: Path) -> None:
    """`device.mnn` and `device.onnx`: one weight of the second differs, as after a faulty conversion."""
    source = networks.two_branches(folder, size=32)
    networks.convert(source).rename(folder / "device.mnn")
    model = onnx.load(source)
    for weight in model.graph.initializer:
        if weight.name == "left1_w":
            values = numpy_helper.to_array(weight).copy()
            values[0] *= 1.5
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, folder / "device.onnx")
    source.unlink()


def _drive(folder: Path) -> None:
    (folder / "drive").mkdir()
    for step in range(4):
        video.write_picture(folder / "drive" / f"{step:03}.png", scene(step))


def _phone(folder: Path) -> None:
    """`phone.mp4`, `phone.gpx` and `camera.yaml`: six rendered seconds, and positions once a second."""
    drive = Drive(7_000_028, 6.0, 5.0, pitch=0.6, yaw=-0.4)
    video.write_video(folder / "phone.mp4", (drive.frame(index)[0] for index in range(len(drive.time))), 5.0)
    velocity = np.gradient(drive.antenna[:, :2], TICK, axis=0)
    options = Options(rate=1, course=False, gyro=False)
    log = noisy_log(np.random.default_rng(1), options, drive.moments, drive.antenna, velocity, drive.turn)
    (folder / "phone.gpx").write_text(tracks.gpx(log))
    camera = drive.camera
    tracks.calibration(folder / "camera.yaml", camera.width, camera.height, camera.fx, camera.coefficients)


def _nv12(folder: Path) -> None:
    """Two frames of grey NV12, 640 x 360."""
    (folder / "drive.nv12").write_bytes(bytes([128]) * (2 * SIZE[0] * SIZE[1] * 3 // 2))


def _names(folder: Path) -> None:
    (folder / "kinds.txt").write_text("stop\ngo\nmotorway\n")


def _placeholder(name: str) -> Callable[[Path], object]:
    """An empty file, where only its being there is checked."""
    return lambda folder: (folder / name).touch()


def _named(source: Callable[[Path], Path], name: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            networks.convert(source(Path(place))).rename(folder / name)

    return make


def _described(folder: Path) -> Path:
    """The network of signs, with the description that an exporter leaves in a file."""
    _named(signs, "sign26n.mnn")(folder)
    said = {"task": "detect", "imgsz": [180, 320], "names": {"0": "sign"}, "stride": 32, "channels": 3, "end2end": True}
    mnnfile.write(folder / "sign26n.mnn", said)
    return folder / "sign26n.mnn"


MAKERS: dict[str, Callable[[Path], object]] = {
    "road.onnx": road,
    "road.mnn": _named(road, "road.mnn"),
    "signs.mnn": _named(signs, "signs.mnn"),
    "sign26n.mnn": _described,
    "kinds.mnn": _named(kinds, "kinds.mnn"),
    "kinds.txt": _names,
    "votes.mnn": _named(votes, "votes.mnn"),
    "device.mnn": _without_epsilon,
    "drive": _drive,
    "phone": _phone,
    "drive.nv12": _nv12,
    "a.mnn": _named(road, "a.mnn"),
    "b.mnn": _named(signs, "b.mnn"),
    "labels.txt": lambda folder: (folder / "labels.txt").write_text("\n".join(f"sign {i}" for i in range(43)) + "\n"),
    "coco.names": lambda folder: (folder / "coco.names").write_text("person\nbicycle\ncar\n"),
    **{name: _placeholder(name) for name in ("fastestdet.mnn", "twinlitenet.mnn", "gtsrb.mnn")},
}
