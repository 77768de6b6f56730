"""A rendered drive that plays like a camera: frames at their time, with the exact truth beside them.

Rendering takes longer than the networks and as much memory, so a process of its own does it, before anything is measured.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.demo.scenes import clip
from mnnlite.errors import OutputError
from mnnlite.frame import Frame
from mnnlite.mapping.pinhole import PinholeCamera
from mnnlite.mapping.tracker import Pose
from mnnlite.memory_probe import run_in_child
from mnnlite.proc import high_water, process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = ["Footage", "FrameTruth", "TruthObject"]


@dataclass(frozen=True)
class TruthObject:
    """An object that is really there, in one frame; as `mnnlite.demo.SceneObject` without its pixels."""

    id: int
    kind: str
    box: tuple[int, int, int, int]
    place: tuple[float, float]
    clear: bool
    name: str
    text: str


@dataclass(frozen=True)
class FrameTruth:
    """The truth about a frame.

    Parameters
    ----------
    time_s : float
        Since the clip began.
    pose : Pose
    objects : tuple of TruthObject
    surface : str
    """

    time_s: float
    pose: Pose
    objects: tuple[TruthObject, ...]
    surface: str


class Footage:
    """A clip of `mnnlite.demo.clip`, rendered by a child process into a temporary file.

    Parameters
    ----------
    seed, frames : int
    fps : float

    Attributes
    ----------
    camera : PinholeCamera
    truths : tuple of FrameTruth
    fps : float
    render_ms : float
        What a frame took to render, on average.
    render_rss : int
        Bytes that the rendering process held at most.

    Raises
    ------
    ArgumentError
        As for `mnnlite.demo.clip`.
    OutputError
        There is no room for the file: 0.7 MB a frame.
    """

    def __init__(self, seed: int, frames: int, fps: float = 25.0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mnnlite-")
        self._path = Path(self._folder.name) / "frames.rgb"
        self.fps = fps
        request = {"seed": seed, "frames": frames, "fps": fps, "path": str(self._path)}
        try:
            made = run_in_child("mnnlite.demo.footage", "render", request, "the clip", None)
        except BaseException:
            self.close()
            raise
        self.camera = PinholeCamera(**made["camera"])
        self.truths = tuple(_frame_truth(each) for each in made["truths"])
        self.render_ms, self.render_rss = float(made["ms"]), int(made["rss"])

    def __len__(self) -> int:
        return len(self.truths)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, RGB: a frame, read from the file."""
        shape = self.camera.height, self.camera.width, 3
        size = int(np.prod(shape))
        return np.fromfile(self._path, np.uint8, size, offset=index * size).reshape(shape)

    def play(self, paced: bool = True) -> Iterator[Frame]:
        """Frames as a camera gives them, `fps` a second.

        Parameters
        ----------
        paced : bool
            Wait for each frame's time; otherwise they come as fast as they are taken.

        Yields
        ------
        Frame
            With ``meta = {"frame": index, "time_ms": ...}`` and the moment it came as its timestamp.
        """
        start = time.monotonic_ns()
        for index in range(len(self)):
            image = self.image(index)
            due = start + round(index / self.fps * 1e9)
            while paced and (left := due - time.monotonic_ns()) > 0:
                time.sleep(left / 1e9)
            meta = {"frame": index, "time_ms": self.truths[index].time_s * 1000}
            yield Frame(image, "RGB", timestamp_ns=time.monotonic_ns(), meta=meta)

    def close(self) -> None:
        """Delete the file. Closing twice is fine."""
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _frame_truth(made: dict[str, Any]) -> FrameTruth:
    objects = tuple(
        TruthObject(**{**each, "box": tuple(each["box"]), "place": tuple(each["place"])}) for each in made["objects"]
    )
    return FrameTruth(made["time_s"], Pose(*made["pose"]), objects, made["surface"])


def render(request: dict[str, Any]) -> dict[str, Any]:
    """In the child: paint the clip into the file, and give the truth."""
    truths, camera = [], PinholeCamera()
    start = time.perf_counter()
    try:
        with open(request["path"], "wb") as file:
            for image, truth in clip(request["seed"], request["frames"], fps=request["fps"]):
                file.write(image.data)
                camera = truth.camera
                objects = [
                    {
                        "id": obj.id,
                        "kind": obj.kind,
                        "box": [int(value) for value in obj.box],
                        "place": [float(value) for value in obj.place],
                        "clear": bool(obj.clear),
                        "name": obj.name,
                        "text": obj.text,
                    }
                    for obj in truth.objects
                ]
                pose = [float(value) for value in truth.pose]
                truths.append({"time_s": truth.time_s, "pose": pose, "objects": objects, "surface": truth.surface})
    except OSError as error:
        raise OutputError(f"cannot keep the clip in {request['path']}: {error.strerror}") from None
    spent = time.perf_counter() - start
    return {
        "camera": asdict(camera),
        "truths": truths,
        "ms": 1000 * spent / max(len(truths), 1),
        "rss": high_water() or process().rss,
    }
