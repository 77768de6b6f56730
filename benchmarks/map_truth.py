"""A solved drive beside its truth: what `map_accuracy.py` and `map_rendered.py` have in common."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.mapping.simulator import PLANE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mnnlite.mapping import Track
    from mnnlite.mapping.drive import Drive
    from mnnlite.mapping.simulator import Made

    Floats = NDArray[np.float64]

NEAR, KNOWN = 20.0, 40.0  # metres: of the figures of places, and of the recall
LEAST = 4  # frames nearer than `KNOWN` in which something must have been there to be asked for
INSIDE = 4.605  # squared deviations within which 90 of 100 are, of two dimensions
OFF = 4.0  # metres: what is further from all of its kind is of nothing
POOLED = ("near", "absolute", "squared", "own", "azimuth")


def compare(
    drive: Drive,
    track: Track,
    things: Sequence[Made],
    close: Sequence[int],
    utc: Floats,
    antenna: Floats,
    start: float,
    clock: float,
) -> dict[str, Any]:
    """Figures of a drive.

    Parameters
    ----------
    drive, track
    things : sequence of Made
        What stands there.
    close : sequence of int
        In how many frames nearer than `KNOWN` each was to be seen.
    utc, antenna : (F,), (F, 3) float64
        When each frame was taken, and where that was.
    start : float
        UTC of the first frame as it was said.
    clock : float
        By how much that is late.
    """
    shift = drive.calibration.clock[0]
    estimated = track.states(utc + clock + shift)
    degrees = track.plane.to_degrees(estimated.place[:, :2])
    error = PLANE.to_plane(degrees[:, 0], degrees[:, 1]) - antenna[:, :2]
    places = np.array([thing.place[:2] for thing in things])
    passed = np.linalg.norm(places[:, None] - antenna[None, :, :2], axis=2).min(axis=1)
    kinds = np.array([thing.kind for thing in things])
    high = np.array([thing.above for thing in things])
    figures: dict[str, Any] = {name: [] for name in POOLED}
    figures["kinds"] = []
    used: set[int] = set()
    false = 0
    for element in drive.elements:
        if element.shape != "point":
            continue
        off = PLANE.to_plane(element.degrees[:, 0], element.degrees[:, 1])[0] - places
        moment = int(np.argmin(np.abs(utc + clock + shift - element.last)))
        true = np.linalg.norm(off - error[moment], axis=1) + np.abs(element.above_road - high)
        true += np.where(kinds == element.kind, 0, 1e9)
        true[list(used)] = 1e9
        best = int(np.argmin(true))
        if true[best] > OFF:
            false += 1
            continue
        used.add(best)
        rest = off[best] - error[moment]
        if passed[best] < NEAR:
            figures["near"].append(float(np.linalg.norm(rest)))
            figures["kinds"].append(element.kind)
        own = element.covariance - estimated.covariance[moment, :2, :2]
        figures["own"].append(float(rest @ np.linalg.solve(own, rest)))
        figures["absolute"].append(float(np.linalg.norm(off[best])))
        figures["squared"].append(float(off[best] @ np.linalg.solve(element.covariance, off[best])))
        if np.isfinite(element.azimuth) and np.isfinite(things[best].azimuth):
            figures["azimuth"].append(abs(float((element.azimuth - things[best].azimuth + 180) % 360 - 180)))
    wanted = [number for number, count in enumerate(close) if count >= LEAST]
    return {
        **figures, "false": false, "found": len(used), "wanted": len(wanted), "hits": sum(each in used for each in wanted),
        "clock": shift + clock, "clock_sigma": drive.calibration.clock[1], "blind": list(drive.calibration.unobservable),
    }  # fmt: skip


def made(
    work: Callable[..., dict[str, Any]], jobs: Mapping[str, tuple[Any, ...]], processes: int, keep: Path | None
) -> list[dict[str, Any]]:
    """What `work` gives for the arguments of each job, in their order. What was done is a line in the file `keep`, and is not
    done again.
    """
    done: dict[str, dict[str, Any]] = {}
    if keep is not None and keep.exists():
        with keep.open() as file:
            for line in map(json.loads, file):
                done[line["job"]] = line["figures"]
    missing = [name for name in jobs if name not in done]
    if missing:
        with ProcessPoolExecutor(processes) as pool:
            running = {pool.submit(work, *jobs[name]): name for name in missing}
            for future in as_completed(running):
                name, figures = running[future], future.result()
                done[name] = figures
                if keep is not None:
                    with keep.open("a") as file:
                        print(json.dumps({"job": name, "figures": figures}), file=file)
    return [done[name] for name in jobs]


def pooled(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of many drives together."""
    all_of = {key: np.array([value for row in rows for value in row[key]]) for key in POOLED}
    column = {
        key: np.array([row[key] for row in rows])
        for key in ("false", "found", "wanted", "hits", "clock", "clock_sigma")
    }
    sure = np.array([row["clock_sigma"] < 0.05 for row in rows])
    kinds = np.array([kind for row in rows for kind in row["kinds"]])
    known = np.array([value for row in rows if row["clock_sigma"] < 0.05 for value in row["absolute"]])
    return {
        "drives": len(rows),
        "elements": len(all_of["absolute"]),
        "near_m": _quantiles(all_of["near"], 3),
        "near_m_by_kind": {kind: _quantiles(all_of["near"][kinds == kind], 2) for kind in sorted(set(kinds.tolist()))},
        "absolute_m": _quantiles(all_of["absolute"], 2),
        "absolute_m_clock_sure": _quantiles(known, 2),
        "inside_90": round(float((all_of["squared"] < INSIDE).mean()), 3),
        "inside_90_without_track": round(float((all_of["own"] < INSIDE).mean()), 3),
        "inside_90_by_track": _quantiles(
            np.array([(np.array(row["squared"]) < INSIDE).mean() for row in rows if row["squared"]]), 2
        ),
        "precision": round(float(column["found"].sum() / max(column["found"].sum() + column["false"].sum(), 1)), 3),
        "recall_40m": round(float(column["hits"].sum() / max(column["wanted"].sum(), 1)), 3),
        "azimuth_90_deg": _quantiles(all_of["azimuth"], 1)[1],
        "clock_90_s": round(float(np.quantile(np.abs(column["clock"]), 0.9)), 3),
        "clock_sure": round(float(sure.mean()), 2),
        "clock_not_observable": round(float(np.mean(["clock" in row["blind"] for row in rows])), 2),
    }


def _quantiles(values: Floats, digits: int) -> list[float | None]:
    return [round(float(np.quantile(values, part)), digits) if len(values) else None for part in (0.5, 0.9)]


def print_figures(name: str, figures: dict[str, Any]) -> None:
    """For people."""
    print(f"{name}: {figures['elements']} elements of {figures['drives']} drives", flush=True)
    for key, value in figures.items():
        if key not in ("case", "drives", "elements"):
            print(f"  {key:22} {value}")
