"""``mnnlite memory``: what a model holds at each stage of its life, measured, and the peak that was predicted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import observe
from mnnlite.cli.exit_codes import BAD_INPUT
from mnnlite.cli.networks import is_pipeline
from mnnlite.cli.options import DEFAULTS, add_model_options, model_options
from mnnlite.cli.output import Output, columns
from mnnlite.errors import MnnliteError
from mnnlite.files import check_folder

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Predict the peak of a model or a pipeline. Then load it, run it twice and close it in a fresh process, and show "
        "the memory after each stage, in MiB more than at the start."
    )
    parser.add_argument("models", metavar="MODEL|PIPELINE", nargs="+", type=Path, help="an .mnn file, or a .toml file")
    parser.add_argument(
        "--source", metavar="SOURCE", help="for a pipeline: a picture or video to run on, noise by default"
    )
    add_model_options(parser, trial=False)  # what is measured is loaded in a child process
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the curve as .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


Measured = tuple[observe.Curve, observe.Prediction | observe.PipelinePrediction]


def _run(args: argparse.Namespace, output: Output) -> int:
    if args.plot:
        observe.check_picture(args.plot)
        check_folder(args.plot)
    given = model_options(args)
    del given["trial"]
    found: dict[str, Measured] = {}
    failed: dict[str, str] = {}
    for path in args.models:
        of_pipeline = is_pipeline(path)
        options = {name: value for name, value in given.items() if not of_pipeline or value != DEFAULTS[name]}
        frames = {"frames": args.source} if of_pipeline and args.source else {}
        try:
            prediction = observe.predict(path, **options)
            found[str(path)] = (observe.curve(path, **frames, **options), prediction)
        except MnnliteError as error:
            if len(args.models) == 1:
                raise
            text = " ".join(str(error).split())
            failed[str(path)] = text if str(path) in text else f"{path}: {text}"
            print(f"mnnlite: error: {failed[str(path)]}", file=sys.stderr)
    if args.plot and found:
        named = {Path(name).name: each for name, each in found.items()}
        observe.plot_curves(named, args.plot, f"Life of {', '.join(named)}" if len(named) == 1 else "")
    if args.json:
        listed = [{"model": name, **_facts(*each)} for name, each in found.items()]
        errors = [{"model": name, "error": text} for name, text in failed.items()]
        output.json(
            listed[0] if len(args.models) == 1 else {"models": listed, **({"errors": errors} if errors else {})}
        )
        return BAD_INPUT if failed else 0
    for number, (name, (curve, prediction)) in enumerate(found.items()):
        output.text(*([""] if number else []), *_lines(name, curve, prediction))
    return BAD_INPUT if failed else 0


def _facts(curve: observe.Curve, prediction: observe.Prediction | observe.PipelinePrediction) -> dict[str, Any]:
    return {**curve.to_dict(), "predicted_peak_mib": prediction.peak_mib, "prediction": prediction.to_dict()}


def _lines(name: str, curve: observe.Curve, prediction: observe.Prediction | observe.PipelinePrediction) -> list[str]:
    rows = [
        (stage.name, f"{stage.anonymous_mib:.2f}", f"{stage.rss_mib:.2f}", f"{stage.peak_mib:.2f}")
        for stage in curve.stages
    ]
    return [
        f"{name}: MiB over the start ({curve.start_anonymous_mib:.1f} anonymous, {curve.start_rss_mib:.1f} resident)",
        *columns([("stage", "anonymous", "resident", "peak in stage"), *rows], right=(1, 2, 3)),
        f"measured peak {curve.peak_mib:.2f} MiB",
        "predicted before",
        *columns([("", *term) for term in _terms(prediction)], right=(2,)),
    ]


def _terms(found: observe.Prediction | observe.PipelinePrediction) -> list[tuple[str, str, str]]:
    field_sum = ("field's sum", f"{found.field_sum_mib:.2f}", "static + dynamic + model size + 2 MiB of heap and stack")
    if isinstance(found, observe.PipelinePrediction):
        return [
            ("loading", f"{found.loading_mib:.2f}", "the worst moment of loading one task beside the others"),
            (
                "running",
                f"{found.running_mib:.2f}",
                "all weights and outputs, and of each lane its largest feature maps",
            ),
            ("peak", f"{found.peak_mib:.2f}", "the larger of these"),
            field_sum,
        ]
    return [
        ("reading", f"{found.reading_mib:.2f}", "the file's content"),
        ("session", f"{found.session_mib:.2f}", "beside it weights, in two forms for a moment"),
        ("running", f"{found.running_mib:.2f}", "weights, feature maps, inputs, outputs"),
        ("peak", f"{found.peak_mib:.2f}", "the largest of these"),
        field_sum,
    ]
