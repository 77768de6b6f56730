"""The networks of mediapipe 0.10.14 with what each takes and gives: as mnnlite's specs, and as OpenCV and NumPy.

Sources: the graphs of mediapipe/modules (tensors_to_detections, ssd_anchors, tensors_to_landmarks and segmentation
options of each network).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Place = tuple[float, float, float, float]  # of a network pixel in the frame: factors and shifts of x and y
Decode = Callable[[Mapping[str, np.ndarray], "Kind", Place], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """What a network takes and what its outputs are."""

    size: tuple[int, int]  # width, height
    outputs: Mapping[str, tuple[str, Any]]  # name: (what it is, detail)
    letterbox: bool = False
    signed: bool = False  # pixels from -1 to 1 instead of 0 to 1


FACE = {"points": 6, "scale": 128, "score": 0.5, "iou": 0.3}
PALM = {"points": 7, "scale": 192, "score": 0.5, "iou": 0.3}
HAND = {
    "Identity": ("points", 3),
    "Identity_1": ("score", "none"),
    "Identity_2": ("score", "none"),
    "Identity_3": ("vector", None),
}
KINDS = {
    "hand_recrop": Kind((256, 256), {"output_crop": ("vector", None)}),
    "face_detection_short_range": Kind(
        (128, 128), {"classificators+regressors": ("ssd", FACE)}, letterbox=True, signed=True
    ),
    "palm_detection_lite": Kind((192, 192), {"Identity_1+Identity": ("ssd", PALM)}, letterbox=True),
    "palm_detection_full": Kind((192, 192), {"Identity_1+Identity": ("ssd", PALM)}, letterbox=True),
    "selfie_segmentation": Kind((256, 256), {"activation_10": ("mask", "none")}),
    "selfie_segmentation_landscape": Kind((256, 144), {"segment_back": ("mask", "none")}),
    "face_landmark": Kind((192, 192), {"conv2d_21": ("points", 3), "conv2d_31": ("score", "sigmoid")}),
    "iris_landmark": Kind((64, 64), {"output_eyes_contours_and_brows": ("points", 3), "output_iris": ("points", 3)}),
    "hand_landmark_lite": Kind((224, 224), HAND),
    "hand_landmark_full": Kind((224, 224), HAND),
    "pose_landmark_full": Kind(
        (256, 256),
        {
            "Identity": ("points", 5),
            "Identity_1": ("score", "none"),
            "Identity_2": ("mask", "sigmoid"),
            "Identity_3": ("maps", None),
            "Identity_4": ("vector", None),
        },
    ),
}


# ---- mnnlite


def spec_of(kind: Kind, path: Any) -> Any:
    """Give the mnnlite.TaskSpec of a network."""
    from mnnlite import ImageSpec, TaskSpec, decoders

    def decoder(what: str, detail: Any, tensors: tuple[str, ...]) -> Any:
        if what == "ssd":
            options = {"variances": (1 / detail["scale"],) * 4, "points": detail["points"], "tensors": tensors}
            return decoders.Ssd.mediapipe_face(score=detail["score"], iou=detail["iou"], **options)
        if what == "points":
            return decoders.Keypoints(mode="regressed", values=detail, score=-1e30, tensors=tensors)
        if what == "maps":
            return decoders.Keypoints(subpixel="quarter", layout="NHWC", score=-1e30, tensors=tensors)
        if what == "mask":
            return decoders.Segmentation(mode="binary", activation=detail, layout="NHWC", tensors=tensors)
        if what == "score":
            return decoders.Classification(activation=detail, top_k=1, tensors=tensors)
        return decoders.Embedding(normalize=False, tensors=tensors)

    middle = 127.5 if kind.signed else 255.0
    image = ImageSpec(
        size=kind.size,
        fit="letterbox" if kind.letterbox else "stretch",
        color="RGB",
        mean=127.5 if kind.signed else 0.0,
        std=middle,
        pad=0,
    )
    made = {name: decoder(what, detail, tuple(name.split("+"))) for name, (what, detail) in kind.outputs.items()}
    return TaskSpec(path, image, made)


# ---- OpenCV and NumPy


class Decoder:
    """Pictures and results of one network, made by OpenCV and NumPy as its users write it."""

    def __init__(self, kind: Kind, cv2: Any) -> None:
        self.kind, self.cv2 = kind, cv2
        for what, detail in kind.outputs.values():
            if what == "ssd":
                self.anchors = anchors(detail["scale"])

    def picture(self, frame: np.ndarray) -> tuple[np.ndarray, Place]:
        """Give the input, (1, height, width, 3) float32, and where it lies in the frame."""
        cv2, (width, height) = self.cv2, self.kind.size
        rows, columns = frame.shape[:2]
        if self.kind.letterbox:
            factor = min(width / columns, height / rows)
            inner = round(columns * factor), round(rows * factor)
            left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
            small = cv2.resize(frame, inner)
            right, bottom = width - inner[0] - left, height - inner[1] - top
            small = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_CONSTANT)
            x, y = columns / inner[0], rows / inner[1]
            place = (x, y, -left * x, -top * y)
        else:
            small = cv2.resize(frame, (width, height))
            place = (columns / width, rows / height, 0.0, 0.0)
        small = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32)
        if self.kind.signed:
            small = (small - np.float32(127.5)) * np.float32(1 / 127.5)
        else:
            small *= np.float32(1 / 255)
        return small[None], place

    def decode(self, outputs: Mapping[str, np.ndarray], place: Place) -> dict[str, Any]:
        """Results in pixels of the frame, by output."""
        found: dict[str, Any] = {}
        for name, (what, detail) in self.kind.outputs.items():
            if what == "ssd":
                scores, boxes = name.split("+")
                found[name] = detections(outputs[scores], outputs[boxes], self.anchors, detail, self.kind, place)
                continue
            values = outputs[name]
            if what == "points":
                points = values.reshape(-1, detail)[:, :2]
                found[name] = points * np.float32(place[:2]) + np.float32(place[2:])
            elif what == "maps":
                found[name] = peaks(values[0], self.kind, place)
            elif what == "mask":
                found[name] = area(values[0, :, :, 0], detail == "sigmoid", self.kind, place, self.cv2)
            elif what == "score":
                score = float(values.reshape(-1)[0])
                found[name] = 1 / (1 + np.exp(-score)) if detail == "sigmoid" else score
            else:
                found[name] = values.reshape(-1).copy()
        return found


def anchors(size: int) -> np.ndarray:
    """Centres (relative): layers of strides 8, 16, 16, 16, two a cell and layer, layers of one stride together."""
    made = []
    for stride, count in ((8, 2), (16, 6)):
        cells = size // stride
        y, x = np.mgrid[:cells, :cells]
        centres = np.stack([(x + 0.5) / cells, (y + 0.5) / cells], -1).reshape(-1, 2)
        made.append(np.repeat(centres, count, axis=0))
    return np.concatenate(made).astype(np.float32)


def detections(
    scores: np.ndarray, boxes: np.ndarray, centres: np.ndarray, options: Mapping[str, Any], kind: Kind, place: Place
) -> np.ndarray:
    """Rows of score, x1, y1, x2, y2 and the points, after weighted suppression."""
    logits = scores.reshape(-1)
    chosen = np.flatnonzero(logits >= -np.log(1 / options["score"] - 1))
    if chosen.size == 0:
        return np.empty((0, 5 + 2 * options["points"]), np.float32)
    score = 1 / (1 + np.exp(-np.clip(logits[chosen], -100, 100)))
    raw = boxes.reshape(len(logits), -1)[chosen] / options["scale"]
    middle = raw[:, :2] + centres[chosen]
    points = raw[:, 4:].reshape(len(chosen), -1, 2) + centres[chosen][:, None]
    corners = np.stack([middle - raw[:, 2:4] / 2, middle + raw[:, 2:4] / 2], 1)
    every = np.concatenate([corners, points], 1)
    order = np.argsort(-score, kind="stable")
    kept = []
    while order.size:
        first = every[order[0]]
        rest = every[order]
        low, high = np.maximum(first[0], rest[:, 0]), np.minimum(first[1], rest[:, 1])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        areas = np.prod(rest[:, 1] - rest[:, 0], axis=1)
        near = shared / (np.prod(first[1] - first[0]) + areas - shared) > options["iou"]
        weights = score[order[near]]
        mean = (rest[near] * weights[:, None, None]).sum(0) / weights.sum()
        frame = mean * np.float32(kind.size) * np.float32(place[:2]) + np.float32(place[2:])
        kept.append(np.concatenate([[score[order[0]]], frame.reshape(-1)]))
        order = order[~near]
    return np.stack(kept).astype(np.float32)


@dataclass(frozen=True)
class Area:
    """What is in a mask; box and area in pixels of the frame."""

    mask: np.ndarray  # bool, as large as the network's output
    box: np.ndarray
    area: float
    score: float  # the mean of what is in it


def area(values: np.ndarray, logits: bool, kind: Kind, place: Place, cv2: Any) -> Area | None:
    """Where scores are above one half; None: nowhere."""
    mask = values > (0.0 if logits else 0.5)
    pixels = np.count_nonzero(mask)
    if pixels == 0:
        return None
    # The product with the mask costs less than half of cv2.mean and of values[mask].mean().
    score = (1 / (1 + np.exp(-values[mask]))).mean() if logits else np.vdot(values, mask) / pixels
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    step = np.float64(kind.size) / values.shape[::-1] * place[:2]
    box = np.reshape([x, y, x + width, y + height], (2, 2)) * step + place[2:]
    return Area(mask, box.reshape(-1), pixels * float(step.prod()), float(score))


def peaks(maps: np.ndarray, kind: Kind, place: Place) -> np.ndarray:
    """Each heat map's highest point, a quarter of a pixel towards the higher neighbour."""
    rows, columns, count = maps.shape
    flat = maps.reshape(-1, count)
    best = flat.argmax(0)
    y, x = np.divmod(best, columns)
    each = np.arange(count)
    left, right = maps[y, np.maximum(x - 1, 0), each], maps[y, np.minimum(x + 1, columns - 1), each]
    up, down = maps[np.maximum(y - 1, 0), x, each], maps[np.minimum(y + 1, rows - 1), x, each]
    inner_x, inner_y = (x > 0) & (x < columns - 1), (y > 0) & (y < rows - 1)
    found = np.stack([x + 0.5 + np.sign(right - left) / 4 * inner_x, y + 0.5 + np.sign(down - up) / 4 * inner_y], -1)
    network = found * np.float64(kind.size) / (columns, rows)
    return np.asarray(network * place[:2] + place[2:], np.float32)


