#!/usr/bin/env python3
"""Time from frame to input tensor, against the ways people do it without mnnlite.

One thread, contenders interleaved (A B C A B C ...), the best of N rounds of each; every result is compared with
mnnlite's before anything is timed. Losses are printed like wins.

The bound is what memory allows: bytes of frame that a bilinear tap lies on, in whole cache lines, plus the bytes of the
tensor, over the bandwidth of a plain copy that touches as many bytes. Frames are reused, so small ones stay in cache for
every contender alike.

    python benchmarks/image_to_tensor.py [--rounds 60] [--isa avx2] [--json]

Needs opencv-python(-headless) and MNN; without one of them its contenders are left out and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mnnlite
from mnnlite import Frame, ImageSpec, _core

FRAMES = {"720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
SIDES = (224, 320, 416, 640)
SCALE = np.float32(1 / 255)
LINE = 64

Contender = Callable[[], Any]


def load_cv2() -> Any:
    if importlib.util.find_spec("cv2") is None:
        return None
    import cv2

    cv2.setNumThreads(1)
    return cv2


def time_all(contenders: dict[str, Contender], rounds: int) -> dict[str, float]:
    """Best time of each in microseconds. CVImageProcess, which takes milliseconds, comes up in every tenth round."""
    best = dict.fromkeys(contenders, math.inf)
    for contender in contenders.values():
        contender()
    for turn in range(rounds):
        for name, contender in contenders.items():
            if name == "CVImageProcess" and turn % 10 != 0:
                continue
            start = time.perf_counter_ns()
            contender()
            best[name] = min(best[name], (time.perf_counter_ns() - start) / 1000)
    return best


def check_equal(contenders: dict[str, Contender], levels: float) -> None:
    """Nobody is timed who computes something else; `levels` is how far bilinear variants may be apart, of 255."""
    wanted = np.array(contenders["mnnlite"](), dtype=np.float32)
    for name, contender in contenders.items():
        got = np.asarray(contender())
        if name == "cv2.resize" or got.dtype != np.float32:
            continue
        difference = float(np.abs(got.reshape(wanted.shape) - wanted).max()) * 255
        if difference > levels:
            raise SystemExit(f"{name} differs from mnnlite by {difference:.1f} grey levels: not the same work")


def smooth_noise(width: int, height: int, channels: int) -> np.ndarray:
    """Noise that neighbours share, so that contenders' different roundings of weights do not matter."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, channels)).astype(np.float32)
    fine = np.repeat(np.repeat(coarse, 8, 0), 8, 1)
    for axis in (0, 1):
        total = np.cumsum(fine, axis)
        fine = (np.roll(total, -8, axis) - total) / 8
    return np.clip(fine[:height, :width], 0, 255).astype(np.uint8)


