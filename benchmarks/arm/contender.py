"""One contender's work on one network, again and again: the program whose instructions peers.py counts.

usage: contender.py CONTENDER NETWORK FORMAT STAGE MODEL RUNS

CONTENDER: mnnlite, MNN, LiteRT. FORMAT: BGR or NV12, a 1080p frame of noise. STAGE: frame (from the picture in memory to
decoded results) or infer (the engine alone, outputs handed over). MODEL: the .mnn file; LiteRT's .tflite lies beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from mediapipe_tasks import KINDS, Decoder, spec_of

WIDTH, HEIGHT = 1920, 1080


def picture_of(layout: str) -> Any:
    """Noise: no stage's work depends on what is seen, but for the few boxes that pass."""
    rng = np.random.default_rng(7)
    if layout == "BGR":
        return rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return rng.integers(16, 236, (HEIGHT, WIDTH), np.uint8), rng.integers(
        16, 241, (HEIGHT // 2, WIDTH // 2, 2), np.uint8
    )


def ours(name: str, model: Path, layout: str, stage: str) -> Callable[[], Any]:
    """Mnnlite: a Task, or its model alone."""
    import mnnlite

    if stage == "infer":
        network = mnnlite.Model(model)
        return lambda: network.run(borrow=True)
    task = mnnlite.Task(spec_of(KINDS[name], model))
    image = picture_of(layout)
    if layout == "BGR":
        return lambda: task(mnnlite.Frame(image, "BGR"))
    return lambda: task(mnnlite.Frame.nv12(*image))


def theirs(contender: str, name: str, model: Path, layout: str, stage: str) -> Callable[[], Any]:
    """An engine's Python package with OpenCV and NumPy around it."""
    import cv2
    from frame_time import made_of

    engine = made_of(f"{contender}, 1 thread")
    opened, decoder = engine.open((model.with_suffix(".tflite"), model)), Decoder(KINDS[name], engine.cv2)
    image = picture_of(layout)

    def bgr() -> Any:
        return image if layout == "BGR" else cv2.cvtColorTwoPlane(*image, cv2.COLOR_YUV2BGR_NV12)

    ready, _ = decoder.picture(bgr())

    def frame() -> Any:
        picture, place = decoder.picture(bgr())
        return decoder.decode(engine.run(opened, picture), place)

    return frame if stage == "frame" else lambda: engine.run(opened, ready)


def main() -> None:
    """Work RUNS times."""
    contender, name, layout, stage, model, runs = sys.argv[1:]
    work = (
        ours(name, Path(model), layout, stage)
        if contender == "mnnlite"
        else theirs(contender, name, Path(model), layout, stage)
    )
    for _ in range(int(runs)):
        work()


if __name__ == "__main__":
    main()
