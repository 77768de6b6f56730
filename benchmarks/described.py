"""Networks by their path alone: what each says of itself, what is left to say, and how far its results are from the original.

    python benchmarks/described.py [--models FOLDER] [--pictures FOLDER] [--exports FOLDER] [--only TEXT ...] [--json]

A table of networks out of packages on PyPI (see fetch.py) and, with --models, of every .onnx and .tflite in a folder. Each is
converted by ``mnnlite convert``, which keeps what the file says. Columns: the command that runs it; how it is read; lines of
TOML that are left to say (0: none); the largest difference, in pixels and in scores, of a `Task`'s rows from the same decoder
on the outputs of ONNX Runtime or LiteRT for the same input tensor (decoders are held equal to their NumPy definitions by
tests/test_decode*.py). Rows that only one side has count as differences: "+1" is a row more. Where a network finds nothing
on the picture, scores are taken from lower down, for both; the column says so.

With --exports, a folder of NAME.mnn, NAME.golden.npz and picture.png, as tests/helpers/golden.py reads them: every network of
the folder by its path alone against what its exporter's own post-processing found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import described_networks as networks
import fetch
import numpy as np
from described_networks import Entry
from numpy.typing import NDArray

import mnnlite
from mnnlite import Frame, ImageSpec, Task, TaskSpec, _core, decoders, video
from mnnlite.convert import convert


def original(path: Path, tensor: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The outputs of the file itself for one input."""
    if path.suffix == ".onnx":
        import onnx
        import onnxruntime

        model = onnx.load(path)  # some declare sizes that they do not mind
        for axis, extent in zip(model.graph.input[0].type.tensor_type.shape.dim, tensor.shape, strict=True):
            axis.dim_value = extent
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found = session.run(names, {session.get_inputs()[0].name: tensor})
        return dict(zip(names, found, strict=True))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}


def measured(entry: Entry, spec: TaskSpec, frame: Frame) -> str:
    """How far a task's rows are from the decoder's on the original's outputs."""
    said = ""
    for score in (None, 0.1, 0.02):
        if score is not None:
            if isinstance(spec.decoder, Mapping) or not hasattr(spec.decoder, "score"):
                break
            spec, said = replace(spec, decoder=replace(spec.decoder, score=score)), f" (score {score})"
        with Task(spec) as task:
            found = task(frame)
            inputs = {name: task.model.input(name).copy() for name in task.model.inputs}
            names = list(task.model.outputs)
        if not hasattr(found, "__len__") or len(found):
            break
    outputs = original(entry.path, next(iter(inputs.values())))
    ordered = {name: outputs[name] for name in names if name in outputs} or outputs
    image = spec.image
    assert isinstance(image, ImageSpec)
    several = spec.decoder if isinstance(spec.decoder, Mapping) else {"": spec.decoder}
    texts = []
    for name, decoder in several.items():
        assert isinstance(decoder, decoders.Decoder)
        if isinstance(decoder, decoders.Segmentation) and entry.path.suffix == ".tflite":
            decoder = replace(decoder, layout="NHWC")  # arrays do not say it, tensors do
        chosen = {name: ordered[name]} if name in ordered and len(several) > 1 else ordered
        wanted = decoder.decode(chosen, (frame.width, frame.height), image)
        texts.append(f"{name} {difference(found[name] if name else found, wanted)}".strip() + said)
    return "; ".join(texts)


def difference(found: Any, wanted: Any) -> str:
    more = f"+{len(found) - len(wanted)} rows, " if len(found) > len(wanted) else ""
    more = f"{len(found) - len(wanted)} rows, " if len(found) < len(wanted) else more
    if isinstance(found, mnnlite.results.Masks):
        agree = (found.over_frame() == wanted.over_frame()).mean() if len(found) and len(wanted) else 1.0
        return f"{more}{100 * (1 - agree):.3f} % of pixels"
    if isinstance(found, mnnlite.results.Texts):
        if not found.text and not wanted.text:
            return "no text"
        same = found.text == wanted.text
        return f"{more}{'same text' if same else f'{found.text} {wanted.text}'}"
    if len(found) == 0 or more:
        return f"{more}{len(found)} rows"
    scores = float(np.abs(found.scores - wanted.scores).max())
    places = getattr(found, "points", None) if isinstance(found, mnnlite.results.Keypoints) else None
    if places is not None:
        return f"{float(np.abs(places[..., :2] - wanted.points[..., :2]).max()):.1e} px"
    if isinstance(found, mnnlite.results.Polygons):
        largest = max(float(np.abs(a - b).max()) for a, b in zip(found.points, wanted.points, strict=True))
        return f"{len(found)} rows, {largest:.1e} px, {scores:.1e}"
    if hasattr(found, "boxes_xyxy"):
        return f"{len(found)} rows, {float(np.abs(found.boxes_xyxy - wanted.boxes_xyxy).max()):.1e} px, {scores:.1e}"
    return f"{len(found)} rows, {scores:.1e}"


