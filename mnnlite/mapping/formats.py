"""Writes maps as GeoJSON (RFC 7946) or as a sequence of features (RFC 8142), and the coverage of a drive."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import ArgumentError
from mnnlite.files import atomic_write
from mnnlite.mapping.element import DATUM, DIGITS, SCHEMA

if TYPE_CHECKING:
    import os

    from mnnlite.mapping.drive import Drive
    from mnnlite.mapping.kinds import MapRules

__all__ = ["FORMATS", "collection", "coverage", "format_of", "write", "write_json"]

FORMATS = {
    ".geojson": "geojson",
    ".json": "geojson",
    ".geojsonl": "lines",
    ".ndjson": "lines",
    ".jsonl": "lines",
    ".geojsons": "sequence",
    ".geojsonseq": "sequence",
    ".html": "page",
    ".htm": "page",
}
SPACING = 5.0  # metres between the points of the way in a coverage file


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that a file's suffix names.

    Raises
    ------
    ArgumentError
        The suffix names no format.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ArgumentError(f"{path}: {suffix or 'no suffix'!r} is no format of maps; wanted {', '.join(FORMATS)}")
    return FORMATS[suffix]


def collection(drive: Drive, proofs: bool = False) -> dict[str, Any]:
    """A FeatureCollection. Members beyond those of RFC 7946 say what it was made of."""
    return {
        "type": "FeatureCollection",
        "schema": SCHEMA,
        "drive": drive.id,
        "datum": DATUM,
        "calibration": drive.calibration.to_json(),
        "made_of": drive.facts,
        "notes": drive.notes,
        "features": [element.to_feature(proofs) for element in drive.elements],
    }


def coverage(drive: Drive, rules: MapRules, view_deg: float) -> dict[str, Any]:
    """Where it was looked, and how well: the way driven, with the view, for each kind the recall by distance, and what was
    hidden behind other things.

    What is not in the map, and was in view and range, was not there with that recall; elsewhere nobody looked.
    """
    path = drive.path
    kept = [0]
    last = path[0] if len(path) else np.zeros(2)
    for index in range(1, len(path)):
        north, east = np.radians(path[index] - last) * 6_371_000
        if math.hypot(north, east * math.cos(math.radians(last[0]))) >= SPACING:
            kept.append(index)
            last = path[index]
    points = np.round(path[kept][:, ::-1], DIGITS).tolist() if len(path) else []
    kinds = {}
    for rule in rules.elements:
        for kind in [rule.kind] if rule.kind else list(rule.labels) or list(drive.recall):
            if rule.shape == "point":
                bins = drive.recall.get(kind, [])
                kinds[kind] = {
                    "near_m": rule.near,
                    "far_m": rule.far,
                    "recall_by_10_m": [
                        [10 * index, should, found] for index, (should, found) in enumerate(bins) if should
                    ],
                }
    properties = {
        "coverage": "way of the antenna",
        "view_deg": round(view_deg, 1),
        "kinds": kinds,
        "looks_deg": [round(float(each) % 360, 1) for each in drive.hiding.looks[kept]]
        if len(drive.hiding.looks)
        else [],
        "hidden": [drive.hiding.boxes[index] for index in kept] if drive.hiding.boxes else [],
        "times": [round(float(drive.utc[index]), 2) for index in kept] if len(drive.utc) else [],
        "drive": drive.id,
        "schema": "mnnlite-coverage/1",
    }
    geometry = {"type": "LineString", "coordinates": points} if len(points) > 1 else None
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "geometry": geometry, "properties": properties}],
    }


def write(path: str | os.PathLike[str], drive: Drive, proofs: bool = False, page: str = "") -> None:
    """Write a map; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        ``.geojson`` and ``.json``: a collection. ``.geojsonl`` and ``.jsonl``: one feature per line. ``.geojsons`` and
        ``.geojsonseq``: RFC 8142, with a record separator before each feature. ``.html``: `page`.
    drive : Drive
    proofs : bool
        Whether the elements have their frames and boxes.
    page : str
        Content of an HTML file.

    Raises
    ------
    OutputError
        The file cannot be written. A file that was there before still is.
    """
    form = format_of(path)
    if form == "geojson":
        return write_json(path, collection(drive, proofs))
    if form == "page":
        text = page
    else:
        start = "\x1e" if form == "sequence" else ""
        lines = (json.dumps(each.to_feature(proofs), ensure_ascii=False, allow_nan=False) for each in drive.elements)
        text = "".join(f"{start}{line}\n" for line in lines)
    _write(path, text)


def write_json(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Write a value as JSON, whole or not at all.

    Raises
    ------
    OutputError
    """
    _write(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def _write(path: str | os.PathLike[str], text: str) -> None:
    with atomic_write(path) as made:
        made.write_text(text, encoding="utf-8")
