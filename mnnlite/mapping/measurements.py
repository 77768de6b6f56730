"""Pass 1 of a map: writes what the networks found in each frame, in pixels, as lines of JSON, and reads it as arrays.

A line has at most a few hundred bytes, and is whole in the file before the next frame is processed. So memory stays constant, and a
power cut costs one frame. The first line describes the rest::

    {"mnnlite": "measurements", "schema": 1, "frame_size": [1280, 720], "map": {...}, "pipeline": "sha256...", ...}
    {"f": 0, "t": 0.0, "o": [[rule, score, x1, y1, x2, y2, class, label, score, text, score], ...], "l": [[rule, score, class, [x, y, ...]], ...]}

`b` are boxes to blur in crops. `t` is seconds of the video's own time, and `u` is UTC if the source knows it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping.kinds import MapRules

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mnnlite.runtime import FrameResult

    Floats = NDArray[np.float64]

__all__ = ["SCHEMA", "Measurements", "Outline", "header", "line_of", "of_lines", "read", "time_of"]

SCHEMA = 1
_COLUMNS = 6  # numbers before the texts of an object


@dataclass
class Outline:
    """A line or an area in one frame: (P, 2) points in pixels."""

    frame: int
    rule: int
    score: float
    label: str
    points: Floats


@dataclass
class Measurements:
    """The measurements of a whole drive, as columns.

    Parameters
    ----------
    rules : MapRules
    frame_size : (width, height)
    frame : (F,) int64
        Number of each frame in the video.
    time : (F,) float64
        Seconds since the video's first frame.
    utc : (F,) float64
        Seconds since 1970 if the source knows it, otherwise NaN.
    owner : (N,) int64
        For each object: the row of its frame.
    rule : (N,) int64
        For each object: the index of its rule.
    score : (N,) float64
    box : (N, 4) float64
    texts : list of (class, label, label score, text, text score)
    outlines : list of Outline
    private : dict of int to list of boxes
        By row of a frame: the boxes to blur in crops of it.
    facts : dict
        The rest of the first line: hashes and names.
    notes : list of str
    """

    rules: MapRules
    frame_size: tuple[int, int]
    frame: NDArray[np.int64]
    time: Floats
    utc: Floats
    owner: NDArray[np.int64]
    rule: NDArray[np.int64]
    score: Floats
    box: Floats
    texts: list[tuple[str, str, float, str, float]]
    outlines: list[Outline] = field(default_factory=list)
    private: dict[int, list[list[float]]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def header(rules: MapRules, frame_size: tuple[int, int], **facts: Any) -> dict[str, Any]:
    """The first line."""
    return {
        "mnnlite": "measurements",
        "schema": SCHEMA,
        "frame_size": list(frame_size),
        "map": rules.to_table(),
        **facts,
    }


def _result(result: FrameResult, name: str) -> Any:
    task, _, output = name.partition(".")
    found = result.get(task)
    return found.get(output) if output and isinstance(found, dict) else found


def _boxes(found: Any) -> list[list[float]]:
    return [] if found is None else [[round(value, 1) for value in box] for box in found.boxes_xyxy.tolist()]


def line_of(result: FrameResult, rules: MapRules, time_s: float, utc: float | None = None) -> dict[str, Any]:
    """A frame's line.

    Parameters
    ----------
    result : FrameResult
    rules : MapRules
    time_s : float
        Time of the frame in the video.
    utc : float, optional
    """
    number = result.meta.get("frame", result.index) if isinstance(result.meta, dict) else result.index
    line: dict[str, Any] = {"f": int(number), "t": round(time_s, 4)}
    if utc is not None:
        line["u"] = round(utc, 4)
    objects: list[list[Any]] = []
    outlines: list[list[Any]] = []
    taken: dict[str, set[int]] = {}
    for index, rule in enumerate(rules.elements):
        found = _result(result, rule.task)
        if found is None or not len(found):
            continue
        if rule.shape in ("line", "area"):
            for row in found:
                if (not rule.labels or row.label in rule.labels) and row.score >= rule.score and len(row.points) >= 2:
                    points = [round(float(value), 1) for value in row.points.ravel()]
                    outlines.append([index, round(float(row.score), 3), row.label, points])
            continue
        names = (
            {each.item: (each.label, float(each.score)) for each in _result(result, rule.label) or ()}
            if rule.label
            else {}
        )
        texts = (
            {each.item: (each.text, float(each.score)) for each in _result(result, rule.text) or ()}
            if rule.text
            else {}
        )
        done = taken.setdefault(rule.task, set())
        boxes, scores, labels = found.boxes_xyxy.tolist(), found.scores.tolist(), found.labels
        for row, (box, score, label) in enumerate(zip(boxes, scores, labels, strict=True)):
            if row in done or (rule.labels and label not in rule.labels) or score < rule.score:
                continue
            done.add(row)
            entry: list[Any] = [index, round(score, 3), *(round(value, 1) for value in box), label]
            if row in names or row in texts:
                name, text = names.get(row, ("", 0.0)), texts.get(row, ("", 0.0))
                entry += [name[0], round(name[1], 3), text[0], round(text[1], 3)]
            objects.append(entry)
    if objects:
        line["o"] = objects
    if outlines:
        line["l"] = outlines
    private = [box for name in rules.blur for box in _boxes(_result(result, name))]
    if private:
        line["b"] = private
    return line


def time_of(result: FrameResult) -> float:
    """Time of a frame in the video in seconds, as sources write it into ``meta``.

    Raises
    ------
    ArgumentError
        The frame has no time.
    """
    time_ms = result.meta.get("time_ms") if isinstance(result.meta, dict) else None
    if time_ms is None:
        raise ArgumentError(
            "the frames have no times (meta['time_ms']), so nothing says where they were taken; wanted a video or a camera"
        )
    return float(time_ms) / 1000


def read(path: str | os.PathLike[str]) -> Measurements:
    """Read a file of measurements, without a last line that was cut off.

    Raises
    ------
    SourceError
        The file cannot be read, or is not one of measurements.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return of_lines(file, str(path))
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"cannot read the measurements {path}: {error.strerror}") from None


