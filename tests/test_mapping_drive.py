"""Maps of simulated drives, whose truth is known to the millimetre."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mnnlite import results
from mnnlite.errors import ArgumentError, SourceError
from mnnlite.frame import Frame
from mnnlite.mapping import Element, MapRules, Observer, Track, formats, measurements
from mnnlite.mapping.crops import blurred, crops_of
from mnnlite.mapping.drive import Drive, solve_drive
from mnnlite.mapping.element import ellipse_of
from mnnlite.mapping.page import page_of
from mnnlite.mapping.simulator import PLANE, START, Options, Simulated, simulate
from mnnlite.runtime import FrameResult


def solved(made: Simulated, clock_sigma: float = 0.02, trim: float = 0.0) -> Drive:
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, clock_sigma
    return solve_drive(made.given, made.camera, track, trim=trim)


def matched(made: Simulated, drive: Drive) -> list[tuple[Element, int, np.ndarray]]:
    """Elements with the thing that each is of, and how far off it is; -1 for what is not there."""
    pairs = []
    for element in drive.elements:
        place = PLANE.to_plane(element.degrees[:, 0], element.degrees[:, 1])[0]
        off = [
            math.inf if thing.moves or thing.kind != element.kind
            else float(np.linalg.norm(place - thing.place[:2])) + abs(element.above_road - thing.above)
            for thing in made.things
        ]  # fmt: skip
        best = int(np.argmin(off))
        pairs.append((element, best if off[best] < 5 else -1, place - made.things[best].place[:2]))
    return pairs


@pytest.fixture(scope="module")
def drive() -> tuple[Simulated, Drive]:
    made = simulate(3, Options(seconds=30))
    return made, solved(made)


def test_map__holds_what_is_there_once(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    pairs = matched(made, found)
    owners = [number for _, number, _ in pairs]
    assert owners.count(-1) <= 1
    assert len({number for number in owners if number >= 0}) >= len(owners) - 1
    clear = np.bincount(made.owner[made.owner >= 0], minlength=len(made.things)) >= 12
    standing = [number for number, thing in enumerate(made.things) if clear[number] and not thing.moves]
    assert len(set(owners) & set(standing)) >= 0.9 * len(standing)


def test_map__is_off_by_what_it_says(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    off = np.array([off for _, number, off in matched(made, found) if number >= 0])
    assert np.quantile(np.linalg.norm(off - np.median(off, axis=0), axis=1), 0.9) < 1.0
    assert np.median([element.sigma for element in found.elements]) < 1.5
    for element in found.elements:
        assert element.sigma > 0.1
        assert element.seen <= element.expected


def test_map__knows_sides_heights_and_facings(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    facings = []
    for element, number, _ in matched(made, found):
        if number < 0:
            continue
        thing = made.things[number]
        assert element.above_road == pytest.approx(thing.above, abs=0.6)
        if math.isfinite(thing.azimuth):
            facings.append(abs((element.azimuth - thing.azimuth + 180) % 360 - 180))
        else:
            assert math.isnan(element.azimuth)
    assert np.quantile(facings, 0.9) < 30


def test_map__is_the_same_every_time(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    again = solved(made)
    assert [each.id for each in again.elements] == [each.id for each in found.elements]
    assert len({each.id for each in found.elements}) == len(found.elements)


def test_drive__elsewhere_is_another_one(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    east = solved(replace(made, log=replace(made.log, longitude=made.log.longitude + 1)))
    assert east.elements[0].drive != found.elements[0].drive


@pytest.mark.parametrize("change", [{"pitch": 1.0}, {"yaw": 1.0}])
def test_calibration__finds_how_the_camera_looks(change: dict[str, float]) -> None:
    found = solved(simulate(5, Options(seconds=25, **change))).calibration
    assert found.pitch[0] == pytest.approx(change.get("pitch", 0), abs=0.25)
    assert found.yaw[0] == pytest.approx(change.get("yaw", 0), abs=0.15)
    assert found.pitch[1] < 0.25


def test_calibration__clock_in_bends_and_on_a_straight_road() -> None:
    bends = solved(simulate(6, Options(seconds=20, clock=0.4)), clock_sigma=0.6).calibration
    assert bends.clock[0] == pytest.approx(-0.4, abs=4 * bends.clock[1])
    assert bends.clock[1] < 0.1
    assert "clock" not in bends.unobservable
    straight = solved(simulate(6, Options(seconds=20, clock=0.4, straight=True)), clock_sigma=0.6).calibration
    assert "clock" in straight.unobservable
    assert straight.clock == (0.0, pytest.approx(0.6))


def test_straight_road__the_ellipse_still_holds_the_truth() -> None:
    made = simulate(7, Options(seconds=20, clock=0.4, straight=True))
    pairs = [pair for pair in matched(made, solved(made, clock_sigma=0.6)) if pair[1] >= 0]
    inside = [float(off @ np.linalg.solve(element.covariance, off)) < 9.21 for element, _, off in pairs]
    assert np.mean(inside) > 0.8


def test_what_moves_with_the_car_ahead_is_no_element() -> None:
    drives = (simulate(seed, Options(seconds=20)) for seed in range(20))
    made = next(each for each in drives if any(thing.moves for thing in each.things))
    moving = next(number for number, thing in enumerate(made.things) if thing.moves)
    assert (made.owner == moving).sum() > 50
    frames = {int(made.given.frame[made.given.owner[row]]): row for row in np.flatnonzero(made.owner == moving)}
    for element in solved(made).elements:
        boxes = [made.given.box[frames[frame]] for frame, _ in element.proof if frame in frames]
        shown = [box for frame, box in element.proof if frame in frames]
        assert not any(np.allclose(one, other) for one, other in zip(boxes, shown, strict=True))


def test_trim__leaves_out_both_ends(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    trimmed = solved(made, trim=100)
    assert 0 < len(trimmed.elements) < len(found.elements)
    ends = PLANE.to_plane(*found.path[[0, -1]].T)
    way = PLANE.to_plane(*trimmed.path.T)
    assert min(np.linalg.norm(way - end, axis=1).min() for end in ends) > 60


def test_map__of_a_drive_with_nothing_in_it(drive: tuple[Simulated, Drive]) -> None:
    made, _ = drive
    given = replace(
        made.given, owner=made.given.owner[:0], rule=made.given.rule[:0], score=made.given.score[:0],
        box=made.given.box[:0], texts=[],
    )  # fmt: skip
    found = solved(replace(made, given=given), trim=10)
    assert found.elements == []
    assert {"yaw", "pitch"} <= set(found.calibration.unobservable)
    assert "no frame had anything for objects sign, objects cone" in found.notes
    assert len(formats.coverage(found, given.rules, 68.0)["features"]) == 1
    assert "<svg" in page_of(found)


def test_frames_outside_of_the_track(drive: tuple[Simulated, Drive]) -> None:
    made, _ = drive
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start + 20, 0.02
    found = solve_drive(made.given, made.camera, track)
    assert any("outside of the track's time" in note for note in found.notes)
    track.video_start = made.video_start + 3600
    with pytest.raises(SourceError, match="does not cover the video"):
        solve_drive(made.given, made.camera, track)
    with pytest.raises(ArgumentError, match="calibrated at 1280x720"):
        solve_drive(replace(made.given, frame_size=(640, 480)), made.camera, Track(made.log))


def lines_of(made: Simulated) -> list[dict]:
    given = made.given
    lines = [measurements.header(given.rules, given.frame_size, pipeline="x")]
    for frame, time in enumerate(given.time):
        rows = np.flatnonzero(given.owner == frame)
        objects = [
            [int(given.rule[row]), given.score[row], *given.box[row].tolist(), given.texts[row][0]] for row in rows
        ]
        lines.append({"f": int(given.frame[frame]), "t": float(time), "o": objects})
    return lines


def test_measurements__come_back_from_their_file(drive: tuple[Simulated, Drive], tmp_path) -> None:
    made, found = drive
    text = "".join(json.dumps(line) + "\n" for line in lines_of(made))
    (tmp_path / "drive.jsonl").write_text(text)
    given = measurements.read(tmp_path / "drive.jsonl")
    np.testing.assert_array_equal(given.box, made.given.box)
    assert given.facts == {"pipeline": "x"}
    assert [each.id for each in solved(replace(made, given=given)).elements] == [each.id for each in found.elements]
    # Cut in the middle of a line: what is before it is whole.
    (tmp_path / "cut.jsonl").write_text(text[: len(text) * 2 // 3])
    cut = measurements.read(tmp_path / "cut.jsonl")
    assert 0.5 < len(cut.frame) / len(given.frame) < 0.8
    assert any("damaged" in note for note in cut.notes)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no file of measurements"), ("{}\n", "no file of measurements"), ('{"mnnlite": "measurements", "schema": 9}', "schema 9"),
     ('{"mnnlite": "measurements", "schema": 1, "frame_size": [1, 1], "map": {"element": [{"task": "a"}]}}', "no frame")],
)  # fmt: skip
def test_measurements__of_something_else(content: str, said: str, tmp_path) -> None:
    (tmp_path / "x").write_text(content)
    with pytest.raises(SourceError, match=said):
        measurements.read(tmp_path / "x")


def test_observer__takes_results(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    given = made.given
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, 0.02
    observer = Observer(made.camera, track, given.rules)
    with pytest.raises(ArgumentError, match="no frame"):
        observer.elements()
    names, blank = ("sign", "cone", "vehicle"), np.zeros((720, 1280), np.uint8)
    for frame, time in enumerate(given.time):
        rows = given.owner == frame
        picture = Frame(blank, "GRAY", meta={"frame": frame, "time_ms": 1000 * float(time)})
        result = FrameResult(frame, picture)
        result._results["objects"] = results.Detections.from_arrays(
            given.box[rows], given.score[rows], given.rule[rows], names=names
        )
        observer.update(result)
    elements = observer.elements()
    assert abs(len(elements) - len(found.elements)) <= 1  # boxes are rounded to tenths of pixels
    feature = elements[0].to_feature()
    assert feature["geometry"]["coordinates"][0] == pytest.approx(11.5, abs=0.05)
    assert feature["properties"]["first_seen"].startswith("2026-02-03T10:00:")
    wanted = "kind label text confidence azimuth_deg sigma_m seen expected first_seen last_seen drive id schema"
    assert set(wanted.split()) <= feature["properties"].keys()


def test_rules__say_what_is_wrong() -> None:
    for table, said in (
        ({}, "no \\[\\[map.element"),
        ({"element": [{"task": "objects", "sise": 1}]}, "did you mean 'size'"),
        ({"element": [{"task": "cars"}]}, "nothing gives it: there is no task 'cars'; there are objects"),
        ({"element": [{"task": "objects", "shape": "cube"}]}, "shape"),
        ({"element": [{"task": "objects", "reject": "other"}]}, "there is no label"),
        ({"element": [{"task": "objects"}], "privacy": {"blur": "faces"}}, "no task 'faces'"),
    ):
        with pytest.raises(ArgumentError, match=said):
            MapRules.of(table, ["objects"])
    rules = MapRules.of(
        {"element": [{"task": "objects", "labels": "sign", "size": 0.8}], "privacy": {"blur": ["objects"]}}
    )
    assert MapRules.of(rules.to_table()) == rules


def test_reject__of_a_label_is_no_element(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    rules = MapRules.of(
        {"element": [{"task": "objects", "labels": ["sign"], "size": 0.79, "label": "signs", "reject": "other"}]}
    )
    signs = made.given.rule == 0
    given = replace(
        made.given, rules=rules, owner=made.given.owner[signs], rule=made.given.rule[signs], score=made.given.score[signs],
        box=made.given.box[signs], texts=[("sign", "other" if number == 0 else "stop", 0.9, "", 0.0) for number in made.owner[signs]],
    )  # fmt: skip
    labels = {element.label for element in solved(replace(made, given=given)).elements}
    assert labels == {"stop"}
    assert len(found.elements) > 8


def test_solver__a_box_of_a_part_is_no_observation() -> None:
    """Something that the edge of the picture cuts off has a box whose middle is not its own; a wrong one now and then as well."""
    made = simulate(3, Options(seconds=30))
    box = made.given.box.copy()
    rng = np.random.default_rng(1)
    for row in rng.choice(len(box), len(box) // 15, replace=False):
        x1, y1, x2, y2 = box[row]
        box[row] = (x1, y1, x1 + 0.4 * (x2 - x1), y2)  # the left part: something stands in front of the rest
    drive = solved(replace(made, given=replace(made.given, box=box)))
    off = [np.linalg.norm(away) for _, number, away in matched(made, drive) if number >= 0]
    plain = [np.linalg.norm(away) for _, number, away in matched(made, solved(made)) if number >= 0]
    assert np.median(off) < np.median(plain) + 0.15
    assert len(off) > 0.85 * len(plain)


def test_ellipse__half_axes_and_azimuth() -> None:
    major, minor, azimuth = ellipse_of(np.diag([4.0, 1.0]))
    assert (major, minor) == pytest.approx((2, 1))
    assert azimuth == pytest.approx(90)
    assert START > 0


def test_crops__are_cut_and_blurred(drive: tuple[Simulated, Drive]) -> None:
    made, found = drive
    element = found.elements[0]
    number, box = element.proof[0]
    row = int(np.flatnonzero(made.given.frame == number)[0])
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (720, 1280, 3), np.uint8)
    frames = [Frame(picture, "RGB", meta={"frame": number})]
    given = replace(made.given, private={row: [list(box)]})
    plain, private = crops_of(frames, [element], made.given), crops_of(frames, [element], given)
    assert plain[element.id].startswith("data:image/png;base64,")
    assert len(private[element.id]) < 0.8 * len(plain[element.id])  # noise does not compress, squares do
    blurred(picture, box)
    x1, y1, x2, y2 = map(int, box)
    assert len(np.unique(picture[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].reshape(-1, 3), axis=0)) <= 16
    blurred(picture, (2000, 0, 2100, 10))  # beside the picture
