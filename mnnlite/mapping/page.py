"""Writes a map as one self-contained HTML file: the path, the elements, and their error ellipses."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

import numpy as np

from mnnlite.mapping.clocks import text
from mnnlite.mapping.element import ellipse_of
from mnnlite.mapping.geodesy import Plane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnnlite.mapping.drive import Drive
    from mnnlite.mapping.element import Element

    Floats = NDArray[np.float64]

__all__ = ["page_of"]

COLORS = ("#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98", "#117a65", "#a04000", "#5d6d7e")
NINETY = math.sqrt(4.605)  # half axes of the ellipse that holds 90 %
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f23; --paper: #fff; --faint: #d0d7de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --faint: #30363d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1rem; }
svg { width: 100%; height: 70vh; border: 1px solid var(--faint); touch-action: none; }
svg .way { fill: none; stroke: var(--ink); stroke-opacity: .5; stroke-width: 2; vector-effect: non-scaling-stroke; }
svg .ellipse { fill-opacity: .15; stroke-width: 1; vector-effect: non-scaling-stroke; }
svg .line, svg .area { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg .area { fill-opacity: .08; stroke-width: .5; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .1rem .8rem .1rem 0; border-bottom: 1px solid var(--faint); }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em; }
.scroll { overflow-x: auto; }
"""
_SCRIPT = """
const svg = document.querySelector("svg"); let box = svg.viewBox.baseVal, from = null;
svg.addEventListener("wheel", event => { event.preventDefault();
  const part = event.deltaY < 0 ? 0.8 : 1.25, frame = svg.getBoundingClientRect();
  const x = box.x + box.width * (event.clientX - frame.left) / frame.width;
  const y = box.y + box.height * (event.clientY - frame.top) / frame.height;
  box.x = x - (x - box.x) * part; box.y = y - (y - box.y) * part; box.width *= part; box.height *= part; }, { passive: false });
svg.addEventListener("pointerdown", event => { from = event; svg.setPointerCapture(event.pointerId); });
svg.addEventListener("pointerup", () => { from = null; });
svg.addEventListener("pointermove", event => { if (!from) return; const frame = svg.getBoundingClientRect();
  const scale = Math.max(box.width / frame.width, box.height / frame.height);
  box.x -= (event.clientX - from.clientX) * scale; box.y -= (event.clientY - from.clientY) * scale; from = event; });
"""