def row(entry: Entry, frame: Frame) -> dict[str, str]:
    target = fetch.FOLDER / "described" / f"{entry.path.stem}.mnn"
    line = {"network": entry.name, "command": f"mnnlite run {target.name} SOURCE"}
    try:
        if not target.exists():
            convert(entry.path, target, shapes=entry.shapes or None, compare=False)  # measured below
        lines, spec, title = 0, None, ""
        try:
            if entry.said:
                raise mnnlite.ArgumentError("the file says nothing")
            described = mnnlite.describe(target, shapes=entry.shapes or None)
            spec = described.task_spec
            title = described.title or described.question
            if spec is None and described.candidates:
                title = " | ".join(each.title for each in described.candidates)
        except mnnlite.ArgumentError as error:
            title = str(error).removeprefix(f"{target}: ")
        if spec is None:
            line["command"] = f"mnnlite run {target.stem}.toml SOURCE"
            lines = (entry.image is not None) + (entry.decoder is not None) or 2
            if entry.decoder is not None:
                with mnnlite.Model(
                    target, _images=[_core.ImageHint("", *(entry.image or {}).get("size", (0, 0)), 3, 1)]
                ) as model:
                    shape = next(iter(model.inputs.values())).shape
                size = (shape[2], shape[1]) if shape[3] == 3 else (shape[3], shape[2])
                spec = TaskSpec(
                    str(target),
                    ImageSpec(**{"size": size, **(entry.image or {})}),
                    entry.decoder,
                    shapes=entry.shapes or None,
                )
        elif entry.shapes and spec.image is not None and spec.shapes is None:
            image = ImageSpec(**entry.image) if entry.image else spec.image
            spec = TaskSpec(spec.model, image, spec.decoder, shapes=entry.shapes)
            lines = 1 + (entry.image is not None)
        line |= {"read as": title[:90], "TOML": str(lines)}
        line["difference"] = measured(entry, spec, frame) if spec is not None else "not measured"
    except Exception as error:
        line.setdefault("read as", "")
        line.setdefault("TOML", "")
        line["difference"] = f"{type(error).__name__}: {error}"[:120]
    return line


def tied(path: Path, rgb: NDArray[np.uint8], wanted: dict[str, NDArray[Any]]) -> str:
    """Where a golden holds the exporter's outputs too: whether these give every row, and how far the task's outputs are.

    Random networks have scores closer together than two runs of an engine: which of two boxes suppresses the other is chance.
    """
    from helpers import golden

    outputs = {name: value for name, value in wanted.items() if name.startswith("output")}
    if not outputs:
        return ""
    try:
        count = golden.compare(path, rgb, wanted, outputs)
    except AssertionError as error:
        return f"MISS, from the exporter's outputs too: {str(error).splitlines()[0][:80]}"
    with Task(path) as task:
        spec = replace(task.spec, decoder="raw")
    with Task(spec) as task:
        mine = task(rgb, "RGB")
    apart = max(float(np.abs(mine[name] - value).max()) for name, value in outputs.items())
    return f"{count} rows of the exporter's outputs (all, no more); the task's differ from these by {apart:.1e}, and scores tie"


def exports(folder: Path) -> Iterator[dict[str, str]]:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from helpers import golden

    picture = video.to_rgb(next(iter(video.open_source(str(folder / "picture.png")))))
    for path in sorted(folder.glob("*.mnn")):
        found = folder / f"{path.stem}.golden.npz"
        line = {"network": path.stem, "command": f"mnnlite run {path.name} picture.png"}
        line["read as"] = mnnlite.describe(path).title[:90]
        line["TOML"] = "0"
        if not found.exists():
            line["difference"] = "no golden"
        else:
            try:
                line["difference"] = (
                    f"{golden.compare(path, picture, dict(np.load(found)))} rows (all of the exporter's, no more)"
                )
            except AssertionError as error:
                line["difference"] = (
                    tied(path, picture, dict(np.load(found))) or f"MISS: {str(error).splitlines()[0][:100]}"
                )
        yield line


def pictures(entries: list[Entry]) -> Iterator[tuple[Entry, Frame]]:
    for entry in entries:
        path = entry.picture if Path(entry.picture).exists() else networks.member(networks.PICTURES, entry.picture)
        yield entry, next(iter(video.open_source(str(path))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="a folder of further .onnx and .tflite files")
    parser.add_argument("--pictures", type=Path, help="a folder of pictures for these")
    parser.add_argument("--exports", type=Path, help="a folder of exports with goldens; only these")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="networks whose name has one of these texts")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.exports:
        made: Iterator[dict[str, str]] = exports(args.exports)
    else:
        entries = networks.packages() + (networks.folder(args.models, args.pictures) if args.models else [])
        chosen = [entry for entry in entries if any(text in entry.name for text in args.only or [""])]
        made = (row(entry, frame) for entry, frame in pictures(chosen))
    keys = ("network", "command", "read as", "TOML", "difference")
    if not args.json:
        print("| " + " | ".join(keys) + " |\n|" + " --- |" * len(keys))
    lines = []
    for line in made:
        lines.append(line)
        if not args.json:
            print("| " + " | ".join(line[key].replace("|", "or") for key in keys) + " |", flush=True)
    if args.json:
        print(json.dumps(lines))
    return int(any(line["difference"].startswith("MISS") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
