"""``mnnlite map``: a drive in, a map out."""

from __future__ import annotations

import datetime as dt
import math
import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import pipeline, video
from mnnlite.cli.exit_codes import FINDING, FINE
from mnnlite.cli.output import JsonLines, Output, columns
from mnnlite.cli.progress import Progress
from mnnlite.errors import ArgumentError, PipelineError, SourceError
from mnnlite.files import check_targets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from mnnlite.mapping import Camera, MapRules, Track
    from mnnlite.mapping.drive import Drive
    from mnnlite.mapping.measurements import Measurements
    from mnnlite.pipeline import Pipeline


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Run a pipeline with a [map] table over a video. Place what it finds with the camera's calibration and the track "
        "of a GNSS receiver: each element once, in WGS84, with its error ellipse."
    )
    parser.epilog = (
        "OUT may end in .geojson, .geojsonl, .geojsons (RFC 8142) or .html. Without --track it ends in .jsonl and gets places in "
        "metres from the camera. --mount takes metres and degrees: pitch up, yaw to the right, roll clockwise, antenna as "
        "right:forward:up from the camera."
    )
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="a .toml file with a [map] table")
    parser.add_argument("source", nargs="?", metavar="DRIVE", help="the video of the drive")
    parser.add_argument(
        "--from",
        dest="measured",
        metavar="FILE",
        help="the file that `mnnlite run --measurements FILE` wrote, instead of PIPELINE and DRIVE",
    )
    parser.add_argument(
        "--camera", required=True, metavar="FILE", help="calibration: ROS camera_info or OpenCV FileStorage"
    )
    parser.add_argument(
        "--lens", choices=("plumb_bob", "rational", "fisheye"), help="the lens model, if the file does not say it"
    )
    parser.add_argument(
        "--mount",
        metavar="height=1.4,pitch=-2.0,...",
        help="how the camera is mounted, instead of [camera] in PIPELINE",
    )
    parser.add_argument(
        "--track", metavar="FILE", help="the track: NMEA, GPX, CSV, gpsd's JSON or GPMF, or the video itself"
    )
    parser.add_argument(
        "--offset",
        type=float,
        metavar="S",
        help="seconds to add to the time at which the video says that it began (without one: at which the track begins)",
    )
    parser.add_argument(
        "--date",
        type=date,
        metavar="YYYY-MM-DD",
        help="date of the first position, for NMEA that never says it",
    )
    parser.add_argument(
        "--sigma",
        type=float,
        default=1.0,
        metavar="M",
        help="deviation of a position in metres, for each unit of HDOP; 1.0",
    )
    parser.add_argument(
        "-o", "--out", action="append", required=True, metavar="OUT", help="the map to write; can be repeated"
    )
    parser.add_argument(
        "--coverage", metavar="FILE", help="also write the way driven with the recall by distance, as GeoJSON"
    )
    parser.add_argument("--measurements", metavar="FILE", help="keep what the networks found, for --from")
    parser.add_argument(
        "--trim", type=float, default=0.0, metavar="M", help="leave out M metres at both ends of the drive"
    )
    parser.add_argument(
        "--proofs", action="store_true", help="write frames and boxes of each element, and crops into .html"
    )
    parser.add_argument("--device", metavar="ID", help="name of the device; the map holds a hash of it")
    parser.add_argument("--frames", type=int, metavar="N", help="stop after N frames")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth frame")
    parser.add_argument("--json", action="store_true", help="write the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no summary")
    parser.set_defaults(command=_run)


def date(text: str) -> dt.date:
    """Read an option; its name is in what argparse says of one that is wrong."""
    return dt.date.fromisoformat(text)


