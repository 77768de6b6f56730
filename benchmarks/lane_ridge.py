"""How far the lines of the decoder `lanes` lie from the middles of the areas they were traced from.

    python benchmarks/lane_ridge.py                                       on generated masks
    python benchmarks/lane_ridge.py --network twinlitenet.mnn --output ll VIDEO [--every 20] [--draw FOLDER]

The ridge of a mask is where its distance transform (OpenCV's, in pixels of the frame) is highest among its neighbours.
Every pixel that a line passes over the mask counts; gaps that the line bridges have no ridge. Ends with 1 if the median
of the frames' medians is 2 pixels or more. Needs opencv-python-headless.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mnnlite import Frame, ImageSpec, Task, decoders

LIMIT = 2.0
Mask = NDArray[np.uint8]


def distances(lines: list[NDArray[np.float32]], mask: Mask) -> NDArray[np.float64]:
    """Pixels from each place of the lines that lies on the mask to the nearest ridge."""
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    ridge = (inside > 0) & (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8)) - 1e-3)
    away = cv2.distanceTransform((~ridge).astype(np.uint8), cv2.DIST_L2, 5)
    places = [
        start + (end - start) * (step / count)
        for line in lines
        for start, end in itertools.pairwise(line)
        for count in [max(int(np.hypot(*(end - start))), 1)]
        for step in range(count)
    ]
    if not places:
        return np.empty(0)
    x, y = np.clip(np.array(places).astype(int), 0, [mask.shape[1] - 1, mask.shape[0] - 1]).T
    found: NDArray[np.float64] = away[y, x][mask[y, x] > 0].astype(np.float64)
    return found


def generated(count: int = 12) -> Iterator[tuple[str, list[NDArray[np.float32]], Mask]]:
    """Roads of two to four lines, curved, dashed and of growing width, at 640x360 for a frame of 960x540."""
    rng = np.random.default_rng(3)
    decoder = decoders.Lanes()
    for index in range(count):
        mask = np.zeros((360, 640), np.uint8)
        meet, bend = rng.uniform(260, 380), rng.uniform(-120, 120)
        rows = np.arange(190, 360)
        far = (360 - rows) / 170
        for lane in np.linspace(-1, 1, rng.integers(2, 5)):
            middle = meet + lane * 420 * (1 - far) + bend * far**2
            width = 2 + 10 * (1 - far)
            dashed = rng.random() < 0.5
            for row, x, w in zip(rows, middle, width, strict=True):
                if not dashed or (row // 20) % 2:
                    mask[row, max(int(x - w / 2), 0) : max(int(x + w / 2), 0)] = 1
        found = decoder.decode({"mask": mask[None]}, (960, 540))
        larger = cv2.resize(mask, (960, 540), interpolation=cv2.INTER_NEAREST)
        yield f"generated {index}", found.points, larger


def filmed(args: argparse.Namespace) -> Iterator[tuple[str, list[NDArray[np.float32]], Mask]]:
    """Lines and mask of every n-th frame of a video."""
    image = ImageSpec(size=(640, 360), std=(255, 255, 255))
    outputs = {
        "lines": decoders.Lanes(tensors=args.output),
        "mask": decoders.Segmentation(tensors=args.output, size="frame"),
    }
    video = cv2.VideoCapture(str(args.video))
    with Task(args.network, image=image, decoder=outputs) as task:
        for index in range(10**9):
            more, picture = video.read()
            if not more:
                return
            if index % args.every:
                continue
            found = task(Frame(picture, "BGR"))
            mask = np.zeros(picture.shape[:2], np.uint8)
            if len(found["mask"]):
                mask = (found["mask"].class_map() == 1).astype(np.uint8)
            if args.draw:
                args.draw.mkdir(parents=True, exist_ok=True)
                found["mask"].draw(picture)
                cv2.imwrite(str(args.draw / f"lanes_{index:04}.png"), found["lines"].draw(picture))
            yield f"frame {index}", found["lines"].points, mask


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?", help="with --network: what to look at")
    parser.add_argument("--network", type=Path, help="lane segmentation of RGB / 255 at 640x360, as TwinLiteNet")
    parser.add_argument("--output", default="ll", help="its output of two classes (default ll)")
    parser.add_argument("--every", type=int, default=20, help="look at each n-th frame (default 20)")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write the frames with mask and lines")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if (args.video is None) != (args.network is None):
        parser.error("--network and VIDEO belong together; without both, masks are generated")
    for path in filter(None, (args.video, args.network)):
        if not path.is_file():
            parser.error(f"there is no file {path}")
    rows: list[dict[str, Any]] = []
    for name, lines, mask in filmed(args) if args.network else generated():
        found = distances(lines, mask)
        median = float(np.median(found)) if len(found) else None
        rows.append(
            {
                "name": name,
                "lines": len(lines),
                "median": median,
                "p95": float(np.percentile(found, 95)) if len(found) else None,
            }
        )
        if not args.json:
            print(
                f"{name:14} {len(lines)} lines"
                + ("" if median is None else f", median {median:.2f} px, 95 % {rows[-1]['p95']:.2f} px")
            )
    medians = [row["median"] for row in rows if row["median"] is not None]
    overall = float(np.median(medians)) if medians else float("nan")
    if args.json:
        print(json.dumps({"frames": rows, "median": overall, "limit": LIMIT}, indent=2))
    else:
        print(f"median of {len(medians)} frames: {overall:.2f} px (limit {LIMIT:g})")
    return 0 if overall < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
