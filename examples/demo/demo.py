"""Real networks on real photographs, both out of packages: an annotated picture, and what it cost.

    python examples/demo/demo.py [FOLDER]

Downloads about 50 MB the first time. What the networks see and how their outputs are read is in the .toml files beside
this one; they are the same files that ``mnnlite run`` takes.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fetch import fetch

import mnnlite
from mnnlite import draw, pipeline, video
from mnnlite.convert import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
RUNS = 20

FILES = {
    "selfie_segmentation.tflite": ("mediapipe", "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"),
    "text_detection.onnx": (
        "rapidocr-onnxruntime",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    ),
    "portrait.png": ("scikit-image", "skimage/data/astronaut.png"),
    "page.png": ("scikit-image", "skimage/data/page.png"),
}
Row = tuple[str, ...]


def main() -> int:
    """Fetch, convert, run, draw, print."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo")
    fetch(FILES, folder)
    for name in FILES:
        source = folder / name
        if source.suffix in (".onnx", ".tflite") and not source.with_suffix(".mnn").exists():
            convert(source, source.with_suffix(".mnn"))
    figures: list[Row] = [("network", "file", "weights", "feature maps", "preprocess", "infer", "decode")]
    portrait = run("person", photograph(folder / "portrait.png"), folder, figures)
    page = run("page", photograph(folder / "page.png", scale=2), folder, figures)
    picture = side_by_side(portrait, page)
    video.write_picture(folder / "demo.png", picture)
    for row in figures:
        print("  ".join(cell.rjust(12) if index else cell.ljust(20) for index, cell in enumerate(row)))
    print((folder / "demo.png").resolve())
    return 0


def photograph(path: Path, scale: int = 1) -> mnnlite.Frame:
    """A picture, larger by a whole number."""
    (frame,) = video.open_source(path)
    if scale == 1:
        return frame
    larger = mnnlite.ImageSpec(
        size=(frame.width * scale, frame.height * scale), color="RGB", dtype="uint8", layout="NHWC"
    )
    return mnnlite.Frame(larger.apply(frame)[0], "RGB")


def run(name: str, frame: mnnlite.Frame, folder: Path, figures: list[Row]) -> NDArray[np.uint8]:
    """Run a pipeline on a frame, draw what it found, and add a row of figures a task."""
    shutil.copy(HERE / f"{name}.toml", folder)  # paths in it are relative to it
    picture = video.to_rgb(frame)
    for number, (title, spec) in enumerate(pipeline.load(folder / f"{name}.toml").tasks.items()):
        with mnnlite.Task(spec) as task:
            result = task(frame)
            figures.append(measured(title, task, frame, Path(spec.model)))
        result.draw(picture, draw.Style(hue=number))
    return picture


def measured(title: str, task: mnnlite.Task, frame: mnnlite.Frame, model: Path) -> Row:
    """Medians of several runs, and memory by its own account."""
    times: list[dict[str, int]] = []
    for _ in range(RUNS):
        task(frame)
        times.append(task.timing)
    memory = task.model.memory()
    sizes = [model.stat().st_size, memory["static"], memory["dynamic"]]
    stages = [statistics.median(each[stage] for each in times) for stage in ("preprocess", "infer", "decode")]
    return (title, *(f"{size / 2**20:.2f} MiB" for size in sizes), *(f"{spent / 1e6:.2f} ms" for spent in stages))


def side_by_side(*pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures beside one another on a dark ground."""
    gap = 8
    height = max(picture.shape[0] for picture in pictures) + 2 * gap
    width = sum(picture.shape[1] + gap for picture in pictures) + gap
    canvas: NDArray[Any] = np.full((height, width, 3), 24, np.uint8)
    left = gap
    for picture in pictures:
        canvas[gap : gap + picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return canvas


if __name__ == "__main__":
    try:
        sys.exit(main())
    except mnnlite.MnnliteError as error:
        sys.exit(f"demo: error: {error}")
