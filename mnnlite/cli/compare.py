"""``mnnlite compare``: the first operator where two networks part."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import observe, pipeline, video
from mnnlite.cli.options import DEFAULTS, add_model_options, model_options, read_inputs, try_file
from mnnlite.cli.output import Output, columns
from mnnlite.errors import ArgumentError
from mnnlite.files import check_targets
from mnnlite.specs import ImageSpec

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from mnnlite.specs import TaskSpec


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Compare a network with a reference, operator by operator, on a constant input (0.46875), a random input, "
        "and an input of your own. Options about loading apply to A if it is an .mnn file."
    )
    parser.epilog = "Exit code 1 if they differ."
    parser.add_argument("a", metavar="A", help="an .mnn, .onnx or .tflite file, or a dump (.npz)")
    parser.add_argument("b", metavar="B", help="the reference, a file of the same kinds")
    parser.add_argument("--input", metavar="FILE.npz", type=Path, help="inputs by name, as the reference gets them")
    parser.add_argument(
        "--image", metavar="PICTURE", help="a picture; the image spec of --pipeline makes the input of it"
    )
    parser.add_argument(
        "--pictures",
        metavar="SOURCE",
        help="also compare what A and B find on a folder, a 'pattern*.jpg' or a video, with the image spec and decoder of "
        "--pipeline; this alone then decides the exit code, because tensors of a quantised network always differ",
    )
    parser.add_argument(
        "--frames", type=int, default=50, metavar="N", help="take at most N of --pictures, 50 by default"
    )
    parser.add_argument(
        "--agreement", type=float, default=0.9, metavar="X", help="least agreement on --pictures, 0.9 by default"
    )
    parser.add_argument(
        "--pipeline", metavar="TOML", type=Path, help="the pipeline with the image spec and the decoder"
    )
    parser.add_argument("--task", metavar="NAME", help="the task of the pipeline, if it has several")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=2e-3,
        metavar="X",
        help="largest difference, as a fraction of a tensor's largest value; 0.002",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the random input")
    parser.add_argument("--report", metavar="FILE.html", type=Path, help="write a page with all operators")
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    if args.frames < 1:
        raise ArgumentError(f"--frames is {args.frames}; wanted at least 1")
    check_targets([args.report or None], (args.a, args.b, args.pipeline))
    options = model_options(args)
    shapes = options.pop("shapes")
    if options.pop("trial"):
        for path, said in ((args.a, options), (args.b, {})):
            if Path(path).suffix.lower() == ".mnn":
                try_file(path, shapes, said)
    options = {name: value for name, value in options.items() if value != DEFAULTS[name]}
    given = read_inputs(args.input) if args.input else None
    finding = None
    if args.image:
        given, finding = _picture(args, given)
    found = observe.compare(
        args.a,
        args.b,
        input=given,
        input_finding=finding,
        tolerance=args.tolerance,
        seed=args.seed,
        shapes=shapes or None,
        options=options,
    )
    decoded = _decoded(args, options) if args.pictures else None
    if args.report:
        observe.write_report(found, args.report)
    if args.json:
        output.json({**found.to_dict(), **({} if decoded is None else {"decoded": decoded.to_dict()})})
    else:
        output.text(*_lines(found), *([] if decoded is None else _decoded_lines(decoded)))
    return 0 if (found.equal if decoded is None else decoded.agree) else 1


def _decoded(args: argparse.Namespace, options: dict[str, Any]) -> observe.DecodedComparison:
    for path in (args.a, args.b):
        if Path(path).suffix.lower() != ".mnn":
            raise ArgumentError(f"--pictures compares what two .mnn files find, not {path}")
    name, task = _task(args)
    if task.feed:
        raise ArgumentError(f"task {name!r} takes what other tasks give; choose one that stands alone")
    frames = itertools.islice(video.open_source(args.pictures), args.frames)
    return observe.compare_decoded(args.a, args.b, task, frames, least=args.agreement, options=options)


def _decoded_lines(found: observe.DecodedComparison) -> list[str]:
    rows = [
        (
            each.name,
            each.kind,
            f"{each.agreement:.4f}",
            f"{each.worst:.4f} (picture {each.worst_picture})",
            str(each.found),
            str(each.wanted),
            str(each.matched),
            str(each.other_label),
            f"{each.iou:.4f}",
            f"{each.score_difference:.4f}",
        )
        for each in found.decoders
    ]
    head = ("decoded", "kind", "agreement", "worst", "found", "wanted", "matched", "other label", "IoU", "score off by")
    verdict = "enough" if found.agree else "TOO LITTLE"
    return [
        "",
        f"on {found.pictures} pictures: {verdict}, wanted {found.least:g}",
        *columns([head, *rows], right=(2, 4, 5, 6, 7, 8, 9)),
    ]


def _task(args: argparse.Namespace) -> tuple[str, TaskSpec]:
    if args.pipeline is None:
        raise ArgumentError("--image and --pictures need --pipeline, which says how a picture becomes an input")
    tasks = pipeline.load(args.pipeline).tasks
    if args.task is None and len(tasks) > 1:
        raise ArgumentError(f"{args.pipeline} has the tasks {', '.join(map(repr, tasks))}; choose one with --task")
    name = args.task if args.task is not None else next(iter(tasks))
    if name not in tasks:
        raise ArgumentError(f"{args.pipeline} has no task {name!r}; it has {', '.join(map(repr, tasks))}")
    return name, tasks[name]


def _picture(
    args: argparse.Namespace, given: dict[str, NDArray[Any]] | None
) -> tuple[dict[str, NDArray[Any]] | None, observe.InputFinding]:
    """What the networks are fed for the picture, and whether it is what the task would feed.

    What the training framework fed is said by --input, or by the inputs in a dump. Without it the image spec cannot be
    wrong, only its execution: it is held against its definition.
    """
    name, spec = _image_spec(args)
    frame = next(iter(video.open_source(args.image)))
    if Path(args.a).suffix.lower() == ".mnn" and spec.layout is None:  # as a task would; else as it is said
        options = {key: value for key, value in model_options(args).items() if value != DEFAULTS[key]}
        made = observe.picture_inputs(args.a, spec, frame, options.pop("shapes", None), options)[name]
    else:
        made = spec.apply(frame)
    fed = given if given is not None else _dumped(args)
    if not fed:
        return {name: made}, observe.check_preprocessing(spec, frame)
    if name not in fed and len(fed) > 1:
        source = "--input" if given is not None else "the dump"
        raise ArgumentError(f"{source} has {', '.join(map(repr, fed))}, the picture is for {name!r}")
    return given, observe.compare_inputs(made, fed.get(name, next(iter(fed.values()))))


def _dumped(args: argparse.Namespace) -> dict[str, NDArray[Any]] | None:
    """The inputs of the picture's run in a dump, if one side is a dump of it."""
    for path in (args.b, args.a):
        if Path(path).suffix.lower() == ".npz":
            dump = observe.DumpedModel(path)
            if "input" in dump.cases():
                return dump.inputs("input")
    return None


