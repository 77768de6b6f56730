"""``mnnlite compare``: the first operator where two networks part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import observe, pipeline, video
from mnnlite.cli.options import DEFAULTS, add_model_options, model_options, read_inputs
from mnnlite.cli.output import Output, columns
from mnnlite.errors import ArgumentError
from mnnlite.specs import ImageSpec

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "compare",
        help="the first operator where two networks part",
        description="Compare a network with what it should equal, operator by operator, on a constant input (0.46875), "
        "a random one, and the one that is given. Options about loading are for A if it is an .mnn file.",
        epilog="Exit code 1 if they differ.",
    )
    parser.add_argument("a", metavar="A", help="an .mnn, .onnx or .tflite file, or a dump (.npz)")
    parser.add_argument("b", metavar="B", help="the reference, one of the same")
    parser.add_argument("--input", metavar="FILE.npz", type=Path, help="inputs by name, as the reference is fed them")
    parser.add_argument("--image", metavar="PICTURE", help="a picture, through the image spec of --pipeline")
    parser.add_argument("--pipeline", metavar="TOML", type=Path, help="where the image spec stands")
    parser.add_argument("--task", metavar="NAME", help="of the pipeline, if it has several")
    parser.add_argument("--tolerance", type=float, default=2e-3, metavar="X", help="of a tensor's largest value; 0.002")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random input")
    parser.add_argument("--report", metavar="FILE.html", type=Path, help="write a page with all operators")
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    options = model_options(args)
    shapes = options.pop("shapes")
    given = read_inputs(args.input) if args.input else None
    finding = None
    if args.image:
        made = _preprocessed(args)
        if given is None:
            given = made
        else:
            name, value = next(iter(made.items()))
            if name not in given and len(given) > 1:
                raise ArgumentError(f"--input has {', '.join(map(repr, given))}, the picture is for {name!r}")
            finding = observe.compare_inputs(value, given.get(name, next(iter(given.values()))))
    found = observe.compare(
        args.a,
        args.b,
        input=given,
        input_finding=finding,
        tolerance=args.tolerance,
        seed=args.seed,
        shapes=shapes or None,
        options={name: value for name, value in options.items() if value != DEFAULTS[name]},
    )
    if args.report:
        observe.write_report(found, args.report)
    if args.json:
        output.json(found.to_dict())
    else:
        output.text(*_lines(found))
    return 0 if found.equal else 1


def _preprocessed(args: argparse.Namespace) -> dict[str, NDArray[Any]]:
    """The picture as the task's image spec makes it, by the name of its input."""
    from mnnlite.model import Model

    if args.pipeline is None:
        raise ArgumentError("--image needs --pipeline, which says how the picture becomes an input")
    tasks = pipeline.load(args.pipeline).tasks
    if args.task is None and len(tasks) > 1:
        raise ArgumentError(f"{args.pipeline} has the tasks {', '.join(map(repr, tasks))}; choose one with --task")
    name = args.task if args.task is not None else next(iter(tasks))
    if name not in tasks:
        raise ArgumentError(f"{args.pipeline} has no task {name!r}; it has {', '.join(map(repr, tasks))}")
    spec = tasks[name].image
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
    frame = next(iter(video.open_source(args.image)))
    return {target: spec.apply(frame)}


def _lines(found: observe.Comparison) -> list[str]:
    lines = [f"{found.a} against {found.b}"]
    if found.input is not None:
        lines.append("input: equal" if found.input.equal else f"INPUT ERROR: {found.input.reason}")
    rows = []
    for case in found.cases:
        by_value = sum(each.matched_by == "value" for each in case.operators)
        over = sum(each.difference.relative > found.tolerance for each in case.operators)
        rows.append((case.name, str(len(case.operators)), str(by_value), str(len(case.unmatched)), str(over)))
    lines += columns([("input", "matched", "by value", "unmatched", "beyond tolerance"), *rows], right=(1, 2, 3, 4))
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
            "ok" if found.output_ok(each) else "OFF",
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