# ---- are they the same


def differences(ours: Any, theirs: Mapping[str, Any], kind: Kind, diagonal: float, part: float = 0.02) -> Iterable[str]:
    """Lines about outputs whose results differ by more than this part, as a rule what the resizing of the frame explains.

    It is a part of the frame's diagonal, of a mask, or of the range of scores or vectors.
    """
    for name, (what, _) in kind.outputs.items():
        mine, other = ours[name], theirs[name]
        if what == "ssd":
            if len(mine) != len(other):
                yield f"{name}: {len(mine)} detections beside {len(other)}"
            elif len(other):
                apart = np.abs(mine.boxes_xyxy - np.clip(other[:, 1:5], 0, None)).max()
                if apart > part * diagonal:
                    yield f"{name}: boxes {apart:.1f} px apart"
        elif what in ("points", "maps"):
            apart = np.median(np.abs(mine.points[0, :, :2] - other))
            if apart > part * diagonal:
                yield f"{name}: points {apart:.1f} px apart"
        elif what == "mask":
            yield from (f"{name}: {line}" for line in unlike_areas(mine, other, diagonal, part))
        elif what == "score":
            if abs(float(mine[0].score) - other) > 2.5 * part:
                yield f"{name}: score {float(mine[0].score):.3f} beside {other:.3f}"
        elif np.abs(mine.vectors[0] - other).max() > 5 * part * max(1.0, float(np.abs(other).max())):
            yield f"{name}: vectors {np.abs(mine.vectors[0] - other).max():.3f} apart"


def unlike_areas(ours: Any, theirs: Area | None, diagonal: float, part: float) -> Iterable[str]:
    """Lines about a mask."""
    if theirs is None or not len(ours):
        if (theirs is None) != (len(ours) == 0):
            yield f"{len(ours)} areas beside {int(theirs is not None)}"
        return
    unlike = float((ours.masks[0] != theirs.mask).mean())
    if unlike > part:
        yield f"{unlike:.1%} of the mask differ"
    apart = np.abs(ours.boxes_xyxy[0] - theirs.box).max()
    if apart > part * diagonal:
        yield f"boxes {apart:.1f} px apart"
    if abs(ours.areas[0] - theirs.area) > part * diagonal**2 / 2:
        yield f"{ours.areas[0]:.0f} square pixels beside {theirs.area:.0f}"
    if abs(ours.scores[0] - theirs.score) > 2.5 * part:
        yield f"score {ours.scores[0]:.3f} beside {theirs.score:.3f}"