def _run(args: argparse.Namespace, output: Output) -> int:
    # Only here: other commands do not wait for what a map needs.
    from mnnlite.mapping import Camera, MapRules, Mounting, Track, formats, measurements
    from mnnlite.mapping.drive import solve_drive

    _check(args)
    kinds = [formats.format_of(path) for path in args.out]
    spec, rules = None, None
    if args.measured is None:
        spec = pipeline.load(args.pipeline)
        if not spec.map:
            raise PipelineError("there is no [[map.element]], so nothing would be an element", file=args.pipeline)
        rules = MapRules.of_pipeline(spec)
    mounting = Mounting()
    if args.mount is not None:
        mounting = Mounting.parse(args.mount)
    elif spec is not None and spec.camera:
        try:
            mounting = Mounting.of(spec.camera)
        except ArgumentError as error:
            raise spec.blame("camera", error) from None
    camera = Camera.load(args.camera, model=args.lens, mounting=mounting)
    track = None
    if args.track is not None:
        track = Track.load(args.track, args.source, args.offset, date=args.date, sigma_m=args.sigma)
    status, ended = FINE, ""
    with ExitStack() as stack:
        if args.measured is not None:
            given = measurements.read(args.measured)
            if track is not None:
                _synchronise(track, given, args.offset)
        else:
            assert spec is not None
            assert rules is not None
            kept = args.measurements or stack.enter_context(_spool())
            ended = _measure(args, spec, rules, camera, kept)
            given = measurements.read(kept)
        if track is None:
            return _without_track(args, given, camera, output)
        drive = solve_drive(given, camera, track, trim=args.trim)
        if ended:
            drive.notes.append(ended)
            status = FINDING
        _write(args, drive, camera, given, kinds)
    if not args.quiet:
        _report(args, drive, output)
    return status


@contextmanager
def _spool() -> Iterator[str]:
    """A file for what is measured; it stays, and is named, if it has frames and what was to come of it did not."""
    folder = tempfile.mkdtemp(prefix="mnnlite-map-")
    path = Path(folder) / "measurements.jsonl"
    try:
        yield str(path)
    except BaseException:
        if path.is_file() and path.read_bytes().count(b"\n") > 1:
            print(f"what was measured is kept: mnnlite map --from {path} goes on with it", file=sys.stderr)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _write(args: argparse.Namespace, drive: Drive, camera: Camera, given: Measurements, kinds: list[str]) -> None:
    """Write all files that are asked for; one that cannot be written costs none of the others."""
    import hashlib

    from mnnlite.mapping import formats

    if args.device:
        drive.facts["device"] = hashlib.sha256(f"mnnlite device\n{args.device}".encode()).hexdigest()[:20]
    page = ""
    if "page" in kinds:
        from mnnlite.mapping.page import page_of

        crops = None
        if args.proofs and args.source is not None:
            from mnnlite.mapping.crops import crops_of

            crops = crops_of(video.open_source(args.source), drive.elements, given)
        page = page_of(drive, crops)
    with ExitStack() as rest:  # goes on with the others, and raises at the end
        if args.coverage:
            view = 2 * math.degrees(math.atan(camera.width / 2 / camera.fx))
            rest.callback(formats.write_json, args.coverage, formats.coverage(drive, given.rules, view))
        for path in reversed(args.out):
            rest.callback(formats.write, path, drive, args.proofs, page)


def _check(args: argparse.Namespace) -> None:
    """What can be said before any work is done."""
    if args.measured is None and (args.pipeline is None or args.source is None):
        raise ArgumentError("map takes PIPELINE and DRIVE, or --from FILE")
    if args.measured is not None and (args.pipeline is not None or args.measurements is not None):
        raise ArgumentError("--from FILE has been measured already; it takes no PIPELINE and no --measurements")
    if args.measured is not None and (args.frames is not None or args.every != 1):
        raise ArgumentError("--from FILE takes all frames that were measured; it takes no --frames and no --every")
    if not 0 <= args.trim < math.inf or args.every < 1 or (args.frames is not None and args.frames < 1):
        raise ArgumentError("--trim wants metres from 0, --every and --frames numbers from 1")
    if args.offset is not None and not math.isfinite(args.offset):
        raise ArgumentError(f"--offset is {args.offset}; wanted seconds")
    if args.track is not None and args.track.startswith("gpsd://"):
        raise ArgumentError(
            f"--track {args.track} is a receiver that is asked now, not the track of a drive; take it down while the drive is filmed: "
            "gpspipe -w > drive.json"
        )
    sources = (args.pipeline, args.source, args.measured, args.camera, args.track)
    check_targets((*args.out, args.coverage, args.measurements), sources)
    if args.track is None:
        for path in args.out:
            if Path(path).suffix.lower() not in (".jsonl", ".ndjson"):
                raise ArgumentError(
                    f"without --track nothing is known of the world, so {path} cannot be made; give a track, or -o FILE.jsonl for "
                    "places in metres from the camera"
                )


