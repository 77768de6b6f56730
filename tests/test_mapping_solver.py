"""The equations of a drive against a definition that is written down thing by thing, and drives as they were solved before."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnnlite.mapping import Track, equations, judging
from mnnlite.mapping.drive import Drive, solve_drive
from mnnlite.mapping.equations import CLOCK, HEIGHT, LOCAL, SHARED, Equations, Things
from mnnlite.mapping.following import follow
from mnnlite.mapping.simulator import PLANE, START, Options, simulate
from mnnlite.mapping.views import Views, boxes_of, views_of

BEFORE = Path(__file__).parent / "data" / "map_drives.json"
OPTIONS = {
    "gyroscope": (3, Options(seconds=30)),
    "clock": (7, Options(seconds=30, clock=0.4)),
    "pitch, slopes": (11, Options(seconds=30, pitch=1.0, slopes=True, gyro=False)),
}


def solved(seed: int, options: Options) -> Drive:
    made = simulate(seed, options)
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, 0.6 if options.clock else 0.02
    return solve_drive(made.given, made.camera, track)


@pytest.fixture(scope="module")
def problem() -> tuple[Equations, Things, np.ndarray]:
    """Equations of a short drive, things near their places, and some values of the drive's quantities."""
    made = simulate(5, Options(seconds=12))
    track = Track(made.log)
    views = views_of(track, made.camera, START + made.given.time)
    boxes = boxes_of(made.given, made.camera)
    rows = [each for each in follow(made.given, views, boxes, made.camera) if len(each) >= 5][:8]
    rng = np.random.default_rng(0)
    count = len(rows)
    places = []
    for each in rows:  # where its owner is, and a bit aside
        there = made.things[int(np.bincount(made.owner[each] + 1).argmax()) - 1].place
        places.append(np.append(track.plane.to_plane(*PLANE.to_degrees(there[:2])), there[2]) + rng.normal(0, 0.3, 3))
    things = Things(
        rows, np.array(places), rng.normal(0, 0.05, count), rng.normal(0, 0.002, (count, 3)), np.zeros(count), np.zeros(count, bool)
    )  # fmt: skip
    return Equations(made.given, views, boxes, made.camera), things, rng.normal(0, 0.003, SHARED)


