"""Results as other libraries hold them: COCO's dictionaries, supervision's classes, Arrow tables, a picture for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnnlite import draw as _draw
from mnnlite.errors import ArgumentError, MissingExtraError
from mnnlite.results.rows import number

_PICTURE = 1024  # longest side of a notebook's picture, in pixels
_PAPER = 40  # its grey


def coco(results: Any, image_id: int) -> list[dict[str, Any]]:
    """Rows as COCO result dictionaries. Source: cocodataset.org, "Results Format"."""
    has_boxes, columns = hasattr(results, "boxes_xyxy"), results._columns()
    lengths = results.run_lengths() if hasattr(results, "run_lengths") else None
    outlines = columns.get("polygon", columns.get("points", []))
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
        outline: Any = outlines[index] if outlines else ()
        if len(outline) > 2 and ("polygon" in columns or len(outline) == 4):  # four points are a turned box
            entry["segmentation"] = [[number(value) for value in outline.ravel()]]
        if lengths is not None and results.frame_size is not None:
            entry["segmentation"] = {"size": list(results.frame_size[::-1]), "counts": lengths[index]}
        for name in ("text", "embedding", "values"):
            if name in columns:
                value = columns[name][index]
                entry[name] = value if isinstance(value, str) else [float(each) for each in value]
        entries.append(entry)
    return entries


def supervision(results: Any) -> Any:
    """`supervision.Detections`, `KeyPoints` or `Classifications`, whichever can hold the rows."""
    try:
        import supervision as sv
    except ImportError:
        raise MissingExtraError("to_supervision needs the package supervision: pip install supervision") from None
    classes = results.class_ids.astype(int)
    scores = np.array(results.scores)
    columns = results._columns()
    labels = np.array(results.labels, dtype=str)
    if "keypoints" in columns:
        points = results.points
        return sv.KeyPoints(
            xy=np.array(points[..., :2]),
            class_id=classes,
            keypoint_confidence=np.array(points[..., 2]),
            detection_confidence=scores,
            data={"class_name": labels},
        )
    if not hasattr(results, "boxes_xyxy"):
        if "embedding" in columns or "values" in columns:
            raise ArgumentError(
                "supervision has no place for embeddings and numbers; use to_arrow(), or the results themselves"
            )
        return sv.Classifications(class_id=classes, confidence=scores)
    data: dict[str, Any] = {"class_name": labels}
    if "text" in columns:
        data["text"] = np.array(columns["text"], dtype=str)
    outlines = columns.get("polygon", columns.get("points", []))
    if {len(each) for each in outlines} == {4}:  # where supervision looks for turned boxes
        data["xyxyxyxy"] = np.stack(outlines)
    return sv.Detections(
        xyxy=np.array(results.boxes_xyxy), mask=results._frame_masks(), confidence=scores, class_id=classes, data=data
    )


def arrow(results: Any) -> Any:
    """A `pyarrow.Table` with one row per result. The columns have fixed types, even without rows."""
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
    known = results._columns()
    if "text" in known:
        columns["text"] = pa.array(known["text"], pa.string())
    for name in ("polygon", "points", "keypoints"):
        if name in known:
            kind = pa.list_(pa.list_(pa.float32(), 3 if name == "keypoints" else 2))
            columns[name] = pa.array([np.asarray(each, np.float32).tolist() for each in known[name]], kind)
    for name in ("embedding", "values"):
        if name in known:
            columns[name] = pa.array([each.tolist() for each in known[name]], pa.list_(pa.float32()))
    if hasattr(results, "run_lengths") and results.frame_size is not None:
        columns["run_lengths"] = pa.array(results.run_lengths(), pa.list_(pa.int32()))
    table = pa.table(columns)
    size = results.frame_size
    facts = {"kind": type(results).__name__, "frame_size": "" if size is None else f"{size[0]}x{size[1]}"}
    return table.replace_schema_metadata({f"mnnlite.{key}": value for key, value in facts.items()})


def picture(results: Any) -> bytes | None:
    """The rows drawn on a grey picture of the frame's size, as a PNG; None if the size is not known."""
    if results.frame_size is None:
        return None
    width, height = results.frame_size
    canvas = np.full((height, width, 3), _PAPER, np.uint8)
    results.draw(canvas)
    step = -(-max(width, height) // _PICTURE)
    return _draw.png(canvas[::step, ::step])
