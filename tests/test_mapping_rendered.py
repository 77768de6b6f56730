"""Maps of two rendered drives, from what the road pack's networks found in them, each with many receivers.

``data/drives`` has the boxes, without lines and areas, that ``benchmarks/map_rendered.py --keep`` kept; what stands there the seed
says. All twenty drives are that benchmark's.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from mnnlite.demo.drives import Drive as Rendered
from mnnlite.mapping import Element, Track, measurements
from mnnlite.mapping.drive import solve_drive
from mnnlite.mapping.simulator import PLANE, START, TICK, Options, noisy_log

FOLDER = Path(__file__).parent / "data" / "drives"
SEEDS = (7_000_000, 7_000_001)
TRACKS = 20
INSIDE = 4.605  # squared deviations within which 90 of 100 are, of two dimensions
OFF = 4.0  # metres: what is further from all of its kind is of nothing


def owners(points: list[Element], places: np.ndarray, kinds: list[str]) -> list[tuple[Element, int]]:
    """For each element the number of its thing, the nearest pairs first; -1 where there is none."""
    where = np.array([PLANE.to_plane(*each.degrees[0]) for each in points])
    away = np.linalg.norm(where[:, None] - places[None], axis=2)
    away[np.array([each.kind for each in points])[:, None] != np.array(kinds)[None]] = np.inf
    found = np.full(len(points), -1)
    while away.size and away.min() < OFF:
        row, thing = np.unravel_index(np.argmin(away), away.shape)
        found[row] = thing
        away[row], away[:, thing] = np.inf, np.inf
    return list(zip(points, found.tolist(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_map__of_a_rendered_drive_with_many_receivers(seed: int) -> None:
    with gzip.open(FOLDER / f"{seed}.jsonl.gz", "rt") as file:
        given = measurements.of_lines(file)
    drive = Rendered(seed, 60.0, 6.25)
    antenna = np.column_stack([np.interp(given.time, drive.moments, drive.antenna[:, axis]) for axis in range(3)])
    labels = {label for rule in given.rules.elements if rule.shape == "point" for label in rule.labels}
    things = [thing for thing in drive.things if thing.kind in labels]
    places = np.array([thing.place[:2] for thing in things])
    velocity = np.gradient(drive.antenna[:, :2], TICK, axis=0)
    near: dict[str, list[float]] = {}
    inside, own, matched, false = [], [], 0, 0
    for receiver in range(TRACKS):
        log = noisy_log(
            np.random.default_rng((seed, receiver)), Options(), drive.moments, drive.antenna, velocity, drive.turn
        )
        track = Track(log)
        track.video_start, track.video_start_sigma = START, 0.02
        solved = solve_drive(given, drive.camera, track)
        states = track.states(START + given.time + solved.calibration.clock[0])
        degrees = track.plane.to_degrees(states.place[:, :2])
        drifted = PLANE.to_plane(degrees[:, 0], degrees[:, 1]) - antenna[:, :2]
        for element, number in owners(solved.elements, places, [thing.kind for thing in things]):
            if number < 0:
                false += 1
                continue
            matched += 1
            moment = int(np.argmin(np.abs(START + given.time + solved.calibration.clock[0] - element.last)))
            off = PLANE.to_plane(*element.degrees[0]) - places[number]
            rest, alone = off - drifted[moment], element.covariance - states.covariance[moment, :2, :2]
            inside.append(off @ np.linalg.solve(element.covariance, off) < INSIDE)
            own.append(rest @ np.linalg.solve(alone, rest) < INSIDE)
            if np.linalg.norm(places[number] - antenna[:, :2], axis=1).min() < 20:
                near.setdefault(element.kind, []).append(float(np.linalg.norm(rest)))
    assert matched / TRACKS > 35
    assert false / (matched + false) < 0.08
    assert np.mean(own) > 0.88  # of what is the map's own, not the receiver's: twenty of those say little
    assert 0.75 < np.mean(inside) < 0.99
    # Beside the road; what hangs above it is passed under, and its distance is known less.
    assert max(np.median(near["sign"]), np.median(near["cone"])) < 0.3
    assert np.quantile(near["sign"], 0.9) < 0.75
