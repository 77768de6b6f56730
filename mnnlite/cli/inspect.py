"""``mnnlite inspect``: what is in a model file and what it costs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.cli.options import shapes_of
from mnnlite.cli.output import Output, columns
from mnnlite.errors import ArgumentError
from mnnlite.model import Model

if TYPE_CHECKING:
    import argparse


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "inspect",
        help="inputs, outputs, operators and memory of a model",
        description="Show a model's inputs, outputs, FLOPs, operators by type and memory. Nothing is executed.",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="an .mnn file")
    parser.add_argument(
        "--decoders", action="store_true", help="list the families of decoders and their options instead"
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="shape of an input; needed where the file leaves it open, can be repeated",
    )
    parser.add_argument("--output", action="append", metavar="NAME", help="only the branch to this output; repeatable")
    parser.add_argument("--operators", action="store_true", help="list every operator in order of execution")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def facts(model: Model) -> dict[str, Any]:
    """Collect what a loaded model says about itself."""
    operators = model.operators()
    counts = Counter(kind for _, kind, _ in operators)
    mflops: dict[str, float] = defaultdict(float)
    for _, kind, cost in operators:
        mflops[kind] += cost
    return {
        **model.facts(),
        "inputs": [_tensor(info) for info in model.inputs.values()],
        "outputs": [_tensor(info) for info in model.outputs.values()],
        "operator_count": len(operators),
        "operator_types": [
            {"type": kind, "count": counts[kind], "mflops": round(mflops[kind], 4)}
            for kind in sorted(counts, key=lambda kind: (-mflops[kind], kind))
        ],
        "operators": [{"name": name, "type": kind, "mflops": round(cost, 4)} for name, kind, cost in operators],
        "memory": model.memory(),
    }


def _tensor(info: Any) -> dict[str, Any]:
    return {"name": info.name, "shape": list(info.shape), "dtype": info.dtype, "layout": info.layout}


def _run(args: argparse.Namespace, output: Output) -> int:
    if args.decoders == (args.model is not None):
        raise ArgumentError("inspect takes either a MODEL or --decoders")
    if args.decoders:
        return _show_decoders(args.json, output)
    with Model(args.model, outputs=args.output, shapes=shapes_of(args.shape)) as model:
        known = facts(model)
    if args.json:
        output.json({"model": args.model, **known})
    else:
        output.text(*_lines(args.model, known, args.operators))
    return 0


def _show_decoders(as_json: bool, output: Output) -> int:
    families = {family: decoders.options_of(family) for family in sorted(decoders.families())}
    if as_json:
        output.json({family: [option._asdict() for option in options] for family, options in families.items()})
        return 0
    for family, options in families.items():
        rows = [("", option.name, _values(option), option.doc) for option in options]
        output.text(family, *columns(rows))
    return 0


def _values(option: decoders.Option) -> str:
    """The default, then what else may be said."""
    default = json.dumps(option.default) if option.default not in (None, ()) else "-"
    if option.choices:
        return f"{default} of {', '.join(option.choices)}"
    return f"{default} {option.type}"


def _lines(name: str, known: dict[str, Any], with_operators: bool) -> list[str]:
    memory = {term: size / 2**20 for term, size in known["memory"].items()}
    lines = [
        f"{name}: {known['file_bytes'] / 2**20:.2f} MiB, converter {known['converter_version'] or 'unknown'}, "
        f"{known['mflops']:.1f} M multiply-adds, {known['operator_count']} operators",
        "",
    ]
    for title in ("inputs", "outputs"):
        rows = [("", tensor["name"], _dims(tensor), tensor["dtype"], tensor["layout"]) for tensor in known[title]]
        lines += [title, *columns(rows)]
    lines += [
        "memory",
        *columns(
            [
                ("", "static", f"{memory['static']:.2f} MiB", "weights and outputs"),
                ("", "dynamic", f"{memory['dynamic']:.2f} MiB", "feature maps; models of an arena share the largest"),
                ("", "inputs", f"{memory['inputs']:.2f} MiB", ""),
            ],
            right=(2,),
        ),
        "operators",
    ]
    if with_operators:
        listed = [("", f"{one['mflops']:.3f}", one["type"], one["name"]) for one in known["operators"]]
        head = ("", "M mul-add", "type", "name")
    else:
        listed = [("", f"{one['mflops']:.3f}", one["type"], str(one["count"])) for one in known["operator_types"]]
        head = ("", "M mul-add", "type", "count")
    return lines + columns([head, *listed], right=(1,))


def _dims(tensor: dict[str, Any]) -> str:
    return "x".join(str(extent) for extent in tensor["shape"]) or "scalar"
