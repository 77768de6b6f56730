"""``mnnlite run``: a pipeline over a source of frames, results as JSON lines, annotated frames, figures at the end."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import pipeline, video
from mnnlite.cli.figures import Figures
from mnnlite.cli.output import JsonLines, Output
from mnnlite.cli.progress import Progress
from mnnlite.cli.report import describe, draw, frame_line
from mnnlite.errors import MnnliteError, OutputError
from mnnlite.model import Arena
from mnnlite.task import Task

if TYPE_CHECKING:
    from mnnlite.frame import Frame
    from mnnlite.specs import TaskSpec


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "run",
        help="run a pipeline on a video, pictures or a camera",
        description="Run every task of a pipeline on every frame. Without --out and --json, one line a frame is shown.",
        epilog="Ctrl-C ends it with the summary.",
    )
    parser.add_argument("pipeline", metavar="PIPELINE", help="a TOML file")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a video, a picture, a folder of pictures, a 'pattern*.jpg', a V4L2 device, or - with --raw",
    )
    parser.add_argument(
        "--raw", metavar="FORMAT:WxH", help="raw frames from standard input, e.g. NV12:1920x1080; SOURCE is -"
    )
    parser.add_argument("--out", metavar="FILE", help="write one JSON object a frame to a file")
    parser.add_argument("--save", metavar="DIR", type=Path, help="write annotated frames as DIR/000000.jpg and so on")
    parser.add_argument("--frames", type=_positive, metavar="N", help="stop after N processed frames")
    parser.add_argument("--every", type=_positive, metavar="N", default=1, help="process every Nth frame")
    parser.add_argument("--json", action="store_true", help="write one JSON object a frame to standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress, no lines, no summary")
    parser.set_defaults(command=_run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of frames")
    return number


def _run(args: argparse.Namespace, output: Output) -> int:
    spec = pipeline.load(args.pipeline)
    source = video.open_source(args.source, args.raw)
    with ExitStack() as stack:
        tasks = _open(spec.tasks, stack)
        sinks = list(_sinks(args, output, stack))
        figures = Figures()
        shows_lines = not (args.json or args.quiet or args.out)
        progress = Progress(_expected(source, args), hidden=args.quiet or (shows_lines and output.is_terminal))
        try:
            with progress:
                for frame in _chosen(source, args.every, args.frames):
                    results = {}
                    for name, task in tasks.items():
                        with _blaming(name):
                            results[name] = task(frame)
                    times = {name: task.timing for name, task in tasks.items()}
                    figures.add(times)
                    for sink in sinks:
                        sink(frame, results, times)
                    progress.step()
        except BaseException:  # Ctrl-C, damage in the middle: what was done is reported first
            if figures.frames and not args.quiet:
                figures.show()
            raise
    if not args.quiet:
        figures.show()
    return 0


def _open(specs: Mapping[str, TaskSpec], stack: ExitStack) -> dict[str, Task]:
    """Load the networks, those with equal options into one arena: they never run at once, so they share feature maps."""
    arenas: dict[tuple[str, int], Arena] = {}
    tasks: dict[str, Task] = {}
    for name, spec in specs.items():
        with _blaming(name):
            options = spec.precision, spec.threads or 1
            if options not in arenas:
                arenas[options] = stack.enter_context(Arena(precision=options[0], threads=options[1]))
            tasks[name] = stack.enter_context(Task(spec, arena=arenas[options]))
    return tasks


@contextmanager
def _blaming(task: str) -> Iterator[None]:
    """Errors say which task they come from."""
    try:
        yield
    except MnnliteError as error:
        error.args = (f"task {task!r}: {error}", *error.args[1:])
        raise


def _chosen(source: video.Source, every: int, count: int | None) -> Iterator[Frame]:
    done = 0
    for index, frame in enumerate(source):
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


Sink = Callable[[Any, dict[str, Any], dict[str, dict[str, int]]], None]


def _sinks(args: argparse.Namespace, output: Output, stack: ExitStack) -> Iterator[Sink]:
    """Who gets each frame's results."""
    if args.out:
        lines = JsonLines(args.out)
        stack.callback(lines.close)
        yield lambda frame, results, times: lines.write(frame_line(frame, results, times))
    if args.json:
        yield lambda frame, results, times: output.json(frame_line(frame, results, times))
    elif not args.out and not args.quiet:
        yield lambda frame, results, times: output.text(describe(frame, results))
    if args.save:
        yield _saver(args.save)


def _saver(folder: Path) -> Sink:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None

    def save(frame: Any, results: dict[str, Any], times: dict[str, dict[str, int]]) -> None:
        video.write_picture(folder / f"{frame.meta['frame']:06}.jpg", draw(frame, results))

    return save