def of_lines(lines: Iterable[str | dict[str, Any]], name: str = "measurements") -> Measurements:
    """Make measurements of lines, which are texts or dicts."""
    head: dict[str, Any] | None = None
    frames: list[tuple[int, float, float]] = []
    numbers: list[list[float]] = []
    texts: list[tuple[str, str, float, str, float]] = []
    owners: list[int] = []
    outlines: list[Outline] = []
    private: dict[int, list[list[float]]] = {}
    broken = 0
    for line in lines:
        try:
            value = json.loads(line) if isinstance(line, str) else line
            if head is None:
                head = _head(value, name)
                continue
            row = len(frames)
            added = [_object(each) for each in value.get("o", ())]
            shapes = [
                Outline(row, int(rule), float(score), str(label), np.array(points, np.float64).reshape(-1, 2))
                for rule, score, label, points in value.get("l", ())
            ]
            frame = (int(value["f"]), float(value["t"]), float(value.get("u", math.nan)))
            if not math.isfinite(frame[1]) or not all(math.isfinite(number) for each, _ in added for number in each):
                raise ValueError("numbers are finite")
            frames.append(frame)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if head is None:
                if isinstance(error, (ArgumentError, SourceError)):
                    raise
                break
            broken += 1
            continue
        outlines += shapes
        if "b" in value:
            private[row] = [[float(number) for number in box] for box in value["b"]]
        for each, words in added:
            owners.append(row)
            numbers.append(each)
            texts.append(words)
    if head is None:
        raise SourceError(f"{name} is no file of measurements; mnnlite run --measurements FILE writes one")
    if not frames:
        raise SourceError(f"{name} has no frame in it")
    rules = MapRules.of(head["map"])
    table = np.array(numbers, np.float64).reshape(-1, _COLUMNS)
    order = np.argsort([each[1] for each in frames], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    columns = np.array(frames, np.float64).reshape(-1, 3)[order]
    owner = place[np.array(owners, np.int64)] if owners else np.empty(0, np.int64)
    sequence = np.argsort(owner, kind="stable")
    for outline in outlines:
        outline.frame = int(place[outline.frame])
    if len(table) and table[:, 0].max() >= len(rules.elements):
        raise SourceError(f"{name} is damaged: it has objects of rules that its first line does not have")
    facts = {key: value for key, value in head.items() if key not in ("mnnlite", "schema", "frame_size", "map")}
    notes = (
        [
            f"{broken} line{'' if broken == 1 else 's'} of the measurements {'is' if broken == 1 else 'are'} damaged and left out"
        ]
        if broken
        else []
    )
    return Measurements(
        rules,
        (int(head["frame_size"][0]), int(head["frame_size"][1])),
        columns[:, 0].astype(np.int64),
        columns[:, 1],
        columns[:, 2],
        owner[sequence],
        table[sequence, 0].astype(np.int64),
        table[sequence, 1],
        table[sequence, 2:6],
        [texts[index] for index in sequence],
        outlines,
        {int(place[row]): boxes for row, boxes in private.items()},
        facts,
        notes,
    )


def _head(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("mnnlite") != "measurements":
        raise SourceError(f"{name} is no file of measurements; mnnlite run --measurements FILE writes one")
    if value.get("schema") != SCHEMA:
        raise SourceError(f"{name} has schema {value.get('schema')!r}; this mnnlite reads {SCHEMA}")
    return value


def _object(entry: list[Any]) -> tuple[list[float], tuple[str, str, float, str, float]]:
    numbers = [float(value) for value in entry[:_COLUMNS]]
    words = [*entry[_COLUMNS:], *("", "", 0.0, "", 0.0)[len(entry) - _COLUMNS :]]
    return numbers, (str(words[0]), str(words[1]), float(words[2]), str(words[3]), float(words[4]))
