"""Results of a frame as a line of JSON, a line for people, and a picture."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.draw import Style, color_of, label, text_block
from mnnlite.results import Classes, Masks, Results
from mnnlite.results.base import Boxed
from mnnlite.video import to_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnnlite.frame import Frame
    from mnnlite.runtime import FrameResult

__all__ = ["describe", "draw", "frame_line"]

_FEW = 100  # values of a raw output that are written out


def frame_line(result: FrameResult) -> dict[str, Any]:
    """What is known about a frame, as plain data.

    Parameters
    ----------
    result : FrameResult
        Of a frame from a source: ``meta`` holds its number and time.

    Returns
    -------
    dict
        ``frame`` (from 0), ``time_ms`` (presentation time, or None), ``results`` (a list a task; for a task with
        several decoders a dict of lists), ``timing_ms``; where there are any ``timestamp_ns``, ``file``, ``skipped``
        and ``errors`` (why a task has no results), ``late``, ``crops`` (how many were looked at, and how many there
        were).
    """
    meta: dict[str, Any] = dict(result.meta or {})
    line: dict[str, Any] = {"frame": meta.pop("frame", None), "time_ms": _rounded(meta.pop("time_ms", None))}
    if result.timestamp_ns is not None:
        line["timestamp_ns"] = result.timestamp_ns
    line |= {
        **meta,
        "results": {name: _plain(found) for name, found in result.items()},
        "timing_ms": {
            name: {stage: _rounded(spent / 1e6) for stage, spent in stages.items()}
            for name, stages in result.timing.items()
        },
    }
    if result.skipped:
        line["skipped"] = result.skipped
    if result.errors:
        line["errors"] = {name: str(error) for name, error in result.errors.items()}
    if result.late:
        line["late"] = sorted(result.late)
    if result.crops:
        line["crops"] = result.crops
    return line


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _plain(result: Any) -> Any:
    if isinstance(result, Results):
        return result.to_json()
    if _is_raw(result):
        return [_summary(name, array) for name, array in result.items()]
    # Several decoders, or whatever a decoder in Python returned.
    if isinstance(result, dict):
        return {str(name): _plain(value) for name, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [_plain(value) for value in result]
    if isinstance(result, np.generic):
        return _plain(result.item())
    if isinstance(result, float):
        return result if np.isfinite(result) else None
    return result if result is None or isinstance(result, (bool, int, str)) else repr(result)


def _is_raw(result: Any) -> bool:
    """Tell whether a task handed its outputs out."""
    return isinstance(result, dict) and all(isinstance(value, np.ndarray) for value in result.values())


def _summary(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """A raw output in short: it may have millions of values."""
    summary: dict[str, Any] = {"output": name, "shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size:
        for key, value in (("min", array.min()), ("max", array.max()), ("mean", array.mean(dtype=np.float64))):
            summary[key] = _number(value)
    if array.size <= _FEW:
        summary["values"] = [_number(value) for value in array.ravel()]
    return summary


def _number(value: Any) -> float | int | None:
    """JSON has no NaN and no infinities."""
    number = value.item()
    return number if np.isfinite(number) else None


def describe(result: FrameResult) -> str:
    """One line for people: how many of what."""
    meta: dict[str, Any] = dict(result.meta or {})
    head = f"frame {meta.get('frame')}"
    if meta.get("file"):
        head += f" {meta['file']}"
    if meta.get("time_ms") is not None:
        head += f" at {meta['time_ms'] / 1000:.2f} s"
    return f"{head}: " + "; ".join(f"{name}: {_counted(found)}" for name, found in result.items())


def _counted(result: Any) -> str:
    if not isinstance(result, Results):
        if _is_raw(result):
            return ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in result.items())
        if isinstance(result, dict):
            return ", ".join(f"{name} {_counted(value)}" for name, value in result.items())
        return type(result).__name__
    if not len(result):
        return "-"
    kind = type(result).__name__.lower()
    return ", ".join(f"{count} {_named(label, kind, count)}" for label, count in Counter(result.labels).items())


def _named(label: str, kind: str, count: int) -> str:
    if not label:
        return kind.removesuffix("s") if count == 1 else kind
    return f"of class {label}" if label.isdigit() else label  # without names the label is the class's number


def draw(frame: Frame, result: FrameResult, parents: Mapping[str, str] | None = None) -> NDArray[np.uint8]:
    """Draw all results of a frame on an RGB picture of it: areas first, so that they hide nothing.

    Parameters
    ----------
    frame : Frame
    result : FrameResult
    parents : dict of str to str, optional
        The result that each cascade's crops are boxes of, by the names that `result` has: what a crop shows is written at
        its box.

    Returns
    -------
    (H, W, 3) uint8
    """
    picture = to_rgb(frame)
    found = [one for one in _each(dict(result.items())) if isinstance(one[1], Results)]
    words: list[str] = []
    at_boxes: list[tuple[Classes, Boxed]] = []
    drawn: Counter[type[Results]] = Counter()
    for name, each in sorted(found, key=lambda one: not isinstance(one[1], Masks)):
        if isinstance(each, Classes):  # they have no place of their own in the picture
            boxes = dict(found).get((parents or {}).get(name.split(".")[0], ""))
            if isinstance(boxes, Boxed):
                at_boxes.append((each, boxes))
            else:
                words += [f"{name}: {row.label or row.class_id} {row.score:.2f}" for row in each]
            continue
        # The same class of two tasks has two colours.
        each.draw(picture, Style(hue=drawn[type(each)], alpha=0.35))
        drawn[type(each)] += 1
    for classes, boxes in at_boxes:
        _draw_at_boxes(picture, classes, boxes)
    text_block(picture, (8, 8), words)
    return picture


def _draw_at_boxes(picture: NDArray[np.uint8], classes: Classes, boxes: Boxed) -> None:
    """The best class of each crop, at the bottom of the box that it was cut from."""
    seen: set[int] = set()
    for row in classes:
        if row.item in seen or not 0 <= row.item < len(boxes):
            continue
        seen.add(row.item)
        left, _, _, bottom = boxes.boxes_xyxy[row.item]
        color = color_of(int(boxes.class_ids[row.item]))
        label(picture, (float(left), float(bottom)), f"{row.label or row.class_id} {row.score:.2f}", color)


def _each(results: dict[str, Any]) -> list[tuple[str, Any]]:
    """Results by name, those of several decoders on one inference side by side."""
    flat: list[tuple[str, Any]] = []
    for name, result in results.items():
        flat += (
            [(f"{name}.{key}", one) for key, one in result.items()] if isinstance(result, dict) else [(name, result)]
        )
    return flat
