"""A whole drive: makes the elements of a map from the measurements of its frames, a camera and a track."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping import measurements, outlines
from mnnlite.mapping.clocks import OWN
from mnnlite.mapping.following import follow
from mnnlite.mapping.kinds import MapRules
from mnnlite.mapping.lanes import number_lanes
from mnnlite.mapping.levelling import level_of
from mnnlite.mapping.occlusion import Hiding, hiding_of
from mnnlite.mapping.records import Solved, element_of, standing
from mnnlite.mapping.solver import CLOCK, HEIGHT, PITCH, ROLL, SHARED, YAW, Solution, solve
from mnnlite.mapping.views import Views, boxes_of, views_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mnnlite.mapping.camera import Camera, Mounting
    from mnnlite.mapping.element import Element
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.mapping.track import Track
    from mnnlite.runtime import FrameResult

    Floats = NDArray[np.float64]

__all__ = ["Calibration", "Drive", "Observer", "solve_drive"]

MIN_CONFIDENCE = 0.25  # least confidence of an element
FOUND_OUT = 0.6  # a deviation below this part of what it was before has been found out by the drive
AGAIN_S = 0.15  # seconds, and degrees, beyond which all is solved again from what was found
AGAIN_DEG = 0.4
_FAR = 5  # standard deviations of what is given, beyond which it is doubted
_OF_THE_VIDEO = ("begun", "seconds")  # facts that say when a drive began, which a map with trimmed ends does not tell


@dataclass
class Calibration:
    """Corrections of the camera's mounting and of the clock that the drive revealed, with standard deviations.

    Parameters
    ----------
    yaw, pitch, roll : (float, float)
        Correction and deviation, in degrees.
    height, clock : (float, float)
        Correction and deviation, in metres, and in seconds by which the video began later than given.
    unobservable : tuple of str
        The quantities about which the drive reveals nothing new.
    """

    yaw: tuple[float, float]
    pitch: tuple[float, float]
    roll: tuple[float, float]
    height: tuple[float, float]
    clock: tuple[float, float]
    unobservable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The corrections as plain data, with `not_observable`."""
        units = {"yaw": "deg", "pitch": "deg", "roll": "deg", "height": "m", "clock": "s"}
        said: dict[str, Any] = {
            f"{name}_{unit}": [round(each, 4) for each in getattr(self, name)] for name, unit in units.items()
        }
        return {**said, "not_observable": list(self.unobservable)}