def touched_bytes(width: int, height: int, side: int, row_bytes: int, pixel_bytes: int) -> int:
    """Cache lines of a packed frame that bilinear taps lie on, in bytes."""

    def taps(size: int) -> np.ndarray:
        first = np.floor((np.arange(side) + 0.5) * size / side - 0.5).astype(int)
        return np.unique(np.clip(np.concatenate([first, first + 1]), 0, size - 1))

    columns = taps(width) * pixel_bytes
    lines = len(np.unique(np.concatenate([columns // LINE, (columns + pixel_bytes - 1) // LINE])))
    return len(taps(height)) * min(lines * LINE, row_bytes)


def copy_bandwidth(touched: int) -> float:
    """Bytes per microsecond, reads and writes, of a copy that touches that many bytes."""
    source, target = np.ones(max(touched // 2, 4096), np.uint8), np.empty(max(touched // 2, 4096), np.uint8)
    best = time_all({"copy": lambda: np.copyto(target, source)}, 25)["copy"]
    return 2 * len(source) / best


def mnn_process(image: np.ndarray, side: int) -> Contender | None:
    if importlib.util.find_spec("MNN") is None:
        return None
    import MNN

    height, width = image.shape[:2]
    process = MNN.CVImageProcess(
        {
            "filterType": MNN.CV_Filter_BILINEAL,
            "sourceFormat": MNN.CV_ImageFormat_BGR,
            "destFormat": MNN.CV_ImageFormat_RGB,
            "mean": (0.0, 0.0, 0.0, 0.0),
            "normal": (float(SCALE),) * 4,
        }
    )
    matrix = MNN.CVMatrix()
    matrix.setScale(width / side, height / side)
    matrix.postTranslate(0.5 * width / side - 0.5, 0.5 * height / side - 0.5)  # half-pixel centres
    process.setMatrix(matrix)
    data = np.zeros((1, 3, side, side), np.float32)
    tensor = MNN.Tensor((1, 3, side, side), MNN.Halide_Type_Float, data, MNN.Tensor_DimensionType_Caffe)

    def run() -> np.ndarray:
        process.convert(image, width, height, 0, tensor)
        return np.asarray(tensor.getNumpyData())

    def run_only() -> None:
        process.convert(image, width, height, 0, tensor)

    run_only.result = run  # type: ignore[attr-defined]
    return run_only


def with_numpy(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32)[None] * SCALE


def measure_bgr(cv2: Any, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for name, (width, height) in FRAMES.items():
        image = smooth_noise(width, height, 3)
        frame = Frame(image, "BGR")
        for side in SIDES:
            spec = ImageSpec(size=(side, side), color="RGB", std=255.0)
            out = spec.apply(frame)
            contenders: dict[str, Contender] = {"mnnlite": lambda s=spec, f=frame, o=out: s.apply(f, out=o)}
            if cv2:
                contenders["blobFromImage"] = lambda i=image, n=side: cv2.dnn.blobFromImage(
                    i, float(SCALE), (n, n), (0, 0, 0), swapRB=True, crop=False
                )
                contenders["resize+cvtColor+NumPy"] = lambda i=image, n=side: with_numpy(
                    cv2.cvtColor(cv2.resize(i, (n, n)), cv2.COLOR_BGR2RGB)
                )
                contenders["cv2.resize"] = lambda i=image, n=side: cv2.resize(i, (n, n))
            process = mnn_process(image, side)
            checked = dict(contenders)
            if process:
                contenders["CVImageProcess"] = process
                checked["CVImageProcess"] = process.result  # type: ignore[attr-defined]
            check_equal(checked, 1.6)
            times = time_all(contenders, rounds)
            touched = touched_bytes(width, height, side, width * 3, 3) + out.nbytes
            rows.append(row_of(name, side, times, touched))
    return rows


def measure_nv12(cv2: Any, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for name, (width, height) in FRAMES.items():
        # Legal luma only: OpenCV cuts off what is below 16, mnnlite lets it count.
        y = smooth_noise(width, height, 1)[..., 0] // 2 + 64
        uv = smooth_noise(width // 2, height // 2, 2) // 4 + 96
        stacked = np.concatenate([y, uv.reshape(height // 2, width)])
        frame = Frame.nv12(stacked[:height], stacked[height:])
        for side in SIDES:
            spec = ImageSpec(size=(side, side), color="RGB", std=255.0)
            out = spec.apply(frame)
            contenders: dict[str, Contender] = {"mnnlite": lambda s=spec, f=frame, o=out: s.apply(f, out=o)}
            if cv2:
                contenders["cvtColor+resize+NumPy"] = lambda i=stacked, n=side: with_numpy(
                    cv2.resize(cv2.cvtColor(i, cv2.COLOR_YUV2RGB_NV12), (n, n))
                )
            check_equal(contenders, 12)  # OpenCV repeats chroma where mnnlite interpolates it
            touched = touched_bytes(width, height, side, width, 1) + out.nbytes
            touched += touched_bytes(width // 2, height // 2, side, width, 2)
            rows.append(row_of(name, side, time_all(contenders, rounds), touched))
    return rows


def measure_crops(cv2: Any, rounds: int) -> list[dict[str, Any]]:
    width, height = FRAMES["1080p"]
    image = smooth_noise(width, height, 3)
    rng = np.random.default_rng(2)
    rows = []
    for label, low, high in (("8 crops of 40-80 px", 40, 80), ("8 crops of 100-300 px", 100, 300)):
        boxes = []
        for _ in range(8):
            w, h = (int(v) for v in rng.integers(low, high, 2))
            boxes.append((int(rng.integers(0, width - w)), int(rng.integers(0, height - h)), w, h))
        whole = Frame(image, "BGR")
        parts = [whole.roi(*box) for box in boxes]
        spec = ImageSpec(size=(96, 96), color="RGB", std=255.0)
        out = spec.apply(parts)
        batch = np.empty_like(out)
        contenders: dict[str, Contender] = {"mnnlite": lambda s=spec, p=parts, o=out: s.apply(p, out=o)}

        def loop(boxes: list[tuple[int, int, int, int]] = boxes, batch: np.ndarray = batch) -> np.ndarray:
            for slot, (x, y, w, h) in enumerate(boxes):
                rgb = cv2.cvtColor(cv2.resize(image[y : y + h, x : x + w], (96, 96)), cv2.COLOR_BGR2RGB)
                batch[slot] = with_numpy(rgb)[0]
            return batch

        if cv2:
            contenders["OpenCV loop"] = loop
        check_equal(contenders, 1.6)
        touched = out.nbytes + sum(touched_bytes(w, h, 96, w * 3, 3) for _, _, w, h in boxes)
        rows.append(row_of(label, 96, time_all(contenders, rounds), touched))
    return rows


def row_of(frame: str, side: int, times: dict[str, float], touched: int) -> dict[str, Any]:
    bound = touched / copy_bandwidth(touched)
    return {
        "frame": frame,
        "side": side,
        "us": {name: round(value, 1) for name, value in times.items()},
        "times_faster": {k: round(v / times["mnnlite"], 2) for k, v in times.items() if k != "mnnlite"},
        "touched_bytes": touched,
        "bound_us": round(bound, 1),
        "share_of_bound": round(bound / times["mnnlite"], 3),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    names = rows[0]["times_faster"]
    result = {}
    for name in names:
        ratios = [row["times_faster"][name] for row in rows]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        result[name] = {"geometric_mean": round(mean, 2), "worst": min(ratios), "best": max(ratios)}
    return result


def show(title: str, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0]["us"])
    print(f"\n{title}")
    others = [f"{name:>22}" for name in names if name != "mnnlite"]
    print(f"{'frame':>22} {'to':>4} {'mnnlite':>9} {'ns/px':>6} {'of bound':>8}" + "".join(others))
    for row in rows:
        pixels = row["side"] ** 2 * (8 if "crops" in row["frame"] else 1)
        cells = [f"{row['us'][n]:>12.0f} us {row['times_faster'][n]:>5.1f}x" for n in names if n != "mnnlite"]
        line = f"{row['frame']:>22} {row['side']:>4} {row['us']['mnnlite']:>6.0f} us"
        line += f" {row['us']['mnnlite'] * 1000 / pixels:>6.2f} {row['share_of_bound']:>7.0%} "
        print(line + "".join(f"{cell:>22}" for cell in cells))
    for name, ratios in summary(rows).items():
        print(
            f"  {name}: {ratios['geometric_mean']}x as fast (geometric mean), worst {ratios['worst']}x, "
            f"best {ratios['best']}x"
        )


def machine() -> dict[str, Any]:
    cpu = "?"
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = models[0] if models else platform.machine()
    load = Path("/proc/loadavg")
    return {
        "cpu": cpu,
        "machine": platform.machine(),
        "isa": _core.active_isa(),
        "isas": _core.cpu_isas(),
        "mnnlite": mnnlite.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "load": load.read_text().split()[0] if load.exists() else "?",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="rounds of each cell; the best counts")
    parser.add_argument("--isa", help="force an instruction set: " + ", ".join(_core.cpu_isas()))
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    _core.force_isa(options.isa)
    cv2 = load_cv2()
    left_out = [name for name, found in (("cv2", cv2), ("MNN", importlib.util.find_spec("MNN"))) if not found]
    about = machine() | {"cv2": cv2.__version__ if cv2 else None, "left_out": left_out, "rounds": options.rounds}
    tables = {
        "bgr": ("BGR, bilinear, to float32 NCHW RGB / 255", measure_bgr(cv2, options.rounds)),
        "nv12": ("NV12, bilinear, to float32 NCHW RGB / 255", measure_nv12(cv2, options.rounds)),
        "crops": ("8 crops of a 1080p BGR frame into one 96 x 96 batch", measure_crops(cv2, options.rounds)),
    }
    if options.json:
        result = {name: {"rows": rows, "summary": summary(rows)} for name, (_, rows) in tables.items()}
        json.dump({"machine": about, **result}, sys.stdout)
        print()
        return
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    for title, rows in tables.values():
        show(title, rows)


if __name__ == "__main__":
    main()
