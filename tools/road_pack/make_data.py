"""Render what the networks learn from: whole scenes, and galleries of signs for the two that read crops.

python make_data.py scenes OUT --count 9600 --marked 6400 --part 0 --parts 2
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from specs import GALLERY, LARGE, MARKED, ROAD, SIGN, SIGN_PADDING, TEXT, TEXT_PADDING, TRAIN

from mnnlite import Frame
from mnnlite.demo import SIGNS, SURFACES, SceneTruth, scene
from mnnlite.demo.canvas import Canvas
from mnnlite.demo.classes import SPEEDS
from mnnlite.demo.generator import random_text, random_tint, random_world
from mnnlite.demo.objects import Painter
from mnnlite.demo.render import render, varied
from mnnlite.demo.world import Item, World
from mnnlite.mapping.pinhole import PinholeCamera

MOST = 24  # boxes of a scene
# 5 pixels of the frame are 4 of road_scene's picture, in both directions: how much of each lies in each.
SHARES = np.array([[4, 1, 0, 0, 0], [0, 3, 2, 0, 0], [0, 0, 2, 3, 0], [0, 0, 0, 1, 4]], np.float32) / 5


def covered(mask: np.ndarray) -> np.ndarray:
    """How much of each pixel of road_scene's picture a mask of the frame covers, (H, W) float32 in [0, 1]."""
    height, width = mask.shape
    blocks = mask.reshape(height // 5, 5, width // 5, 5).astype(np.float32)
    rows = np.einsum("ij,ajbk->aibk", SHARES, blocks)
    return np.einsum("aibk,lk->aibl", rows, SHARES).reshape(height // 5 * 4, width // 5 * 4)


def cover_of(lanes: np.ndarray, drivable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What road_scene learns of a frame: the line of a pixel, and in 1/255 how much of it is line and road."""
    top = len(lanes) - ROAD.size[1] * 5 // 4
    lanes = lanes[top:]
    kinds = [kind for kind in np.unique(lanes) if kind]
    shares = [covered(lanes == kind) for kind in kinds] or [np.zeros_like(covered(lanes == 1))]
    kind = np.array([*kinds, 0], np.uint8)[np.argmax(shares, axis=0)]
    parts = (np.sum(shares, axis=0), covered(drivable[top:]))
    cover, road = (np.rint(255 * np.minimum(part, 1)).astype(np.uint8) for part in parts)
    return kind, cover, road


def boxes_of(truth: SceneTruth) -> np.ndarray:
    """(MOST, 6): x1, y1, x2, y2 in pixels of road_objects' picture, class, and 1 if it counts; class -1 is none."""
    table = np.full((MOST, 6), -1, np.float32)
    cut = (truth.camera.height - LARGE.size[1]) / 2
    chosen = sorted(truth.objects, key=lambda obj: not obj.clear)[:MOST]
    for row, obj in zip(table, chosen, strict=False):
        top, bottom = np.clip(np.array(obj.box[1::2]) - cut, 0, LARGE.size[1])
        if bottom - top >= 1:
            row[:] = (obj.box[0], top, obj.box[2], bottom, obj.class_id, obj.clear)
    return table


def is_marked(seed: int) -> bool:
    """An arrow and a crosswalk, or several of one, may be seen: they are scarce, and hard."""
    world = random_world(np.random.default_rng(seed), seed)
    near = [item.kind for item in world.items if 4 < item.s < 50]
    return near.count("arrow") + 1.5 * near.count("crosswalk") >= 2


def seeds_of(part: int, parts: int, count: int, marked: int) -> list[int]:
    """Scenes as they come, and ones with marks on the road."""
    seeds, seed = list(range(TRAIN + part, TRAIN + count, parts)), MARKED + part
    wanted = len(seeds) + marked // parts
    while len(seeds) < wanted:
        if is_marked(seed):
            seeds.append(seed)
        seed += parts
    return seeds


def make_scenes(out: Path, part: int, seeds: list[int]) -> None:
    """Written as they are made: all of it is more than the memory holds."""
    count, (wide, high), small = len(seeds), LARGE.size, ROAD.size[::-1]
    shapes = {
        "large": (3, high, wide), "images": (3, *small), "lanes": small, "cover": small, "drivable": small
    }  # fmt: skip
    data = {
        name: np.lib.format.open_memmap(out / f"scenes-{part}-{name}.npy", "w+", np.uint8, (count, *shape))
        for name, shape in shapes.items()
    }
    boxes, surface = np.empty((count, MOST, 6), np.float32), np.empty(count, np.int64)
    for index, seed in enumerate(seeds):
        image, truth = scene(seed)
        frame = Frame(image, "RGB")
        data["large"][index], data["images"][index] = LARGE.apply(frame)[0], ROAD.apply(frame)[0]
        data["lanes"][index], data["cover"][index], data["drivable"][index] = cover_of(truth.lane_map, truth.drivable)
        boxes[index], surface[index] = boxes_of(truth), SURFACES.index(truth.surface)
        if (index + 1) % 500 == 0:
            print(f"{index + 1} of {count} scenes", flush=True)
    np.save(out / f"scenes-{part}-boxes.npy", boxes)
    np.save(out / f"scenes-{part}-surface.npy", surface)


def gallery(seed: int) -> tuple[np.ndarray, list[tuple[tuple[int, ...], str, str]]]:
    """A scene crowded with signs: the picture, and box, name and text of each that is seen."""
    rng = np.random.default_rng(seed)
    world, camera = random_world(rng, seed), varied(PinholeCamera(), rng)
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
    seen = [(obj.box, obj.name or "other", obj.text) for obj in truth.objects if obj.clear and obj.visible > 0.85]
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
                (obj.box, obj.name if obj.kind == "sign" else "other", obj.text)
                for obj in truth.objects
                if obj.clear and obj.visible > 0.85 and (obj.kind in ("sign", "board") or rng.random() < 0.2)
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
    parser.add_argument("what", choices=("scenes", "crops"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, help="9600 scenes, or crops of 19200")
    parser.add_argument("--marked", type=int, default=6400, help="scenes with arrows and crosswalks, besides")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.what == "scenes":
        make_scenes(args.out, args.part, seeds_of(args.part, args.parts, args.count or 9600, args.marked))
        return
    size = (args.count or 19200) // args.parts
    for name, array in make_crops(GALLERY + args.part * size, size).items():
        np.save(args.out / f"crops-{args.part}-{name}.npy", array)
        print(name, array.shape, array.dtype)


if __name__ == "__main__":
    main()
