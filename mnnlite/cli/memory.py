"""``mnnlite memory``: what a model holds at each stage of its life, measured, and the peak that was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import observe
from mnnlite.cli.options import add_model_options, model_options
from mnnlite.cli.output import Output, columns
from mnnlite.errors import StateError

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "memory",
        help="memory at each stage of a model's life",
        description="Load, run twice and close a model in a fresh process and show the memory after each stage, in MiB "
        "over the start. The peak is predicted before anything is run.",
    )
    parser.add_argument("models", metavar="MODEL", nargs="+", type=Path, help="an .mnn file")
    add_model_options(parser)
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the curve as .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    options = model_options(args)
    found: dict[str, tuple[observe.Curve, observe.Prediction]] = {}
    for path in args.models:
        if path.suffix.lower() == ".toml":
            raise StateError(f"memory of a pipeline ({path}): not yet; give its models")
        prediction = observe.predict(path, **options)
        found[str(path)] = (observe.curve(path, **options), prediction)
    if args.plot:
        named = {Path(name).name: each for name, each in found.items()}
        observe.plot_curves(named, args.plot, f"Life of {', '.join(named)}" if len(named) == 1 else "")
    if args.json:
        listed = [{"model": name, **_facts(*each)} for name, each in found.items()]
        output.json(listed[0] if len(listed) == 1 else {"models": listed})
        return 0
    for number, (name, (curve, prediction)) in enumerate(found.items()):
        output.text(*([""] if number else []), *_lines(name, curve, prediction))
    return 0


def _facts(curve: observe.Curve, prediction: observe.Prediction) -> dict[str, Any]:
    return {**curve.to_dict(), "predicted_peak_mib": prediction.peak_mib, "prediction": prediction.to_dict()}


def _lines(name: str, curve: observe.Curve, prediction: observe.Prediction) -> list[str]:
    rows = [
        (stage.name, f"{stage.anonymous_mib:.2f}", f"{stage.rss_mib:.2f}", f"{stage.peak_mib:.2f}")
        for stage in curve.stages
    ]
    terms = (
        ("reading", f"{prediction.reading_mib:.2f}", "the file's content"),
        ("session", f"{prediction.session_mib:.2f}", "beside it weights, in two forms for a moment"),
        ("running", f"{prediction.running_mib:.2f}", "weights, feature maps, inputs, outputs"),
        ("peak", f"{prediction.peak_mib:.2f}", "the largest of these"),
        ("field's sum", f"{prediction.field_sum_mib:.2f}", "static + dynamic + model size + 2 MiB of heap and stack"),
    )
    return [
        f"{name}: MiB over the start ({curve.start_anonymous_mib:.1f} anonymous, {curve.start_rss_mib:.1f} resident)",
        *columns([("stage", "anonymous", "resident", "peak in stage"), *rows], right=(1, 2, 3)),
        f"measured peak {curve.peak_mib:.2f} MiB",
        "predicted before",
        *columns([("", *term) for term in terms], right=(2,)),
    ]
