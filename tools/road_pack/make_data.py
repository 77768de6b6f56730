"""Render what the networks learn from: whole scenes, and galleries of signs for the two that read crops.

python make_data.py scenes OUT --count 8000 --part 0 --parts 2
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from specs import FRAME, GALLERY, LARGE, SIGN, SIGN_PADDING, TEST, TEXT, TEXT_PADDING, TRAIN

from mnnlite import Frame
from mnnlite.road import SIGNS, SURFACES, Camera, Truth, scene
from mnnlite.road.canvas import Canvas
from mnnlite.road.classes import SPEEDS
from mnnlite.road.making import random_text, random_tint, random_world
from mnnlite.road.render import render, varied
from mnnlite.road.things import Painter
from mnnlite.road.world import Item, World

MOST = 24  # boxes of a scene
WIDTH, HEIGHT = 320, 192


def small(labels: np.ndarray) -> np.ndarray:
    """A label map of the frame at the network's size: each pixel takes the label under its centre."""
    height, width = labels.shape
    rows = ((np.arange(HEIGHT) + 0.5) * height / HEIGHT).astype(int)
    columns = ((np.arange(WIDTH) + 0.5) * width / WIDTH).astype(int)
    return labels[rows[:, None], columns]


def boxes_of(truth: Truth) -> np.ndarray:
    """(MOST, 6): x1, y1, x2, y2 in pixels of the large picture, class, and 1 if it counts; class -1 is none."""
    table = np.full((MOST, 6), -1, np.float32)
    wide, high = LARGE.size
    scale = (wide / truth.camera.width, high / truth.camera.height) * 2
    chosen = sorted(truth.things, key=lambda thing: not thing.clear)[:MOST]
    for row, thing in zip(table, chosen, strict=False):
        row[:] = (*(np.array(thing.box) * scale), thing.class_id, thing.clear)
    return table


def make_scenes(first: int, count: int) -> dict[str, np.ndarray]:
    data: dict[str, np.ndarray] = {
        "images": np.empty((count, 3, HEIGHT, WIDTH), np.uint8),
        "large": np.empty((count, 3, LARGE.size[1], LARGE.size[0]), np.uint8),
        "lanes": np.empty((count, HEIGHT, WIDTH), np.uint8),
        "drivable": np.empty((count, HEIGHT, WIDTH), bool),
        "boxes": np.empty((count, MOST, 6), np.float32),
        "surface": np.empty(count, np.int64),
    }
    for index in range(count):
        image, truth = scene(first + index)
        frame = Frame(image, "RGB")
        data["images"][index], data["large"][index] = FRAME.apply(frame)[0], LARGE.apply(frame)[0]
        data["lanes"][index], data["drivable"][index] = small(truth.lane_map), small(truth.drivable)
        data["boxes"][index] = boxes_of(truth)
        data["surface"][index] = SURFACES.index(truth.surface)
    return data


def gallery(seed: int) -> tuple[np.ndarray, list[tuple[tuple[int, ...], str, str]]]:
    """A scene crowded with signs: the picture, and box, name and text of each that is seen."""
    rng = np.random.default_rng(seed)
    world, camera = random_world(rng, seed), varied(Camera(), rng)
    items: list[Item] = []
    for column in range(7):
        angle = math.radians(-26 + 52 * (column + 0.8 * rng.random() - 0.4) / 6)
        s = 5.0 + 21 * float(rng.random()) ** 1.3
        d, z, turn = s * math.tan(angle), 0.3 + 3.2 * float(rng.random()), float(0.6 * rng.random() - 0.3)
        number, kind = len(items) + 1, float(rng.random())
        common: dict[str, Any] = {"z": z, "turn": turn, "color": random_tint(rng), "variant": int(rng.integers(0, 4))}
        if kind < 0.5:
            name = SIGNS[int(rng.integers(0, 12))] if rng.random() < 0.75 else "speed limit"
            text = SPEEDS[int(rng.integers(0, 13))] if name == "speed limit" else "STOP" if name == "stop" else ""
            side = 0.75 * float(0.9 + 0.3 * rng.random())
            items.append(Item(number, "sign", s, d, side, side, name=name, text=text, **common))
        elif kind < 0.87:
            text, high = random_text(rng), float(0.6 + 0.4 * rng.random())
            aspect = 2 if len(text) <= 3 else 3 if len(text) <= 5 else 4
            items.append(Item(number, "board", s, d, high * aspect, high, text=text, length=aspect, **common))
        else:
            shop = kind < 0.95
            common["variant"] = int(rng.integers(0, 1 << 30))
            wide, high = (0.8, 0.8) if shop else (2.2, 1.2)
            items.append(Item(number, "shop sign" if shop else "billboard", s, d, wide, high, name="other", **common))
    world = World(seed, world.road, world.look, (*items, *[item for item in world.items if item.kind == "tree"][:2]))
    image, truth = render(world, camera)
    seen = [
        (thing.box, thing.name or "other", thing.text) for thing in truth.things if thing.clear and thing.visible > 0.85
    ]
    for item in items:
        if item.name == "other" and item.kind != "sign":
            canvas = Canvas(camera.width, camera.height)
            Painter(canvas, camera, world.road.arc).paint(item, item.s, 1)
            found = canvas.take_touched(1)
            if found is not None and min(found[0][2] - found[0][0], found[0][3] - found[0][1]) >= 9:
                seen.append((found[0], "other", ""))
    return image, seen


