"""Results as other libraries hold them: COCO's dictionaries, supervision's classes, Arrow tables, a picture for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError, MissingExtraError
from mnnlite.results.rows import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnnlite.results.base import Results

_PICTURE = 1024  # longest side of a notebook's picture, in pixels
_PAPER = 40  # its grey


def coco(results: Results, image_id: int) -> list[dict[str, Any]]:
    """Rows as COCO result dictionaries. Source: cocodataset.org, "Results Format"."""
    has_boxes, columns = hasattr(results, "boxes_xyxy"), _columns(results)
    lengths = results.run_lengths() if hasattr(results, "run_lengths") else None
    entries: list[dict[str, Any]] = []
    for index, row in enumerate(results._rows):
        entry: dict[str, Any] = {"image_id": image_id, "category_id": int(row["class_id"])}
        if has_boxes:
            left, top, right, bottom = (float(value) for value in row["box"])
            entry["bbox"] = [number(value) for value in (left, top, right - left, bottom - top)]
        entry["score"] = number(row["score"], 5)
        if "keypoints" in columns:
            points = columns["keypoints"][index]
            entry["keypoints"] = [number(value) for point in points for value in point]
            entry["num_keypoints"] = len(points)
        elif "polygon" in columns and len(columns["polygon"][index]):
            entry["segmentation"] = [[number(value) for value in columns["polygon"][index].ravel()]]
        if lengths is not None and results.frame_size is not None:
            entry["segmentation"] = {"size": list(results.frame_size[::-1]), "counts": lengths[index]}
        for name in ("text", "embedding"):
            if name in columns:
                value = columns[name][index]
                entry[name] = value if isinstance(value, str) else [float(each) for each in value]
        entries.append(entry)
    return entries


def _columns(results: Results) -> dict[str, list[Any]]:
    """What a type holds beside item, class, score and box: a list with a value a row."""
    from mnnlite.results.embeddings import Embeddings
    from mnnlite.results.keypoints import Keypoints
    from mnnlite.results.texts import Texts

    if isinstance(results, Keypoints):
        return {"keypoints": list(results.points)}
    if isinstance(results, Texts):
        return {"text": results.text, "polygon": list(results.points)}
    if isinstance(results, Embeddings):
        return {"embedding": list(results.vectors)}
    if hasattr(results, "points"):
        return {"polygon": list(results.points)}
    return {}


def supervision(results: Results) -> Any:
    """`supervision.Detections`, `KeyPoints` or `Classifications`, whichever has room for what was found."""
    try:
        import supervision as sv
    except ImportError:
        raise MissingExtraError("to_supervision needs the package supervision: pip install supervision") from None
    from mnnlite.results.keypoints import Keypoints

    classes = results.class_ids.astype(int)
    scores = np.array(results.scores)
    columns = _columns(results)
    labels = np.array(results.labels, dtype=str)
    if isinstance(results, Keypoints):
        points = results.points
        return sv.KeyPoints(
            xy=np.array(points[..., :2]),
            class_id=classes,
            keypoint_confidence=np.array(points[..., 2]),
            detection_confidence=scores,
            data={"class_name": labels},
        )
    if not hasattr(results, "boxes_xyxy"):
        if "embedding" in columns:
            raise ArgumentError("supervision has no place for embeddings; use to_arrow(), or the vectors themselves")
        return sv.Classifications(class_id=classes, confidence=scores)
    data: dict[str, Any] = {"class_name": labels}
    if "text" in columns:
        data["text"] = np.array(columns["text"], dtype=str)
    if "polygon" in columns:
        shapes = {len(each) for each in columns["polygon"]}
        if shapes == {4}:  # where supervision looks for turned boxes
            data["xyxyxyxy"] = np.stack(columns["polygon"])
    return sv.Detections(
        xyxy=np.array(results.boxes_xyxy), mask=_masks(results), confidence=scores, class_id=classes, data=data
    )


def _masks(results: Results) -> NDArray[np.bool_] | None:
    """(N, H, W) bool over the frame, for types that have masks."""
    from mnnlite.results.masks import Masks

    if isinstance(results, Masks):
        if len(results) == 0:
            return None
        maps = {item: results.over_frame(item) for item in dict.fromkeys(results.items.tolist())}
        pairs = zip(results.items.tolist(), results.class_ids.tolist(), strict=True)
        return np.stack([maps[item] == class_id for item, class_id in pairs])
    if hasattr(results, "run_lengths") and hasattr(results, "over_frame") and len(results):
        return np.stack([results.over_frame(index) for index in range(len(results))])
    return None


def arrow(results: Results) -> Any:
    """A `pyarrow.Table`: a row a result, columns of fixed types, also where nothing was found."""
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError('to_arrow needs pyarrow; install it with: pip install "mnnlite[arrow]"') from None

    columns: dict[str, Any] = {
        "item": pa.array(np.ascontiguousarray(results.items)),
        "class_id": pa.array(np.ascontiguousarray(results.class_ids)),
        "label": pa.array(results.labels, pa.string()),
        "score": pa.array(np.ascontiguousarray(results.scores)),
    }
    if hasattr(results, "boxes_xyxy"):
        boxes = np.ascontiguousarray(results.boxes_xyxy, np.float32)
        columns["box"] = pa.FixedSizeListArray.from_arrays(pa.array(boxes.reshape(-1)), 4)
    if hasattr(results, "areas"):
        columns["area"] = pa.array(np.ascontiguousarray(results.areas))
    known = _columns(results)
    if "text" in known:
        columns["text"] = pa.array(known["text"], pa.string())
    for name in ("polygon", "keypoints"):
        if name in known or (name == "polygon" and hasattr(results, "points") and "keypoints" not in known):
            width = 3 if name == "keypoints" else 2
            kind = pa.list_(pa.list_(pa.float32(), width))
            columns[name] = pa.array([np.asarray(each, np.float32).tolist() for each in known.get(name, [])], kind)
    if "embedding" in known:
        columns["embedding"] = pa.array([each.tolist() for each in known["embedding"]], pa.list_(pa.float32()))
    if hasattr(results, "run_lengths") and results.frame_size is not None:
        columns["run_lengths"] = pa.array(results.run_lengths(), pa.list_(pa.int32()))
    table = pa.table(columns)
    size = results.frame_size
    facts = {"kind": type(results).__name__, "frame_size": "" if size is None else f"{size[0]}x{size[1]}"}
    return table.replace_schema_metadata({f"mnnlite.{key}": value for key, value in facts.items()})


def picture(results: Results) -> bytes | None:
    """The rows drawn on grey paper of the frame's size, as a PNG; None where the size is not known."""
    if results.frame_size is None:
        return None
    width, height = results.frame_size
    canvas = np.full((height, width, 3), _PAPER, np.uint8)
    results.draw(canvas)
    step = -(-max(width, height) // _PICTURE)
    return _draw.png(canvas[::step, ::step])
