"""What the sources that read through PyAV share: the library itself, its errors, its pictures as frames."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.extras import need
from mnnlite.frame import Frame
from mnnlite.video.exif import orientation_of

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

__all__ = ["PICTURES", "Upright", "is_picture", "load", "reason", "to_frame"]

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

# Where a conversion keeps more than rgb24 would.
_CONVERTED = {"rgb48be": "rgb48le", "rgba64be": "rgba64le", "gray16be": "gray16le", "ya8": "rgba"}


def is_picture(file: Path) -> bool:
    """Whether a file is one picture, by its name."""
    return file.suffix.lower() in PICTURES


def load() -> ModuleType:
    """Import PyAV.

    Raises
    ------
    MissingExtraError
        It is not installed, or cannot be imported.
    """
    return need("videos and pictures need PyAV", "video", "av", "av.error", "av.filter")


def reason(error: BaseException) -> str:
    """What went wrong, in words for people."""
    text = getattr(error, "strerror", None) or str(error)
    return "not a video or picture that FFmpeg knows, or a damaged one" if "Invalid data found" in text else text


class Upright:
    """Turns pictures the way their file says they are to be shown: telephones film sideways."""

    # The upper left 2x2 of the display matrix (ISO/IEC 14496-12, 6.2.2), by sign, and what FFmpeg calls that: all eight
    # orientations of EXIF. A point (x, y) is shown at (a x + c y, b x + d y).
    _TURNS: ClassVar[dict[tuple[int, int, int, int], tuple[tuple[str, ...], ...]]] = {
        (-1, 0, 0, 1): (("hflip",),),
        (-1, 0, 0, -1): (("transpose", "clock"), ("transpose", "clock")),
        (1, 0, 0, -1): (("transpose", "clock"), ("transpose", "cclock_flip")),  # vflip turns the rows' stride round
        (0, 1, 1, 0): (("transpose", "cclock_flip"),),
        (0, 1, -1, 0): (("transpose", "clock"),),
        (0, -1, -1, 0): (("transpose", "clock_flip"),),
        (0, -1, 1, 0): (("transpose", "cclock"),),
    }

    def __init__(self, av: ModuleType, file: Path) -> None:
        self._av = av
        self._orientation = _BY_EXIF[orientation_of(file)] if is_picture(file) else None
        self._key: tuple[Any, ...] = ()
        self._graph: Any = None

    def __call__(self, picture: Any) -> Any:
        """The picture itself, or a turned one."""
        turns = self._TURNS.get(self._orientation or _by_matrix(picture))
        if turns is None:
            return picture
        key = (turns, picture.width, picture.height, picture.format.name)
        if key != self._key:
            self._key, self._graph = key, self._make(turns, picture)
        self._graph.push(picture)
        return self._graph.pull()

    def _make(self, turns: tuple[tuple[str, ...], ...], picture: Any) -> Any:
        graph = self._av.filter.Graph()
        source = graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=picture.time_base or Fraction(1),
        )
        graph.link_nodes(source, *(graph.add(*turn) for turn in turns), graph.add("buffersink"))
        graph.configure()
        return graph


# Of EXIF's orientations 1 to 8, as signs of a display matrix.
_BY_EXIF = (
    (1, 0, 0, 1),
    (1, 0, 0, 1),
    (-1, 0, 0, 1),
    (-1, 0, 0, -1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, 1, -1, 0),
    (0, -1, -1, 0),
    (0, -1, 1, 0),
)
# Where PyAV gives the turn alone, in degrees counter-clockwise.
_BY_ROTATION = {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}


def _by_matrix(picture: Any) -> tuple[int, int, int, int]:
    """Signs of the display matrix; those of the identity where there is none, or one that is no quarter turn."""
    upright = _BY_EXIF[1]
    turn = round(getattr(picture, "rotation", 0)) % 360
    try:
        data = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # it has data of a kind that this PyAV does not know
        return _BY_ROTATION.get(turn, upright)
    a, b, c, d = struct.unpack("=2i4x2i", bytes(data)[:20]) if data is not None else upright
    if (a == 0) != (d == 0) or (b == 0) != (c == 0) or (a == 0) == (b == 0):
        return upright
    return ((a > 0) - (a < 0), (b > 0) - (b < 0), (c > 0) - (c < 0), (d > 0) - (d < 0))


def to_frame(picture: Any, file: Path, meta: dict[str, Any], timestamp_ns: int | None = None) -> Frame:
    """Make a frame of a picture, without a copy if its pixels are of a format that frames have."""
    try:
        return Frame.from_av(picture, timestamp_ns=timestamp_ns, meta=meta)
    except ArgumentError:  # pixels or a colour matrix that frames do not have
        pass
    name = picture.format.name
    alpha = any(component.is_alpha for component in picture.format.components)
    try:
        converted = picture.reformat(format=_CONVERTED.get(name, "rgba" if alpha else "rgb24"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot convert pixels of {name!r}: {reason(error)}") from None
    return Frame.from_av(converted, timestamp_ns=timestamp_ns, meta=meta)
