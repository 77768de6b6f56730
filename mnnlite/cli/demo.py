"""``mnnlite demo``: a drive, four networks, and what they make of it; needs nothing but the installed wheel."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import pipeline, video
from mnnlite.cli.output import JsonLines, Output, columns
from mnnlite.cli.saving import make_folder
from mnnlite.errors import ArgumentError
from mnnlite.proc import MIB, high_water, process

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from mnnlite.demo.footage import Footage
    from mnnlite.demo.truth import Score
    from mnnlite.mapping.observer import Element

FPS = 25.0
SEED = 29  # of a drive that has most of what the networks know


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Render a drive from a seed, play it like a camera at 25 frames a second, and run the package's own networks "
        "on it, for objects, lanes and road area, kinds of signs, and texts. Print what the drive cost, how much of the truth was "
        "found, and one observation for each element."
    )
    parser.add_argument(
        "--seed", type=_seed, default=SEED, metavar="N", help="seed of the drive, %(default)s by default"
    )
    parser.add_argument(
        "--frames", type=_frames, default=100, metavar="N", help="length of the drive in frames, %(default)s by default"
    )
    parser.add_argument(
        "--all-frames", action="store_true", help="run on every frame, however long that takes, and drop none"
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="write annotated frames, demo.png with a map, observations.jsonl, and with PyAV a video",
    )
    parser.add_argument(
        "--elements", action="store_true", help="also print what was found in each frame, in pixels and metres"
    )
    parser.add_argument(
        "--plot", action="store_true", help="draw frame times and memory into DIR/plot.png (matplotlib)"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per frame, and one for the summary at the end"
    )
    parser.set_defaults(command=_run)


def _seed(text: str) -> int:
    return _whole(text, 0, 2**31 - 1)


def _frames(text: str) -> int:
    return _whole(text, 10, 2000)


def _whole(text: str, low: int, high: int) -> int:
    import argparse

    number = int(text)
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{number} is not in {low} to {high}")
    return number


@dataclass
class Drive:
    """What a run of the demo found and measured."""

    footage: Footage
    elements: list[list[Element]] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)  # number of each in the clip
    features: list[dict[str, Any]] = field(default_factory=list)
    frame_ms: list[float] = field(default_factory=list)  # from the camera to the last result
    observe_ms: list[float] = field(default_factory=list)
    task_ms: dict[str, list[float]] = field(default_factory=dict)
    dropped: int = 0
    seconds: float = 0.0
    peak_rss: int = 0


def _run(args: argparse.Namespace, output: Output) -> int:
    # Only here: other commands do not wait for what the demo imports.
    from mnnlite.demo import costs, pack, plots, truth
    from mnnlite.demo.footage import Footage
    from mnnlite.mapping.observer import MOVING

    file = pack.pipeline_file()
    if args.plot:
        if args.save is None:
            raise ArgumentError("--plot needs --save DIR, where the picture goes")
        plots.check()
    if args.save is not None:
        make_folder(args.save)
    with ExitStack() as stack:
        print(f"rendering {args.frames} frames of a drive (seed {args.seed})", file=sys.stderr)
        # Neither of these is timed, so they may run side by side.
        with ThreadPoolExecutor(2) as pool:
            apart = pool.submit(lambda: (costs.memory(file, together=True), costs.memory(file, together=False)))
            footage = stack.enter_context(Footage(args.seed, args.frames, FPS))
            memory = apart.result()
        print("playing it like a camera, 25 frames a second", file=sys.stderr)
        drive = Drive(footage)
        try:
            _play(drive, file, output, args)
            branches = costs.branches(Path(pipeline.load(file).tasks[pack.SCENE].model), pack.BRANCHES)
            compared = truth.score(drive.features, footage.truths, MOVING)
        except KeyboardInterrupt:  # what was seen until then is kept
            if args.save is not None and drive.frames:
                _save(args.save, drive, output, args)
            raise
        summary = _summary(drive, memory, branches, compared)
        output.json({"summary": summary}) if args.json else output.text(*_report(drive, summary))
        if args.save is not None:
            _save(args.save, drive, output, args, summary)
    return 0


def _play(drive: Drive, file: Path, output: Output, args: argparse.Namespace) -> None:
    """Play the clip at its own speed, as a camera would, and follow what is found."""
    paced = not args.all_frames
    from mnnlite.demo.pack import found_in
    from mnnlite.mapping.observer import Observer

    footage = drive.footage
    observer = Observer(footage.camera)
    # One lane: with a second a frame takes two thirds of the time, and the process up to 82 MiB.
    with pipeline.load(file).open() as runtime:
        for frame in footage.play(paced=False):  # the first frame plans the pictures: not a frame of the drive
            runtime.process(frame)
            break
        stream = runtime.stream(footage.play(paced), latest=paced)
        begun = time.perf_counter()
        try:
            for result in stream:
                taken = time.perf_counter()
                number = int(result.meta["frame"])
                frame_truth = footage.truths[number]
                elements = observer.update(found_in(result), frame_truth.pose, frame_truth.time_s)
                drive.features += observer.features()
                drive.frame_ms.append(result.elapsed_ns / 1e6)
                drive.observe_ms.append(1000 * (time.perf_counter() - taken))
                for name, stages in result.timing.items():
                    if result.crops.get(name, (1, 1))[0]:
                        drive.task_ms.setdefault(name, []).append(sum(stages.values()) / 1e6)
                drive.frames.append(number)
                drive.elements.append(elements)
                if result.errors:
                    raise next(iter(result.errors.values()))
                if args.json:
                    output.json(_frame_line(number, frame_truth.time_s, elements, drive.frame_ms[-1]))
                elif args.elements:
                    output.text(*_frame_text(number, frame_truth.time_s, elements))
        finally:  # what was seen until Ctrl-C counts
            drive.seconds = time.perf_counter() - begun
            drive.dropped = stream.dropped
            drive.features += observer.features(everything=True)
            drive.peak_rss = high_water() or process().rss  # getrusage counts what the starting process held, too


def _frame_line(number: int, time_s: float, elements: list[Element], ms: float) -> dict[str, Any]:
    return {
        "frame": number,
        "time_s": round(time_s, 3),
        "frame_ms": round(ms, 2),
        "elements": [element.to_json() for element in elements],
    }


def _frame_text(number: int, time_s: float, elements: list[Element]) -> list[str]:
    return [f"frame {number} at {time_s:.2f} s", *(f"  {_element_text(element)}" for element in elements)]


def _element_text(element: Element) -> str:
    head = " ".join(each for each in (element.kind, element.label, element.text) if each)
    box = " ".join(f"{value:.0f}" for value in element.box)
    parts = [f"{head} {element.score:.2f}", f"box {box}"]
    if len(element.points):
        parts.append(f"{len(element.points)} points")
        ahead = sorted(
            (place for place in element.place.tolist() if 0 < place[1] < 60), key=lambda place: float(place[1])
        )
        if ahead:
            parts.append(f"from {_metres(ahead[0])} to {_metres(ahead[-1])}")
    elif len(element.place):
        parts.append(_metres(element.place[0].tolist()))
    if element.observation:
        parts.append(f"observation {element.observation}")
    return ", ".join(parts)


def _metres(place: list[float]) -> str:
    side = "right" if place[0] >= 0 else "left"
    return f"{place[1]:.1f} m ahead {abs(place[0]):.1f} m {side}"


def _percentiles(values: list[float]) -> dict[str, float]:
    import numpy as np

    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def _summary(drive: Drive, memory: tuple[int, int], branches: dict[str, float], compared: Score) -> dict[str, Any]:
    together, apart = memory
    return {
        "frames": len(drive.frames),
        "dropped": drive.dropped,
        "frames_per_second": round(len(drive.frames) / drive.seconds, 2),
        "frame_ms": _percentiles(drive.frame_ms),
        "observe_ms": _percentiles(drive.observe_ms),
        "task_ms": {name: _percentiles(times) for name, times in drive.task_ms.items()},
        "networks_together_mib": round(together / MIB, 2),
        "networks_apart_mib": round(apart / MIB, 2),
        "peak_rss_mib": round(drive.peak_rss / MIB, 1),
        "scene_ms": {name: round(spent, 2) for name, spent in branches.items()},
        "observations": len(drive.features),
        "truth": {
            key: round(value, 2) if isinstance(value, float) else value for key, value in compared._asdict().items()
        },
        "render_ms": round(drive.footage.render_ms, 1),
        "render_rss_mib": round(drive.footage.render_rss / MIB, 1),
    }


def _report(drive: Drive, summary: dict[str, Any]) -> list[str]:
    return [*_costs(summary), "", *_found(drive, summary)]


def _costs(summary: dict[str, Any]) -> list[str]:
    frame, scene = summary["frame_ms"], dict(summary["scene_ms"])
    whole = scene.pop("whole")
    alone = ", ".join(f"{name} alone {spent} ms ({1 - spent / whole:.0%} saved)" for name, spent in scene.items())
    return [
        f"{summary['frames']} frames at {summary['frames_per_second']} a second, {summary['dropped']} dropped",
        f"frame time, camera to results: p50 {frame['p50']} ms, p99 {frame['p99']} ms",
        *(f"  {name}: p50 {each['p50']} ms, p99 {each['p99']} ms" for name, each in summary["task_ms"].items()),
        f"  and the observations, in Python: p50 {summary['observe_ms']['p50']} ms, p99 {summary['observe_ms']['p99']} ms",
        f"memory of the networks: {summary['networks_together_mib']} MiB in one runtime, "
        f"{summary['networks_apart_mib']} MiB in one each; the whole process at most {summary['peak_rss_mib']} MiB resident",
        f"the scene network: {whole} ms with both branches; {alone}",
        f"(rendering, in a process of its own before: {summary['render_ms']} ms a frame, at most {summary['render_rss_mib']} MiB)",
    ]


def _found(drive: Drive, summary: dict[str, Any]) -> list[str]:
    found = summary["truth"]
    rows = [("element", "what", "confidence", "frames", "x, y")]
    for feature in drive.features:
        properties, geometry = feature["properties"], feature["geometry"]
        what = " ".join(each for each in (properties["label"], properties.get("text", "")) if each)
        if geometry["type"] == "Point":
            where = f"{geometry['coordinates'][0]:.1f}, {geometry['coordinates'][1]:.1f}"
        else:
            points = geometry["coordinates"] if geometry["type"] == "LineString" else geometry["coordinates"][0]
            where = f"{len(points)} points"
        rows.append(
            (properties["element"], what, f"{properties['confidence']:.2f}", str(properties["frames_seen"]), where)
        )
    return [
        f"of {found['objects']} standing objects that came within 40 m {found['found']} were found, "
        f"{found['named']} of {found['names']} signs with their kind, {found['read']} of {found['texts']} texts read, "
        f"{found['false']} that are not there; {found['off_m']} m off in the median",
        f"{summary['observations']} observations; metres: x to the right, y forward of the first frame's vehicle",
        *(f"  {line}" for line in columns(rows, right=(2, 3))),
    ]


def _fullest(drive: Drive) -> list[int]:
    """Of the first and of the second half of the drive the frame with the most observations in it."""
    half = max(len(drive.elements) // 2, 1)
    counts = [sum(element.observation > 0 for element in elements) for elements in drive.elements]
    parts = [range(half), range(half, len(counts))] if len(counts) > 1 else [range(half)] * 2
    return [max(part, key=lambda index: counts[index]) for part in parts]


def _save(
    folder: Path, drive: Drive, output: Output, args: argparse.Namespace, summary: dict[str, Any] | None = None
) -> None:
    from mnnlite.demo import pictures, plots

    lines = JsonLines(folder / "observations.jsonl", overwrite=True)
    for feature in drive.features:
        lines.write(feature)
    lines.close()
    poses = [frame_truth.pose for frame_truth in drive.footage.truths]

    def annotated() -> Iterator[NDArray[np.uint8]]:
        for number, elements, ms in zip(drive.frames, drive.elements, drive.frame_ms, strict=True):
            status = [f"{drive.footage.truths[number].time_s:.2f} s   {ms:.1f} ms"]
            picture = pictures.annotate(drive.footage.image(number), elements, status)
            video.write_picture(folder / f"{number:06}.png", picture)
            yield picture

    written = [f"{len(drive.frames)} frames", "demo.png", "observations.jsonl"]
    if find_spec("av"):
        video.write_video(folder / "drive.mp4", annotated(), FPS)
        written.append("drive.mp4")
    else:
        for _ in annotated():
            pass
    above = pictures.seen_from_above(drive.features, poses, (480, 720), "observations, seen from above")
    best = [
        pictures.annotate(drive.footage.image(drive.frames[index]), drive.elements[index]) for index in _fullest(drive)
    ]
    video.write_picture(folder / "demo.png", pictures.poster(best, above))
    if args.plot and summary is not None:
        plots.plot(drive.frame_ms, drive.task_ms, summary, folder / "plot.png")
        written.append("plot.png")
    if not args.json:
        output.text(f"{folder}: {', '.join(written)}")
