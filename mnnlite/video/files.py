"""Videos and pictures, one after another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mnnlite.errors import SourceError
from mnnlite.video import pyav
from mnnlite.video.decoding import length_of, pictures_of
from mnnlite.video.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnnlite.frame import Frame

__all__ = ["Files", "in_natural_order"]


def in_natural_order(path: Path) -> list[list[str | int]]:
    """Key to sort files by: numbers in names by their value, so that 2.jpg comes before 10.jpg."""
    return [
        [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]
        for name in path.parts
    ]


class Files(Source):
    """Videos and pictures, one after another; a picture is a video of one frame."""

    def __init__(self, name: str, files: list[Path]) -> None:
        self.name = name
        self._files = files
        self.errors: list[SourceError] = []
        self._av = pyav.load()
        counts = [1 if pyav.is_picture(file) else None for file in files]
        # Of several files, the broken ones are met in their turn; a pipe can be opened only once.
        if len(files) == 1 and counts[0] is None and files[0].is_file():
            counts[0], self.rate = length_of(self._av, files[0])
        known = [count for count in counts if count is not None]
        self.frames = sum(known) if len(known) == len(counts) else None

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        self.errors = []
        for file in self._files:
            upright = pyav.Upright(self._av, file)
            try:
                for picture, time_ms in pictures_of(self._av, file):
                    meta: dict[str, Any] = {"frame": index, "time_ms": time_ms}
                    if len(self._files) > 1:
                        meta["file"] = file.name
                    yield pyav.to_frame(upright(picture), file, meta)
                    index += 1
            except SourceError as error:
                if len(self._files) == 1:
                    raise
                self.errors.append(error)
        if index == 0:
            raise SourceError(f"none of the {len(self._files)} files of {self.name} can be read: {self.errors[0]}")