@dataclass
class Drive:
    """A solved drive.

    Parameters
    ----------
    id : str
        Hash of the measurements and of the track.
    elements : list of mnnlite.mapping.element.Element
    calibration : Calibration
    path : (P, 2) float64
        Latitude and longitude of the antenna at each frame that was used, in degrees.
    utc : (P,) float64
    recall : dict
        By kind, for each ten metres of distance: in how many frames an element should have been found, and was.
    facts : dict
        Hashes and names that belong to the drive.
    notes : list of str
    hiding : Hiding
        Which way it looked at each frame of the path, and what hid what was behind it.
    """

    id: str
    elements: list[Element]
    calibration: Calibration
    path: Floats
    utc: Floats
    recall: dict[str, list[list[int]]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    hiding: Hiding = field(default_factory=Hiding)


class Observer:
    """Takes the results of a drive frame by frame, and makes elements of a map from all of them.

    Parameters
    ----------
    camera : Camera
    track : Track
    elements : MapRules or dict
        The ``[map]`` table, which says what is an element.
    trim : float
        Length of the parts at both ends of the drive that are left out, in metres.
    """

    def __init__(
        self, camera: Camera, track: Track, elements: MapRules | Mapping[str, Any], *, trim: float = 0.0
    ) -> None:
        self.camera, self.track, self._trim = camera, track, trim
        self.rules = elements if isinstance(elements, MapRules) else MapRules.of(elements)
        self._lines: list[dict[str, Any]] = []
        self._solved: Drive | None = None

    def update(self, result: FrameResult, time_s: float | None = None) -> None:
        """Add the results of a frame.

        Parameters
        ----------
        result : FrameResult
        time_s : float, optional
            Time of the frame in the video. By default it is ``meta["time_ms"]``, as `video.open_source` sets it.

        Raises
        ------
        ArgumentError
            The frame has no time.
        """
        time_s = time_s if time_s is not None else measurements.time_of(result)
        if not self._lines:
            self._lines.append(measurements.header(self.rules, result.frame_size))
        self._lines.append(measurements.line_of(result, self.rules, time_s))
        self._solved = None

    def drive(self) -> Drive:
        """Solve the drive so far.

        Raises
        ------
        SourceError
            The track does not cover the time of the video.
        """
        if self._solved is None:
            if not self._lines:
                raise ArgumentError("no frame was given to update() yet")
            given = measurements.of_lines(self._lines)
            self._solved = solve_drive(given, self.camera, self.track, trim=self._trim)
        return self._solved

    def elements(self) -> list[Element]:
        """The elements of the drive so far."""
        return self.drive().elements


def _times(given: Measurements, track: Track) -> tuple[Floats, float, list[str]]:
    """UTC of each frame, its deviation, and what was taken for granted."""
    if np.isfinite(given.utc).all():  # the system's clock at each frame
        begun = given.utc[0] - given.time[0]
        late = 0.0 if track.video_start is None else track.video_start - begun
        return given.utc + late, OWN if track.video_start is None else track.video_start_sigma, []
    if track.video_start is None:
        return track.start + given.time, 3.0, ["nothing says when the video was begun: taken to begin with the track"]
    return track.video_start + given.time, track.video_start_sigma, []


def _kept(given: Measurements, keep: NDArray[np.bool_]) -> Measurements:
    """The measurements of some frames."""
    number = np.cumsum(keep) - 1
    rows = np.flatnonzero(keep[given.owner])
    shapes = [replace(each, frame=int(number[each.frame])) for each in given.outlines if keep[each.frame]]
    return replace(
        given,
        frame=given.frame[keep],
        time=given.time[keep],
        utc=given.utc[keep],
        owner=number[given.owner[rows]],
        rule=given.rule[rows],
        score=given.score[rows],
        box=given.box[rows],
        texts=[given.texts[row] for row in rows],
        outlines=shapes,
        private={int(number[row]): boxes for row, boxes in given.private.items() if keep[row]},
    )


def solve_drive(given: Measurements, camera: Camera, track: Track, *, trim: float = 0.0) -> Drive:
    """Solve a drive.

    Parameters
    ----------
    given : Measurements
    camera : Camera
        It is scaled to the pictures if it was calibrated at another size.
    track : Track
    trim : float
        Length of the parts at both ends of the drive that are left out, in metres.

    Returns
    -------
    Drive

    Raises
    ------
    SourceError
        No frame lies within the track's time.
    ArgumentError
        The camera was calibrated for pictures of another aspect ratio.
    """
    camera = camera.scaled(*given.frame_size)
    utc, clock_sigma, notes = _times(given, track)
    notes = [*given.notes, *track.notes, *notes]
    inside = (utc >= track.start - 0.5) & (utc <= track.end + 0.5)
    if not inside.any():
        raise SourceError(
            f"no frame lies within the track {track.log.name}: it does not cover the video; check --offset and the clocks"
        )
    if not inside.all():
        notes.append(f"{int((~inside).sum())} of {len(utc)} frames lie outside of the track's time and were left out")
        given, utc = _kept(given, inside), utc[inside]
    if not track.heading_known:
        notes.append("the vehicle did not move, so its heading is not known and nothing can be placed")
    said, before = camera.mounting, np.zeros(SHARED)
    for attempt in range(3):
        views, boxes = views_of(track, camera, utc), boxes_of(given, camera)
        tracks = follow(given, views, boxes, camera) if track.heading_known else []
        solution = solve(given, views, boxes, camera, tracks, clock_sigma, level_of(given, views, camera), before)
        shift = float(solution.drive.value[CLOCK])
        angles = np.degrees(np.abs(solution.drive.value[[YAW, PITCH]])).max()
        if attempt == 2 or (abs(shift) < AGAIN_S and angles < AGAIN_DEG):
            break
        # Far from what was given: begin again from there, where following and linear steps are better.
        utc, before = utc + shift, before + solution.drive.value
        camera = camera.mounted(_found(camera, solution))
    drive_id = _hash(given, track)
    final = camera.mounted(_found(camera, solution))
    solved = Solved(given, views, boxes, final, solution, track)
    things, left = standing(solved)
    elements = [element_of(thing, azimuth, solved) for thing, azimuth in things]
    elements += outlines.elements_of(given, views, final, track)
    refused = {label for rule in given.rules.elements for label in rule.reject}
    elements = [each for each in elements if each.confidence >= MIN_CONFIDENCE and each.label not in refused]
    number_lanes(elements, views, track)
    if trim:
        elements, keep = _trimmed(elements, track, views, trim)
        if not keep.any():
            notes.append(f"trimming {trim:g} m at both ends leaves nothing of a drive of {track.length:.0f} m")
    else:
        keep = np.ones(len(utc), bool)
    made_of = _made_of(camera.mounted(said), final, given.facts)
    for each in elements:
        each.drive, each.made_of = drive_id, made_of
    path = track.plane.to_degrees(views.states.place[:, :2])[keep]
    calibration = _calibration(solution, said, final.mounting, clock_sigma)
    notes += _contradictions(calibration, said)
    silent = _silent(given)
    if silent:
        notes.append(f"no frame had anything for {', '.join(silent)}")
    if left:
        tracks_were = "track was" if left == 1 else "tracks were"
        notes.append(f"{left} {tracks_were} of what moves, or too short to be placed")
    facts = {key: value for key, value in given.facts.items() if key not in _OF_THE_VIDEO}
    facts["calibration"] = made_of["calibration"]
    hiding = hiding_of(given, views, final)
    hiding = Hiding(hiding.looks[keep], [each for each, kept in zip(hiding.boxes, keep.tolist(), strict=True) if kept])
    return Drive(drive_id, elements, calibration, path, utc[keep], solved.recall, facts, notes, hiding)


def _contradictions(found: Calibration, said: Mounting) -> list[str]:
    """What the drive finds so far from the mounting that something that was given is likely wrong."""
    notes = []
    for name, unit in (("yaw", "deg"), ("pitch", "deg"), ("roll", "deg"), ("height", "m")):
        correction, sigma = getattr(found, name)[0], getattr(said, f"{name}_sigma")
        if abs(correction) > _FAR * sigma > 0:
            notes.append(
                f"{name} is {correction:+.1f} {unit} from the mounting, which is good to {sigma:g} {unit}: places may be wrong; are "
                "calibration, mounting and track those of this drive?"
            )
    return notes


def _found(camera: Camera, solution: Solution) -> Any:
    """The mounting with what the drive says."""
    value, mounting = solution.drive.value, camera.mounting
    return replace(
        mounting,
        yaw=mounting.yaw + math.degrees(value[YAW]),
        pitch=mounting.pitch + math.degrees(value[PITCH]),
        roll=mounting.roll + math.degrees(value[ROLL]),
        height=max(mounting.height + float(value[HEIGHT]), 0.1),
    )


def _calibration(solution: Solution, said: Any, found: Any, clock_sigma: float) -> Calibration:
    sigma, prior = solution.drive.sigma, solution.drive.prior
    names = {"yaw": YAW, "pitch": PITCH, "roll": ROLL, "height": HEIGHT, "clock": CLOCK}
    blind = tuple(name for name, index in names.items() if sigma[index] > FOUND_OUT * prior[index])
    if clock_sigma <= 0.05:
        blind = tuple(name for name in blind if name != "clock")  # it was known before
    angles = [
        (getattr(found, name) - getattr(said, name), math.degrees(sigma[index]))
        for name, index in (("yaw", YAW), ("pitch", PITCH), ("roll", ROLL))
    ]
    clock = float(solution.drive.before[CLOCK] + solution.drive.value[CLOCK])
    height = (found.height - said.height, float(sigma[HEIGHT]))
    return Calibration(angles[0], angles[1], angles[2], height, (clock, float(sigma[CLOCK])), blind)


def _trimmed(
    elements: list[Element], track: Track, views: Views, trim: float
) -> tuple[list[Element], NDArray[np.bool_]]:
    """Elements whose nearest place of the track is not within `trim` metres of an end of it, and the frames that are kept."""
    way = views.states.way
    keep = (way >= trim) & (way <= track.length - trim)
    inside = []
    for each in elements:
        places = track.plane.to_plane(each.degrees[:, 0], each.degrees[:, 1])
        square = ((views.states.place[None, :, :2] - places[:, None]) ** 2).sum(axis=2)
        good = keep[square.argmin(axis=1)]
        if each.shape == "point":
            if good.all():
                inside.append(each)
        elif good.sum() >= (2 if each.shape == "line" else 3):
            inside.append(replace(each, degrees=each.degrees[good]))
    return inside, keep


def _silent(given: Measurements) -> list[str]:
    """Rules by which nothing was found in the whole drive."""
    used = {*given.rule.tolist(), *(each.rule for each in given.outlines)}
    rules = enumerate(given.rules.elements)
    return [
        " ".join([rule.task, *rule.labels]) for index, rule in rules if index not in used and rule.shape != "occluder"
    ]


def _made_of(said: Camera, found: Camera, facts: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of what the elements were made with."""
    import hashlib

    models = facts.get("models")
    hashes = {"calibration": hashlib.sha256(f"{said!r}\n{found!r}".encode()).hexdigest()[:20]}
    if isinstance(facts.get("pipeline"), str):
        hashes["pipeline"] = facts["pipeline"]
    if isinstance(models, dict) and models:
        hashes["models"] = hashlib.sha256(repr(sorted(models.items())).encode()).hexdigest()[:20]
    return hashes


def _hash(given: Measurements, track: Track) -> str:
    import hashlib

    digest = hashlib.sha256()
    for column in (
        given.frame,
        given.time,
        given.owner,
        given.rule,
        given.score,
        given.box,
        track.log.utc,
        track.log.latitude,
        track.log.longitude,
    ):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:20]