def page_of(drive: Drive, crops: Mapping[str, str] | None = None) -> str:
    """The page.

    Parameters
    ----------
    drive : Drive
    crops : dict of str to str, optional
        By the id of an element: the address of a picture of it, as `crops_of` returns them.

    Returns
    -------
    str
        HTML; north is up, a unit of the drawing is a metre.
    """
    centre = drive.path[0] if len(drive.path) else np.zeros(2)
    plane = Plane(float(centre[0]), float(centre[1]))
    kinds = sorted({element.kind for element in drive.elements})
    color = {kind: COLORS[index % len(COLORS)] for index, kind in enumerate(kinds)}
    way = _drawn(plane, drive.path)
    parts = [f'<polyline class="way" points="{_points(way)}"/>'] if len(way) > 1 else []
    low, high = (way.min(axis=0), way.max(axis=0)) if len(way) else (np.zeros(2), np.ones(2))
    for element in sorted(drive.elements, key=lambda each: ("area", "line", "point").index(each.shape)):
        places = _drawn(plane, element.degrees)
        low, high = np.minimum(low, places.min(axis=0)), np.maximum(high, places.max(axis=0))
        parts.append(_shape(element, places, color[element.kind]))
    width, height = np.maximum(high - low, 20.0) * 1.1
    x, y = (low + high) / 2 - (width / 2, height / 2)
    legend = "".join(
        f'<tr><td><span class="swatch" style="background:{color[kind]}"></span>{html.escape(kind)}</td>'
        f"<td>{sum(element.kind == kind for element in drive.elements)}</td></tr>"
        for kind in kinds
    )
    calibration = drive.calibration.to_json()
    blind = ", ".join(calibration.pop("not_observable")) or "nothing"
    said = "".join(
        f"<tr><td>{name.rsplit('_', 1)[0]}</td><td>{value:+.3f} {name.rsplit('_', 1)[1]}</td><td>± {sigma:.3f}</td></tr>"
        for name, (value, sigma) in calibration.items()
    )
    rows = "".join(
        _row(element, (crops or {}).get(element.id, "")) for element in drive.elements if element.shape == "point"
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in drive.notes)
    times = f"{text(float(drive.utc[0]))} to {text(float(drive.utc[-1]))}" if len(drive.utc) else "no frames"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Drive {drive.id}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>Drive {drive.id}</h1><p>{times}; {len(drive.elements)} elements. Ellipses hold the truth in 90 of 100 cases. "
        f"Wheel and drag move the map.</p>"
        f'<svg viewBox="{x:.1f} {y:.1f} {width:.1f} {height:.1f}" role="img" aria-label="Map of the drive">{"".join(parts)}</svg>'
        f"<h2>Kinds</h2><table>{legend}</table>"
        f"<h2>What the drive said of camera and clock</h2><table>{said}</table><p>Not observable: {blind}.</p>"
        f"<ul>{notes}</ul><h2>Elements</h2><div class=scroll><table><tr><th>kind</th><th>label</th><th>text</th><th>latitude</th>"
        f"<th>longitude</th><th>sigma</th><th>faces</th><th>above the road</th><th>seen</th><th>confidence</th></tr>{rows}</table></div>"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def _drawn(plane: Plane, degrees: Floats) -> Floats:
    return plane.to_plane(degrees[:, 0], degrees[:, 1]) * (1, -1)


def _points(places: Floats) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in places.tolist())


def _title(element: Element) -> str:
    words = " ".join(each for each in (element.kind, element.label, element.text) if each)
    return html.escape(f"{words}, {element.sigma:.2f} m, seen {element.seen} of {element.expected}")


def _shape(element: Element, places: Floats, color: str) -> str:
    title = f"<title>{_title(element)}</title>"
    if element.shape == "line":
        return f'<polyline class="line" stroke="{color}" points="{_points(places)}">{title}</polyline>'
    if element.shape == "area":
        return f'<polygon class="area" stroke="{color}" fill="{color}" points="{_points(places)}">{title}</polygon>'
    x, y = places[0].tolist()
    major, minor, azimuth = ellipse_of(element.covariance)
    drawn = (
        f'<ellipse class="ellipse" cx="{x:.2f}" cy="{y:.2f}" rx="{minor * NINETY:.2f}" ry="{major * NINETY:.2f}" '
        f'stroke="{color}" fill="{color}" transform="rotate({azimuth:.1f} {x:.2f} {y:.2f})"/>'
        f'<circle cx="{x:.2f}" cy="{y:.2f}" r="0.5" fill="{color}">{title}</circle>'
    )
    if math.isfinite(element.azimuth):
        turned = math.radians(element.azimuth)
        drawn += (
            f'<line x1="{x:.2f}" y1="{y:.2f}" x2="{x + 2.5 * math.sin(turned):.2f}" y2="{y - 2.5 * math.cos(turned):.2f}" '
            f'stroke="{color}" stroke-width="0.2"/>'
        )
    return f"<g>{drawn}</g>"


def _row(element: Element, crop: str) -> str:
    faces = f"{element.azimuth:.0f}° ± {element.azimuth_sigma:.0f}" if math.isfinite(element.azimuth) else ""
    cells = (
        element.kind, element.label, element.text, f"{element.degrees[0, 0]:.7f}", f"{element.degrees[0, 1]:.7f}",
        f"{element.sigma:.2f} m", faces, f"{element.above_road:.1f} m", f"{element.seen} of {element.expected}",
        f"{element.confidence:.2f}",
    )  # fmt: skip
    picture = f'<td><img alt="" height="48" src="{crop}"></td>' if crop else ""
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}{picture}</tr>"
