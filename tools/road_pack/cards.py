"""The model cards beside the networks, from what was recorded of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ABOUT = {
    "road_objects": (
        "Finds signs, boards, speed cameras, cones, vehicles, arrows and crosswalks.",
        "`image` (1, 3, 352, 640): RGB / 255, the frame scaled evenly and a little cut above and below.",
        "`boxes` (1, 11, 4400): x, y, width and height in network pixels, then a probability for each class of "
        '`objects.txt`; what `decoders.Yolo(version="v8")` reads. Anchor-free, strides 8 and 16.',
        ("objects mAP50", "AP50"),
    ),
    "road_scene": (
        "Two branches on one backbone: where the road and its lines are, and what state its surface is in.",
        "`image` (1, 3, 176, 512): RGB / 255, the lower part of the frame, scaled evenly (crop, anchored at the bottom).",
        "`drivable` (1, 2, 176, 512) and `lanes` (1, 5, 176, 512): scores per pixel, classes of `lanes.txt`; "
        "`surface` (1, 4): scores, classes of `surfaces.txt`. `outputs=` chooses a branch.",
        ("lane pixel F1", "F1", "drivable IoU", "surface accuracy"),
    ),
    "sign_class": (
        "Says which sign a crop shows; `other` is what only looks like one.",
        "`image` (N, 3, 40, 40): RGB / 255, a sign's box and a tenth of it on each side.",
        "`classes` (N, 13): scores, classes of `signs.txt`.",
        ("sign accuracy", "signs found and named", "of those found"),
    ),
    "sign_text": (
        "Reads numbers, routes and places of up to seven capitals and digits on signs and boards.",
        "`image` (N, 1, 32, 96): grey / 255, the box and a twenty-fifth of it on each side, letterboxed on black.",
        "`symbols` (N, 24, 37): probabilities, the blank first, then `symbols.txt`; what `decoders.Ctc` reads.",
        ("text exact match",),
    ),
}

# What was seen on photographs of highways and streets: not measured, looked at.
PHOTOGRAPHS = {
    "road_objects": "On four pictures of real highways it finds the nearer cars and takes some far ones for arrows; elsewhere it takes trees, "
    "faces and clothes for signs and boards.",
    "road_scene": "On four pictures of dry highways it follows the lines beside the vehicle and the edge of the road, breaks dashed lines of "
    "other lanes into pieces, and calls the road wet; what is not seen along a road, such as crossing traffic or a forest track, it gets wrong.",
    "sign_class": "Of 23 tiles of real German signs it names 12 as expected, kinds it does not know being `other`.",
    "sign_text": "On real pictures it was given nothing legible; of what are no texts it reads single letters.",
}


def write_cards(folder: Path, facts: dict[str, Any]) -> None:
    """NAME.md for each network."""
    for name, (task, takes, gives, figures) in ABOUT.items():
        file = facts["files"][f"{name}.mnn"]
        rows = [
            f"| {key} | {row['shipped']:.3f} | {row['mnn']:.3f} | {row['pytorch']:.3f} | {row['baseline']:.3f} | {row['of'] or ''} |"
            for key, row in facts["scores"].items()
            if key in figures or key.split(" ")[0] in figures
        ]
        scenes = facts["scenes"]
        cores = "one CPU core" if file["processes"] == 1 else f"{file['processes']} CPU cores"
        what, parts = ("scenes", "0 1") if name.startswith("road") else ("crops", "0 1 2 3")
        data = (
            f"for part in {parts}; do python make_data.py {what} DATA --part $part --parts {len(parts.split())}; done"
        )
        (folder / f"{name}.md").write_text(
            f"""# {name}

{task}

- Takes {takes}
- Gives {gives}
- {file["parameters"]} parameters; weights stored in {file["weight_bits"]} bits: {file["bytes"]} bytes ({file["bytes_float"]} with floats)
- sha256 `{file["sha256"]}`
- Licence: Apache-2.0, as mnnlite's. No one else's data, weights or pictures went into it.

## Figures

On {scenes["tested"]} scenes of seeds {scenes["first_seed"]} and on, none of which it learned from. The baseline says what is most
usual in other scenes, without looking at the picture.

| | shipped | MNN, floats | PyTorch | baseline | of |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(rows)}

`python -m mnnlite.demo.metrics` measures the shipped files again.

## Training

Painted scenes of `mnnlite.demo` (version {scenes["version"]}) and nothing else: {file["samples"]} samples, {file["steps"]} steps of
{file["batch"]}, AdamW, seed {file["seed"]}, PyTorch {file["torch"]}, {file["minutes"]} minutes on {cores}. In `tools/road_pack`:

```
{data}
python train.py {name} DATA MODELS --steps {file["steps"]} --processes {file["processes"]}
python export.py MODELS ../../mnnlite/demo/assets
```

## Limits

It knows painted scenes and is there to show, to test and to measure a pipeline with; it is not for driving or for maps.
{PHOTOGRAPHS[name]}
""",
            encoding="utf-8",
        )