def _synchronise(track: Track, given: Measurements, offset: float | None) -> None:
    from numpy import isfinite

    from mnnlite.mapping.clocks import OWN, Start

    begun = given.facts.get("begun")
    known = Start(float(begun[0]), float(begun[1])) if begun else None
    if isfinite(given.utc).all():  # a camera's frames, each with the system's time
        known = Start(float(given.utc[0] - given.time[0]), OWN)
    track.synchronise(known, float(given.time[-1]), offset)


def _measure(args: argparse.Namespace, spec: Pipeline, rules: MapRules, camera: Camera, kept: str) -> str:
    """Pass 1; gives what ended it early, if something did."""
    from mnnlite.mapping.recording import Recorder, facts_of

    source = video.open_source(args.source)
    lines = JsonLines(kept, instead="name another file")
    with ExitStack() as stack:
        stack.callback(lines.close)
        recorder = Recorder(lines.write, rules, facts_of(spec, args.pipeline, args.source), source.live)
        runtime = stack.enter_context(spec.open())
        total = source.frames and -(-source.frames // args.every)
        total = min(total, args.frames) if total and args.frames else total or args.frames
        with Progress(total, hidden=args.quiet) as progress:
            chosen = (frame for index, frame in enumerate(source) if index % args.every == 0)
            try:
                for result in runtime.stream(chosen):
                    if result.errors:
                        raise next(iter(result.errors.values()))
                    if not recorder.frames:
                        camera.scaled(*result.frame_size)  # says now what would be said at the end
                    recorder.add(result)
                    progress.step()
                    if recorder.frames == args.frames:
                        break
            except SourceError as error:
                if not recorder.frames:
                    raise
                return f"the video ended early: {error}"
            except KeyboardInterrupt:
                if recorder.frames and args.measurements is not None:
                    print(
                        f"stopped after {recorder.frames} frames; mnnlite map --from {kept} goes on with them",
                        file=sys.stderr,
                    )
                raise
    if not recorder.frames:
        raise SourceError(f"{args.source} has no frames")
    return ""


def _without_track(args: argparse.Namespace, given: Measurements, camera: Camera, output: Output) -> int:
    from mnnlite.mapping.local import places_of

    count = 0
    for path in args.out:
        lines = JsonLines(path, overwrite=True)
        try:
            count = 0
            for line in places_of(given, camera):
                lines.write(line)
                count += 1
        finally:
            lines.close()
    if not args.quiet:
        said = {"frames": len(given.frame), "objects": count, "reference": "metres from the camera; no track was given"}
        output.json(said) if args.json else output.text(
            f"{count} places in metres from the camera, of {len(given.frame)} frames"
        )
    return FINE


def _report(args: argparse.Namespace, drive: Drive, output: Output) -> None:
    kinds: dict[str, list[float]] = {}
    for element in drive.elements:
        kinds.setdefault(element.kind, []).append(element.sigma)
    calibration = drive.calibration.to_json()
    if args.json:
        summary: dict[str, Any] = {
            "drive": drive.id,
            "elements": {kind: len(sigmas) for kind, sigmas in kinds.items()},
            "calibration": calibration,
            "notes": drive.notes,
            "files": args.out,
        }
        output.json({"summary": summary})
        return
    rows = [("kind", "elements", "median sigma")]
    rows += [(kind, str(len(each)), f"{sorted(each)[len(each) // 2]:.2f} m") for kind, each in sorted(kinds.items())]
    lines = columns(rows, right=(1, 2))
    blind = calibration.pop("not_observable")
    for name, (value, sigma) in calibration.items():
        what, unit = name.rsplit("_", 1)
        lines.append(
            f"{what} {value:+.3f} {unit} from what was given, give or take {sigma:.3f}{'; not observable' if what in blind else ''}"
        )
    output.text(*lines, *drive.notes, ", ".join(args.out))
