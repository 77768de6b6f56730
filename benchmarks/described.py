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
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import described_networks as networks
import fetch
import numpy as np
from described_networks import Entry
from further_networks import further
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
    (into,) = interpreter.get_input_details()
    scale, zero = into["quantization"]
    if scale:
        tensor = (np.round(tensor / scale) + zero).clip(*_ends(into["dtype"])).astype(into["dtype"])
    interpreter.set_tensor(into["index"], tensor)
    interpreter.invoke()
    found = {}
    for each in interpreter.get_output_details():
        scale, zero = each["quantization"]
        value = interpreter.get_tensor(each["index"])
        found[each["name"]] = ((value.astype(np.float32) - zero) * np.float32(scale)) if scale else value
    return found


def _ends(dtype: Any) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


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
    if entry.path.suffix == ".mnn":
        return f"no original; {len(found)} rows"
    outputs = original(entry.path, next(iter(inputs.values())))
    ordered = {name: outputs[name] for name in names if name in outputs} or outputs
    image = spec.image
    assert isinstance(image, ImageSpec)
    if entry.usual is not None:
        assert isinstance(spec.decoder, decoders.Decoder)
        placed = decoders.batch_item(image, (frame.width, frame.height))
        return usual_difference(found, entry.usual(outputs, spec.decoder, placed.net_size), placed) + said
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


def usual_difference(found: Any, wanted: dict[str, NDArray[Any]], placed: decoders.BatchItem) -> str:
    """How far a task's results are from NumPy's, whose places are in pixels of the network's input."""
    matrix = np.reshape(placed.to_frame, (3, 3))
    width, height = placed.frame_size

    def in_frame(points: NDArray[Any]) -> NDArray[Any]:
        return points * [matrix[0, 0], matrix[1, 1]] + [matrix[0, 2], matrix[1, 2]]

    def apart(mine: Any, theirs: Any) -> float:
        return float(np.abs(np.asarray(mine, np.float64) - theirs).max()) if np.size(theirs) else 0.0

    if "picture" in wanted:
        return f"NumPy: {apart(found.maps[0], wanted['picture']):.0f} of 255"
    if "values" in wanted:
        return f"NumPy: {found.values[0, 0]:.1f}, {apart(found.values, wanted['values']):.1e}"
    if "vectors" in wanted:
        return f"NumPy: {apart(found.vectors, wanted['vectors']):.1e}"
    if "map" in wanted:
        return f"NumPy: {100 * (found.class_map() != wanted['map']).mean():.3f} % of pixels"
    if "sure" in wanted:
        sure = wanted["sure"]
        pixels = apart(found.points[:, sure, :2], in_frame(wanted["points"])[:, sure])
        return f"NumPy: {sure.sum()} points of {len(sure)} sure, {pixels:.1e} px"
    more = len(found) - len(wanted["scores"])
    if more:
        return f"NumPy: {more:+} rows of {len(wanted['scores'])}"
    classes = "classes" not in wanted or bool((found.class_ids == wanted["classes"]).all())
    said = (
        f"NumPy: {len(found)} rows, {apart(found.scores, wanted['scores']):.1e}{'' if classes else ', OTHER CLASSES'}"
    )
    if "boxes" not in wanted:
        return said
    boxes = in_frame(wanted["boxes"].reshape(-1, 2, 2)).clip(0, [width, height]).reshape(-1, 4)
    pixels = apart(found.boxes_xyxy, boxes)
    if "points" in wanted:
        pixels = max(pixels, apart(found.points, in_frame(wanted["points"])))
    return f"{said}, {pixels:.1e} px"


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
    if isinstance(found, mnnlite.results.Keypoints):
        return f"{len(found)} rows, {nearest(found.points[..., :2], wanted.points[..., :2], found, wanted):.1e} px"
    if isinstance(found, (mnnlite.results.Polygons, mnnlite.results.Polylines)):
        largest = max(float(np.abs(a - b).max()) for a, b in zip(found.points, wanted.points, strict=True))
        return f"{len(found)} rows, {largest:.1e} px, {scores:.1e}"
    if hasattr(found, "boxes_xyxy"):
        return f"{len(found)} rows, {nearest(found.boxes_xyxy, wanted.boxes_xyxy, found, wanted):.1e} px, {scores:.1e}"
    return f"{len(found)} rows, {scores:.1e}"


def nearest(mine: NDArray[Any], theirs: NDArray[Any], found: Any, wanted: Any) -> float:
    """How far places of theirs are from the nearest of mine of the same class: rows of scores closer than two runs change places."""
    apart = np.abs(mine.reshape(len(mine), 1, -1) - theirs.reshape(1, len(theirs), -1)).max(axis=-1)
    apart[found.class_ids[:, None] != wanted.class_ids[None]] = np.inf
    return float(apart.min(axis=0).max())


