"""Small videos and pictures, made when a test needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from mnnlite import video

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mnnlite import Frame


def noisy_picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def make_video(
    path: Path, frames: int, size: tuple[int, int] = (64, 48), rate: int = 25, noisy: bool = False, codec: str = "mpeg4"
) -> Path:
    """Frame i is grey, 10 i + 20; `noisy` is a picture that moves and that no codec makes small."""
    picture = noisy_picture(*size)
    # The index first, so that a file that is cut off can be read up to there.
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 2_000_000
        stream.gop_size = 5
        for index in range(frames):
            shown = np.roll(picture, 3 * index, 1) if noisy else np.full_like(picture, 10 * index + 20)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        container.mux(stream.encode(None))
    return path


def gray_of(frame: Frame) -> float:
    """The mean of all pixels."""
    return float(video.to_rgb(frame).mean())