def off(system: Equations, rows: np.ndarray, own: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Residuals of a thing in deviations, boxes first, then priors: the definition, without weights."""
    given, views, boxes, camera = system.given, system.views, system.boxes, system.camera
    rule = given.rules.elements[int(given.rule[rows[0]])]
    place, stretch, (heading, nods, metres) = own[:3], own[3], own[4:]
    turn = replace(
        camera.mounting,
        yaw=camera.mounting.yaw + math.degrees(value[0]),
        pitch=camera.mounting.pitch + math.degrees(value[1]),
        roll=camera.mounting.roll + math.degrees(value[2]),
    ).turn
    focal = math.sqrt(camera.fx * camera.fy)
    last = int(given.owner[rows[-1]])
    found = []
    for row in rows:
        frame = int(given.owner[row])
        driven = views.origin[frame] - views.origin[last]
        eye = views.origin[last] + (1 + metres) * driven + views.velocity[frame] * value[CLOCK]
        right, forward, up = views.turn[frame] @ (place - eye)
        angle = heading + views.rate[frame] * value[CLOCK]
        x, y, depth = turn @ (right - forward * angle, forward + right * angle + up * nods, up - forward * nods)
        point = boxes.foot[row] if rule.ground else boxes.middle[row]
        sigma = (equations.PIXELS / focal + equations.OF_SIZE * boxes.size[row]) * system.scale
        found += [(point[0] - x / depth) / sigma[0], (point[1] - y / depth) / sigma[1]]
        if rule.size:
            wanted = math.log(rule.size) + stretch - math.log(depth)
            found.append((math.log(boxes.size[row, 1]) - wanted) / (math.sqrt(2) * sigma[1] / boxes.size[row, 1]))
        else:
            found.append(0.0)
    found += [
        -stretch / max(rule.size_sigma, 1e-3), -heading / equations.HEADING, -nods / equations.NODS, -metres / equations.METRES
    ]  # fmt: skip
    if rule.ground:
        found.append((road_of(system, place, last) - value[HEIGHT] - place[2]) / road_sigma(system, place, last))
    return np.array(found)


def road_of(system: Equations, place: np.ndarray, frame: int) -> float:
    views = system.views
    way = views.states.way[frame] + (views.turn[frame] @ (place - views.origin[frame]))[1]
    return float(np.interp(way, views.states.way, views.origin[:, 2])) - system.camera.mounting.height


def road_sigma(system: Equations, place: np.ndarray, frame: int) -> float:
    views = system.views
    aside, ahead, _ = views.turn[frame] @ (place - views.origin[frame])
    beyond = max(0.0, views.states.way[frame] + ahead - views.states.way[-1])
    return float(np.linalg.norm([equations.FLAT, equations.CROSSFALL * aside, 0.03 * beyond]))


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("block", [equations.BLOCK, 10])
@pytest.mark.parametrize(("turned", "tolerance"), [(0.1, 5e-3), (1e-4, 2e-5)])
def test_equations__are_those_of_the_definition(
    problem: tuple[Equations, Things, np.ndarray],
    settled: bool,
    block: int,
    turned: float,
    tolerance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slopes of the definition by differences, weighted as the module says, summed thing by thing. The slopes leave out how two
    small turns act together, so they are as near as these are small.
    """
    system, things, value = problem
    things, value = replace(things, nuisance=things.nuisance * turned, misfit=things.misfit.copy()), value * turned
    monkeypatch.setattr(equations, "BLOCK", block)
    system.settled = settled
    sums = system.sums(things, value)
    assert {bool(system.ground[rows[0]]) for rows in things.rows} == {False, True}
    for number, rows in enumerate(things.rows):
        own = np.concatenate([things.place[number], [things.stretch[number]], things.nuisance[number]])
        at = np.concatenate([own, value])
        residual = off(system, rows, own, value)
        step = 1e-6
        slopes = -np.column_stack(
            [
                (off(system, rows, *np.split(at + step * unit, [LOCAL])) - off(system, rows, *np.split(at - step * unit, [LOCAL])))
                / (2 * step)
                for unit in np.eye(LOCAL + SHARED)
            ]
        )  # fmt: skip
        if system.ground[rows[0]]:  # the road is taken to stay as it is while a thing moves a bit
            slopes[-1] = 0
            slopes[-1, [2, LOCAL + HEIGHT]] = 1 / road_sigma(system, own[:3], int(system.given.owner[rows[-1]]))
        boxes = 3 * len(rows)
        pull = np.minimum(1, equations.HUBER / np.maximum(np.abs(residual[:boxes]), 1e-9)) ** 0.5
        misfit = math.sqrt(((residual[:boxes] * pull) ** 2).sum() / (2 * len(rows)))
        pull *= math.sqrt((1 - system.alike) / (1 + system.alike))
        if settled:
            worst = np.abs(residual[:boxes]).reshape(-1, 3).max(axis=1)
            pull *= np.repeat(np.minimum(1, equations.WRONG / worst), 3)
        weight = np.append(pull, np.ones(len(residual) - boxes))
        table = np.column_stack([slopes, residual]) * weight[:, None]
        wanted = table.T @ table
        assert things.misfit[number] == pytest.approx(misfit, rel=1e-9)
        size = np.sqrt(np.diag(wanted)) + 1e-9
        for found, expected, scale in (
            (sums.own[number], wanted[:LOCAL, :LOCAL], np.outer(size[:LOCAL], size[:LOCAL])),
            (sums.crossed[number], wanted[:LOCAL, LOCAL:-1], np.outer(size[:LOCAL], size[LOCAL:-1])),
            (sums.shared[number], wanted[LOCAL:-1, LOCAL:-1], np.outer(size[LOCAL:-1], size[LOCAL:-1])),
            (sums.own_gradient[number], wanted[:LOCAL, -1], size[:LOCAL] * size[-1]),
            (sums.shared_gradient[number], wanted[LOCAL:-1, -1], size[LOCAL:-1] * size[-1]),
        ):
            np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_drives__are_solved_as_before(name: str) -> None:
    """`map_drives.json` is what the solver gave when it took one thing at a time."""
    before = json.loads(BEFORE.read_text())[name]
    drive = solved(*OPTIONS[name])
    assert len(drive.elements) == len(before["elements"])
    for element, was in zip(drive.elements, before["elements"], strict=True):
        np.testing.assert_allclose(element.degrees[0], was["degrees"], rtol=0, atol=2e-9)  # 0.2 mm
        np.testing.assert_allclose(element.covariance, was["covariance"], rtol=1e-5, atol=1e-7)
        assert [element.seen, element.expected] == was["counts"]
    calibration = drive.calibration
    for quantity, was in before["calibration"].items():
        np.testing.assert_allclose(getattr(calibration, quantity), was, rtol=1e-5, atol=1e-6)


def test_near__is_what_looking_at_all_frames_gives() -> None:
    rng = np.random.default_rng(4)
    origin = np.cumsum(rng.normal(0, 3, (1000, 3)), axis=0)
    nothing = np.zeros(0)
    views = Views(nothing, None, origin, nothing, nothing, nothing)  # type: ignore[arg-type]
    for place in (origin[0], origin[700] + (30, -20, 4), origin.mean(axis=0), np.array([1e4, 0, 0])):
        wanted = np.flatnonzero(((origin[:, :2] - place[:2]) ** 2).sum(axis=1) < 60.0**2)
        np.testing.assert_array_equal(views.near(place, 60.0), wanted)


def test_occluders__cover_what_their_boxes_do() -> None:
    made = simulate(3, Options(seconds=10))
    rng = np.random.default_rng(2)
    count = 400
    corner = rng.uniform(0, 600, (count, 2))
    given = replace(
        made.given,
        owner=np.sort(rng.integers(0, len(made.given.frame), count)),
        rule=rng.integers(0, 3, count),
        box=np.concatenate([corner, corner + rng.uniform(50, 400, (count, 2))], axis=1),
    )
    frames = np.sort(rng.choice(len(given.frame), 60, replace=False))
    u, v = rng.uniform(0, 900, (2, 60))
    covered = judging.Occluders(given).covers(frames, u, v)
    wanted = [
        any(
            x1 < u[index] < x2 and y1 < v[index] < y2
            for x1, y1, x2, y2 in given.box[(given.owner == frame) & (given.rule == 2)]
        )
        for index, frame in enumerate(frames)
    ]
    assert covered.tolist() == wanted
    assert any(wanted)
    assert not all(wanted)
    no_boxes = replace(given, owner=given.owner[:0], rule=given.rule[:0], box=given.box[:0])
    assert not judging.Occluders(no_boxes).covers(frames, u, v).any()