def _image_spec(args: argparse.Namespace) -> tuple[str, ImageSpec]:
    """The name of the input that the picture is for, and how it is made."""
    from mnnlite.model import Model

    name, task = _task(args)
    spec = task.image
    if spec is None or (not isinstance(spec, ImageSpec) and len(spec) != 1):
        raise ArgumentError(f"task {name!r} has {'no' if spec is None else 'several'} image specs; one is needed")
    if isinstance(spec, ImageSpec):
        if Path(args.a).suffix.lower() == ".mnn":
            with Model(args.a, **model_options(args)) as model:
                target = next(iter(model.inputs))
        else:
            target = ""
    else:
        target, spec = next(iter(spec.items()))
    return target, spec


def _lines(found: observe.Comparison) -> list[str]:
    lines = [f"{found.a} against {found.b}"]
    if found.input is not None:
        lines.append("input: equal" if found.input.equal else f"INPUT ERROR: {found.input.reason}")
    rows = []
    for case in found.cases:
        by_value = sum(each.matched_by == "value" for each in case.operators)
        over = sum(each.beyond(found.tolerance) for each in case.operators)
        rows.append((case.name, str(len(case.operators)), str(by_value), str(len(case.unmatched)), str(over)))
    lines += columns([("input", "matched", "by value", "unmatched", "beyond tolerance"), *rows], right=(1, 2, 3, 4))
    case = max(found.cases, key=lambda each: len(each.unmatched))
    if case.unmatched:
        lines.append("unmatched: tensors here without a partner in the reference; what reads them is compared")
        lines += columns([("", str(count), why) for why, count in case.unmatched_because.items()], right=(1,))
    lines += [f"warning: {text}" for text in found.warnings]
    first = found.first_deviation
    if first is None:
        lines.append("no operator that has a partner deviates by itself")
        if not found.equal and found.input_equal:
            lost = next((name for case in found.cases for name in case.unmatched if "_raster_" not in name), None)
            lines += [f"first operator without a partner: {lost}"] if lost else []
            lines += [] if found.outputs else ["no output could be compared: their names and sizes differ"]
    else:
        detail = first.detail.own if first.born_here and first.detail.own is not None else first.detail.difference
        facts = [
            ("operator", f"{first.op} ({first.type} on {first.backend or 'unknown'})"),
            ("", _birth(first)),
            ("reference", f"{first.tensor} {first.detail.reference_shape}, here {first.detail.shape}"),
            ("difference", f"max abs {first.max_abs:.4g}, relative {first.relative:.3g}, cosine {first.cosine:.6f}"),
            ("worst at", f"{detail.worst}: {_row(detail.around)}"),
            ("reference", _row(detail.around_reference)),
            ("not finite", f"{detail.not_finite}, in the reference {detail.not_finite_reference}"),
        ]
        if len(first.detail.covers) > 1:
            facts.append(("fused", ", ".join(first.detail.covers)))
        if first.unmatched_before:
            facts.append(("or before it", ", ".join(first.unmatched_before)))
        if first.source:
            facts.append(("engine source", first.source))
        lines += [f"first deviating operator, with the {first.case} input", *columns([("", *fact) for fact in facts])]
    outputs = [
        (
            name,
            f"{each.max_abs:.4g}",
            f"{each.relative:.2e}",
            f"{each.cosine:.6f}",
            "ok" if found.outputs_ok[name] else "OFF",
        )
        for name, each in found.outputs.items()
    ]
    lines += columns([("output", "max abs", "relative", "cosine", ""), *outputs], right=(1, 2, 3))
    return lines


def _birth(first: observe.Deviation) -> str:
    if not first.born_here:
        return "inherited: grown over operators, none of which is at fault"
    fed = first.detail.own is not None
    return "born here: it deviates with the reference's inputs" if fed else "born here: nothing before it deviates"


def _row(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.5g}" for value in values)
