"""``mnnlite run``: a pipeline over a source of frames, results as JSON lines, annotated frames, figures at the end."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import video
from mnnlite.cli.figures import Figures
from mnnlite.cli.networks import pipeline_of
from mnnlite.cli.options import shapes_of
from mnnlite.cli.output import JsonLines, Output
from mnnlite.cli.progress import Progress
from mnnlite.cli.report import describe
from mnnlite.cli.saving import saver
from mnnlite.cli.signals import ending_well
from mnnlite.cli.table import LiveTable, plain
from mnnlite.errors import ArgumentError, SourceError

if TYPE_CHECKING:
    from mnnlite.frame import Frame
    from mnnlite.pipeline import Pipeline
    from mnnlite.runtime import FrameResult


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Run a network, or every task of a pipeline, on every frame. A network runs as its file says, see mnnlite new. Without "
        "--out and --json, show one line per frame."
    )
    parser.epilog = "Ctrl-C ends the run with the summary."
    parser.add_argument(
        "pipeline",
        metavar="MODEL|PIPELINE",
        help="a network that says how it is used (.mnn, .onnx, .tflite), or a .toml file",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a video, a picture, a folder of pictures, a 'pattern*.jpg', a V4L2 device, or - with --raw",
    )
    parser.add_argument(
        "--raw", metavar="FORMAT:WxH", help="read raw frames from standard input, e.g. NV12:1920x1080; SOURCE is -"
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="for a network: shape of an input that its file leaves open and does not describe; can be repeated",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write one JSON object per frame to a new file, a device, a pipe, or - (standard output)",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--append", action="store_true", help="continue at the end of --out's FILE if it exists")
    existing.add_argument("--overwrite", action="store_true", help="overwrite files of --out and --save that exist")
    parser.add_argument(
        "--save",
        metavar="DIR|VIDEO",
        type=Path,
        help="write annotated frames as DIR/000000.jpg and so on, numbered on after those that exist, or as a video (out.mp4)",
    )
    parser.add_argument("--frames", type=_positive, metavar="N", help="stop after N processed frames")
    parser.add_argument("--every", type=_positive, metavar="N", default=1, help="process every Nth frame")
    parser.add_argument(
        "--latest", action="store_true", help="drop frames when the source is faster, as a camera may be"
    )
    parser.add_argument(
        "--measurements",
        metavar="FILE",
        help="write the file that `mnnlite map --from FILE` reads; PIPELINE needs a [map] table",
    )
    parser.add_argument("--trace", metavar="FILE", type=Path, help="write what the lanes did, for ui.perfetto.dev")
    parser.add_argument("--json", action="store_true", help="write one JSON object per frame to standard output")
    parser.add_argument("--table", action="store_true", help="show a live table of tasks and lanes instead of lines")
    parser.add_argument(
        "--no-code",
        action="store_true",
        help="refuse a pipeline whose decoders are code of its author (package.module:attribute)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress, no lines and no summary")
    parser.set_defaults(command=_run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of frames")
    return number


def _run(args: argparse.Namespace, output: Output) -> int:
    if args.out in ("-", "/dev/stdout"):  # which `Output` keeps for results
        args.out, args.json = None, True
    if args.append and not args.out:
        raise ArgumentError("--append needs --out FILE, the file to go on with")
    spec, described = pipeline_of(args.pipeline, shapes_of(args.shape), code=not args.no_code)
    if described is not None and not args.quiet:
        print(f"{args.pipeline}: {described.title} ({described.sources.get('decoder', 'its file')})", file=sys.stderr)
    for name, task in spec.tasks.items():
        if task.image is None and not task.feed:
            raise ArgumentError(f"task {name!r} has neither an image nor a feed, so nothing of a frame reaches it")
    if args.latest and (args.save or args.measurements) and any(each.preempts for each in spec.schedules.values()):
        raise ArgumentError(
            "--latest gives tasks that preempt results of their own, which --save and --measurements do not put together with the "
            "frame's others: not yet; leave one of them out"
        )
    source = video.open_source(args.source, args.raw)
    with ExitStack() as stack:
        runtime = stack.enter_context(spec.open())
        if args.trace:
            stack.enter_context(runtime.trace(args.trace))
        sinks = list(_sinks(args, source, output, stack))
        if args.measurements:
            sinks.append(_measuring(args, spec, source, stack))
        figures = Figures()
        shows_lines = not (args.json or args.quiet or args.out or args.table)
        hidden = args.quiet or (shows_lines and output.is_terminal)
        total = _expected(source, args)
        progress = (
            LiveTable(runtime, total) if not hidden and LiveTable.is_possible() else Progress(total, hidden=hidden)
        )
        asked = threading.Event()  # to end, by a signal
        stack.callback(source.stop)
        results = runtime.stream(_chosen(source, args.every, args.frames, asked), latest=args.latest)

        def end() -> None:
            asked.set()
            source.stop()

        try:
            with progress, ending_well(end):
                for result in results:
                    figures.add(result)
                    for sink in sinks:
                        sink(result)
                    if result.part != "rest":
                        progress.step()
        except SourceError as error:
            if not figures.frames:
                raise
            figures.source_ended(error)
        except BaseException:  # a second Ctrl-C, a full disk: what was done is reported first
            if figures.frames and not args.quiet:
                figures.show(results.dropped, plain(runtime.stats(), runtime.memory()))
            raise
        figures.left_out(source)
        if not args.quiet and (
            figures.frames or not asked.is_set()
        ):  # while the networks are still there: their memory counts
            figures.show(results.dropped, plain(runtime.stats(), runtime.memory()))
    return figures.report_failures()


def _chosen(source: video.Source, every: int, count: int | None, asked: threading.Event) -> Iterator[Frame]:
    done = 0
    for index, frame in enumerate(source):
        if asked.is_set():
            return
        if index % every == 0:
            yield frame
            done += 1
            if done == count:
                return


def _expected(source: video.Source, args: argparse.Namespace) -> int | None:
    counts = [args.frames] if args.frames else []
    if source.frames is not None:
        counts.append(-(-source.frames // args.every))
    return min(counts, default=None)


def _measuring(args: argparse.Namespace, spec: Pipeline, source: video.Source, stack: ExitStack) -> Sink:
    # Only here: it is the one option that needs it.
    from mnnlite.mapping.kinds import MapRules
    from mnnlite.mapping.recording import Recorder, facts_of

    lines = JsonLines(args.measurements, overwrite=args.overwrite, instead="--overwrite begins it anew")
    stack.callback(lines.close)
    facts = facts_of(spec, args.pipeline, args.source)
    recorder = Recorder(lines.write, MapRules.of_pipeline(spec), facts, source.live)
    return recorder.add


Sink = Callable[["FrameResult"], None]


def _sinks(args: argparse.Namespace, source: video.Source, output: Output, stack: ExitStack) -> Iterator[Sink]:
    """Who gets each frame's results."""
    if args.out:
        lines = JsonLines(args.out, append=args.append, overwrite=args.overwrite)
        stack.callback(lines.close)
        yield lambda result: lines.write(result.to_json())
    if args.json:
        yield lambda result: output.json(result.to_json())
    elif not args.out and not args.quiet and not args.table:
        yield lambda result: output.text(describe(result))
    if args.save:
        yield saver(args.save, source.rate and source.rate / args.every, args.overwrite, stack)
