"""``mnnlite inspect``: what is in a model file and what it costs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from mnnlite import decoders, descriptions, observe
from mnnlite.cli.networks import network_file
from mnnlite.cli.options import add_trial_option, shapes_of
from mnnlite.cli.output import Output, columns, mib_or_unknown
from mnnlite.errors import ArgumentError
from mnnlite.model import Model
from mnnlite.suggest import did_you_mean

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Show a model's inputs, outputs, multiply-adds, memory, operators by type, and the decoders that fit. The network "
        "runs only in the trial, in a child process."
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="an .mnn, .onnx or .tflite file")
    parser.add_argument(
        "--decoders",
        nargs="?",
        const="",
        metavar="NAME",
        help="list the families of decoders and their options instead of a model; with a name, the options of that family",
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1x3x224x224",
        help="shape of an input; needed if the file leaves it open; can be repeated",
    )
    parser.add_argument(
        "--output", action="append", metavar="NAME", help="take only the branch to this output; can be repeated"
    )
    parser.add_argument("--operators", action="store_true", help="list every operator in order of execution")
    parser.add_argument(
        "--plan",
        action="store_true",
        help="show the session instead: operators in order with type, backend and memory, branches, and what fell back",
    )
    parser.add_argument(
        "--precision", choices=("normal", "high", "low"), default="normal", help="the precision that --plan shows"
    )
    add_trial_option(parser)
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
    if (args.decoders is not None) == (args.model is not None):
        raise ArgumentError("inspect takes either a MODEL or --decoders [NAME]")
    if args.decoders is not None:
        return _show_decoders(args.decoders, args.json, output)
    shapes = shapes_of(args.shape)
    file = network_file(args.model, shapes)
    said = descriptions.SelfDescription(file, args.model)
    sizes = [] if shapes else said.image_sizes()
    options = {"precision": args.precision, "trial": args.trial}
    with Model(file, outputs=args.output, shapes=shapes, _images=sizes, **options) as model:
        known = facts(model)
        used = _used(said, model)
        plan = observe.plan(model) if args.plan else None
    if args.json:
        output.json({"model": args.model, **known, "use": used, **({} if plan is None else {"plan": plan.to_dict()})})
    elif plan is not None:
        output.text(*_plan_lines(args.model, known, plan))
    else:
        output.text(*_lines(args.model, known, args.operators), *_use_lines(used))
    return 0


def _plan_lines(name: str, known: dict[str, Any], plan: observe.Plan) -> list[str]:
    alone = {op.needed_by for op in plan.operators if op.needed_by}
    everybody = tuple(plan.branches)
    rows: list[tuple[str, ...]] = [
        (
            str(index),
            op.type,
            op.backend,
            f"{op.mflops:.3f}",
            " ".join(_extents(shape) for shape, _ in op.outputs),
            f"{op.writes / 2**10:.1f}",
            f"{op.alive / 2**10:.1f}",
            "all" if op.needed_by == everybody else " ".join(op.needed_by) or "none",
            op.name,
        )
        for index, op in enumerate(plan.operators)
    ]
    head: tuple[str, ...] = ("", "type", "backend", "M mul-add", "writes", "KiB", "alive KiB", "for", "name")
    if len(alone) == 1:  # one branch: the column would say nothing
        rows = [(*row[:7], row[8]) for row in rows]
        head = (*head[:7], head[8])
    lines = [
        f"{name}: {len(plan.operators)} operators on {plan.backend}, {known['mflops']:.1f} M multiply-adds",
        *columns([head, *rows], right=(0, 3, 5, 6)),
        "",
        "outputs",
        *columns(
            [
                ("", tensor["name"], _dims(tensor), tensor["dtype"], tensor["layout"], *_branch(plan, tensor["name"]))
                for tensor in known["outputs"]
            ],
            right=(5, 6),
        ),
    ]
    fallen: dict[tuple[str, str, str], int] = defaultdict(int)
    for op in plan.fell_back:
        fallen[op.type, op.backend, "/".join(sorted({dtype for _, dtype in op.outputs}))] += 1
    for (kind, backend, dtype), count in sorted(fallen.items()):
        lines.append(f"fell back: {count} {kind} ({dtype}) on {backend}: {plan.backend} has none for them")
    memory = plan.memory
    weights = None if memory["static"] is None else memory["static"] - memory["outputs"]
    lines.append(
        f"memory: weights {mib_or_unknown(weights)}, feature maps {mib_or_unknown(memory['dynamic'])}, inputs "
        f"{mib_or_unknown(memory['inputs'])}, outputs {mib_or_unknown(memory['outputs'])}"
    )
    return lines


def _branch(plan: observe.Plan, name: str) -> tuple[str, str]:
    count, mflops = plan.branches.get(name, (0, 0.0))
    return f"{count} operators", f"{mflops:.1f} M mul-add"


def _extents(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else "x".join(str(extent) for extent in shape) or "scalar"


def _used(said: descriptions.SelfDescription, model: Model) -> dict[str, Any]:
    """How the network is used: what it says, or which decoders fit."""
    try:
        found = said.read(model)
    except ArgumentError as error:
        found = descriptions.Description(said.path, question=str(error).removeprefix(f"{said.path}: "))
    if found.task_spec is not None:
        return {"decoder": found.title, "sources": dict(found.sources), "fit": [], "question": ""}
    fit = [{"decoder": each.title, "why": each.sources["decoder"]} for each in found.candidates]
    return {"decoder": None, "sources": {}, "fit": fit, "question": found.question}


def _use_lines(used: dict[str, Any]) -> list[str]:
    if used["decoder"] is not None:
        return ["used as", *columns([("", used["decoder"], used["sources"].get("decoder", ""))])]
    if used["fit"]:
        return ["decoders that fit", *columns([("", each["decoder"], each["why"]) for each in used["fit"]])]
    return ["decoders that fit", f"  none: {used['question']}"]


def _show_decoders(name: str, as_json: bool, output: Output) -> int:
    known = decoders.families()
    if name and name.lower() not in known:
        hint = did_you_mean(name.lower(), known, f"there are {', '.join(known)}")
        raise ArgumentError(f"--decoders: no family is called {name!r}; {hint}")
    chosen = [name.lower()] if name else sorted(known)
    families = {family: decoders.options_of(family) for family in chosen}
    if as_json:
        output.json({family: [option._asdict() for option in options] for family, options in families.items()})
        return 0
    for family, options in families.items():
        if name:  # what it reads, from its own documentation
            output.text(f"{family}: {(known[family].__doc__ or '').splitlines()[0]}")
        else:
            output.text(family)
        output.text(*columns([("", option.name, _values(option), option.doc) for option in options]))
    return 0


def _values(option: decoders.Option) -> str:
    """The default, then what else may be said."""
    default = json.dumps(option.default) if option.default not in (None, ()) else "-"
    if option.choices:
        return f"{default} of {', '.join(option.choices)}"
    return " ".join(part for part in (default, option.type, option.range) if part)


def _lines(name: str, known: dict[str, Any], with_operators: bool) -> list[str]:
    memory = known["memory"]
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
                ("", "static", mib_or_unknown(memory["static"]), "weights and outputs"),
                (
                    "",
                    "dynamic",
                    mib_or_unknown(memory["dynamic"]),
                    "feature maps; models of an arena share the largest",
                ),
                ("", "inputs", mib_or_unknown(memory["inputs"]), ""),
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