def crop(frame: Frame, box: tuple[int, ...], padding: float, rng: np.random.Generator, jitter: float) -> Frame:
    """Where a detector might have put the box, with the margin that the pipeline adds."""
    wide, high = box[2] - box[0], box[3] - box[1]
    shifts = (rng.random(4) * 2 - 1) * jitter
    x1, y1 = box[0] + shifts[0] * wide - padding * wide, box[1] + shifts[1] * high - padding * high
    x2, y2 = box[2] + shifts[2] * wide + padding * wide, box[3] + shifts[3] * high + padding * high
    return frame.roi(x1, y1, x2 - x1, y2 - y1)


def overlap(box: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return min(box[2], other[2]) > max(box[0], other[0]) and min(box[3], other[3]) > max(box[1], other[1])


def make_crops(first: int, count: int) -> dict[str, np.ndarray]:
    signs, names, texts, contents = [], [], [], []
    for seed in range(first, first + count):
        rng = np.random.default_rng((seed, 5))
        if seed % 3:
            image, seen = gallery(seed)
        else:
            image, truth = scene(seed)
            seen = [
                (thing.box, thing.name if thing.kind == "sign" else "other", thing.text)
                for thing in truth.things
                if thing.clear and thing.visible > 0.85 and (thing.kind in ("sign", "board") or rng.random() < 0.2)
            ]
            for _ in range(1):  # nothing in particular
                wide, high = 12 + rng.random(2) * 60
                x, y = rng.random(2) * (640 - wide, 300 - high)
                seen.append(((int(x), int(y), int(x + wide), int(y + high)), "background", ""))
        frame = Frame(image, "RGB")
        for box, name, text in seen:
            high = (box[3] - box[1]) * (0.56 if name == "other" else 0.375)
            for _ in range(2):
                if name == "background" and any(overlap(box, other[0]) for other in seen if other[0] is not box):
                    continue
                if not (name == "other" and text) or rng.random() < 0.3:
                    signs.append(SIGN.apply(crop(frame, box, SIGN_PADDING, rng, 0.09))[0])
                    names.append(SIGNS.index("other" if name == "background" else name))
                if (text and high >= 7) or (not text and rng.random() < 0.25):
                    texts.append(TEXT.apply(crop(frame, box, TEXT_PADDING, rng, 0.06))[0])
                    contents.append(text)
    return {
        "signs": np.stack(signs),
        "names": np.array(names, np.int64),
        "texts": np.stack(texts),
        "contents": np.array(contents),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("scenes", "crops", "test"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    size = args.count // args.parts
    first = {"scenes": TRAIN, "crops": GALLERY, "test": TEST}[args.what] + args.part * size
    made = make_crops(first, size) if args.what == "crops" else make_scenes(first, size)
    for name, array in made.items():
        np.save(args.out / f"{args.what}-{args.part}-{name}.npy", array)
        print(name, array.shape, array.dtype)


if __name__ == "__main__":
    main()
