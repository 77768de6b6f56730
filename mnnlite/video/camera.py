"""Cameras of Video4Linux."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.errors import SourceError
from mnnlite.video import pyav
from mnnlite.video.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.frame import Frame

__all__ = ["Camera"]


class Camera(Source):
    """A V4L2 camera. It leaves out damaged frames, which USB cameras give now and then."""

    live = True

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._av = pyav.load()

    def __iter__(self) -> Iterator[Frame]:
        try:
            container = self._av.open(self.name, format="v4l2")
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot open the camera {self.name}: {pyav.reason(error)}") from None
        with container:
            index, first = 0, None
            packets = container.demux(container.streams.video[0])
            while True:
                try:
                    pictures = next(packets).decode()
                except StopIteration:
                    raise SourceError(f"the camera {self.name} stopped after frame {index - 1}") from None
                except self._av.error.InvalidDataError:
                    continue
                except self._av.error.FFmpegError as error:
                    raise SourceError(
                        f"the camera {self.name} stopped after frame {index - 1}: {pyav.reason(error)}"
                    ) from None
                for picture in pictures:
                    now = time.monotonic_ns()
                    first = now if first is None else first
                    meta = {"frame": index, "time_ms": (now - first) / 1e6}
                    yield pyav.to_frame(picture, Path(self.name), meta, timestamp_ns=now)
                    index += 1