def row(entry: Entry, frame: Frame) -> dict[str, str]:
    target = fetch.FOLDER / "described" / f"{re.sub('[^A-Za-z0-9]+', '_', entry.name)}.mnn"
    line = {"network": entry.name, "command": f"mnnlite run {target.name} SOURCE"}
    if entry.path.suffix == ".mnn":
        target = entry.path
        line["command"] = f"mnnlite run {target.name} SOURCE"
    try:
        if entry.path.suffix == ".mnn" and entry.decoder is None:
            raise mnnlite.ArgumentError("part of a chain, or damaged on purpose: see all_networks.py")
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
                hint = _core.ImageHint("", *(entry.image or {}).get("size", (0, 0)), 3, 1)
                hints = [] if "state" in entry.more else [hint]  # of several inputs it would have to name one
                with mnnlite.Model(target, shapes=entry.shapes or None, _images=hints) as model:
                    taken = {name: info.shape for name, info in model.inputs.items() if 3 in info.shape[1::2]}
                ((where, shape),) = taken.items()
                size = (shape[2], shape[1]) if shape[3] == 3 else (shape[3], shape[2])
                image = ImageSpec(**{"size": size, **(entry.image or {})})
                spec = TaskSpec(
                    str(target),
                    {where: image} if entry.more.get("state") else image,
                    entry.decoder,
                    shapes=entry.shapes or None,
                    **entry.more,
                )
        elif entry.shapes and spec.image is not None and spec.shapes is None:
            image = ImageSpec(**entry.image) if entry.image else spec.image
            spec = TaskSpec(spec.model, image, spec.decoder, shapes=entry.shapes)
            lines = 1 + (entry.image is not None)
        line |= {"read as": title[:90], "TOML": str(lines)}
        line["difference"] = measured(entry, spec, frame) if spec is not None else "not measured"
        line["heads"] = "; ".join(heads_of(spec)) if spec is not None else ""
    except Exception as error:
        line.setdefault("read as", "")
        line.setdefault("TOML", "")
        line["difference"] = f"{type(error).__name__}: {error}"[:120]
    return line


# Of a family whose heads differ much, the option that tells them apart.
VARIANTS = {
    "yolo": "version",
    "keypoints": "mode",
    "lanes": "head",
    "centerface": "variant",
    "regression": "mode",
    "maps": "output",
}


def heads_of(spec: TaskSpec) -> list[str]:
    several = spec.decoder.values() if isinstance(spec.decoder, Mapping) else [spec.decoder]
    return [_head(each) for each in several if isinstance(each, decoders.Decoder)]


def _head(decoder: decoders.Decoder) -> str:
    option = VARIANTS.get(decoder.family)
    return f"{decoder.family} {getattr(decoder, option)}" if option else decoder.family


def heads_left(lines: list[dict[str, str]]) -> list[str]:
    """Heads that no network of the table has, of those that it was compared for."""
    none = ("Error", "no original", "rows of")  # not measured, or other rows
    met = {
        head
        for line in lines
        for head in line.get("heads", "").split("; ")
        if not any(text in line["difference"] for text in none)
    }
    every = []
    for family in decoders.families():
        option = VARIANTS.get(family)
        choices = next((each.choices for each in decoders.options_of(family) if each.name == option), None)
        every += [f"{family} {choice}" for choice in choices] if choices else [family]
    return [head for head in every if head not in met and head != "raw"]


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
    apart = max(_apart(mine[name], value) for name, value in outputs.items())
    return f"{count} rows of the exporter's outputs (all, no more); the task's differ from these by {apart:.1e}, and scores tie"


def _apart(mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The largest difference; where the network itself chose rows, of each row from the one that is nearest."""
    if theirs.ndim != 3 or theirs.shape[1] > 300:
        return float(np.abs(mine - theirs).max())
    return float(np.abs(mine[0][:, None] - theirs[0][None]).max(axis=-1).min(axis=0).max())


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
        path = entry.picture if Path(entry.picture).exists() else fetch.member_of(networks.PICTURES, entry.picture)
        frame = next(iter(video.open_source(str(path))))
        if entry.part or entry.swapped:
            pixels = video.to_rgb(frame)
            left, top, width, height = entry.part or (0, 0, frame.width, frame.height)
            pixels = pixels[top : top + height, left : left + width]
            frame = Frame(np.ascontiguousarray(pixels.transpose(1, 0, 2) if entry.swapped else pixels), "RGB")
        yield entry, frame


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, help="a folder of further .onnx and .tflite files")
    parser.add_argument("--snapshots", type=Path, help="a folder of clones, OWNER/NAME, of repositories on GitHub")
    parser.add_argument("--pictures", type=Path, help="a folder of pictures for these")
    parser.add_argument("--exports", type=Path, help="a folder of exports with goldens; only these")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="networks whose name has one of these texts")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.exports:
        made: Iterator[dict[str, str]] = exports(args.exports)
    else:
        more, missing = further(args.snapshots)
        entries = networks.packages() + more
        entries += networks.folder(args.models, args.pictures) if args.models else []
        chosen = [entry for entry in entries if any(text in entry.name for text in args.only or [""])]
        made = (row(entry, frame) for entry, frame in pictures(chosen))
    keys = ("network", "command", "read as", "TOML", "difference")
    if not args.json:
        print("| " + " | ".join(keys) + " |\n|" + " --- |" * len(keys))
    lines: list[dict[str, str]] = []
    for line in made:
        lines.append(line)
        if not args.json:
            print("| " + " | ".join(line[key].replace("|", "or") for key in keys) + " |", flush=True)
    if not args.exports:
        said = {
            "not here (git clone, --snapshots)": [
                f"{each.repository} {each.commit[:8]} {each.member}" for each in missing
            ],
            "heads that met no real network": [] if args.only else heads_left(lines),
        }
        for what, names in said.items():
            if names:
                print(f"{what}: {', '.join(names)}", file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(lines))
    return int(any(line["difference"].startswith("MISS") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
