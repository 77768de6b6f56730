"""What the sources that read through PyAV share: the library itself, its errors, its pictures as frames."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from mnnlite.errors import ArgumentError, MissingExtraError, SourceError
from mnnlite.frame import Frame

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

__all__ = ["Upright", "load", "reason", "to_frame"]

# Where a conversion keeps more than rgb24 would.
_CONVERTED = {"rgb48be": "rgb48le", "rgba64be": "rgba64le", "gray16be": "gray16le", "ya8": "rgba"}


def load() -> ModuleType:
    """Import PyAV.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import av
        import av.error
        import av.filter
    except ImportError:
        raise MissingExtraError(
            'videos and pictures need PyAV; install it with: pip install "mnnlite[video]"'
        ) from None
    return av


def reason(error: BaseException) -> str:
    """What went wrong, in words for people."""
    text = getattr(error, "strerror", None) or str(error)
    return "not a video or picture that FFmpeg knows, or a damaged one" if "Invalid data found" in text else text


class Upright:
    """Turns pictures the way their file says they are to be shown: telephones film sideways."""

    # Counter-clockwise degrees that the picture is to be turned by, and what FFmpeg calls that.
    _TURNS: ClassVar[dict[int, tuple[tuple[str, ...], ...]]] = {
        90: (("transpose", "cclock"),),
        180: (("hflip",), ("vflip",)),
        270: (("transpose", "clock"),),
    }

    def __init__(self, av: ModuleType) -> None:
        self._av = av
        self._key: tuple[Any, ...] = ()
        self._graph: Any = None

    def __call__(self, picture: Any) -> Any:
        """The picture itself, or a turned one."""
        turns = self._TURNS.get(round(getattr(picture, "rotation", 0)) % 360)
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
