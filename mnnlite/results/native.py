"""Makes results of what ``_core`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.results.classes import Classes
from mnnlite.results.detections import Detections
from mnnlite.results.embeddings import Embeddings
from mnnlite.results.instances import Instances
from mnnlite.results.keypoints import Keypoints
from mnnlite.results.maps import Maps
from mnnlite.results.masks import Masks
from mnnlite.results.measurements import Measurements
from mnnlite.results.polygons import Polygons, Polylines
from mnnlite.results.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

from mnnlite import _core
from mnnlite.errors import ArgumentError
from mnnlite.results.base import Results

# By enum mnnlite_kind of decoder.h; 0 is raw: no rows.
KINDS: dict[int, type[Results]] = {
    1: Classes,
    2: Detections,
    3: Masks,
    4: Polygons,
    5: Polylines,
    6: Keypoints,
    7: Texts,
    8: Embeddings,
    9: Instances,
    10: Maps,
    11: Measurements,
}


def from_native(
    native: _core.NativeResults,
    *,
    names: Sequence[str] = (),
    frame_size: tuple[int, int] | None = None,
    out: Results | None = None,
) -> Results:
    """Results from what ``_core`` returns.

    Parameters
    ----------
    native : _core.NativeResults
        Arrays of rank 1, None if empty. The rows are never None: they are the bytes of mnnlite_row.
    names : sequence of str
        Names of the classes.
    frame_size : (width, height), optional
        Pixels of the frame.
    out : Results, optional
        Results that get the new rows and are returned.

    Returns
    -------
    Results
        Of the kind's type. They are views of the arrays: nothing is copied.

    Raises
    ------
    ArgumentError
        `out` is of another type.
    """
    if out is None:
        made = KINDS[native.kind]
        result = made.__new__(made)
    else:
        check_out(out, native.kind)
        result, buffer = out, out._buffer
        vars(out).clear()
        out._buffer = buffer
    Results.__init__(
        result,
        native.rows,
        native.values,
        native.chars,
        native.pixels,
        names=names,
        frame_size=frame_size,
        found=native.found,
        truncated=native.truncated,
    )
    return result


def buffer_of(out: Results) -> _core.ResultBuffer:
    """The memory that results reuse. The first call makes it, and the results keep it."""
    if not isinstance(out, Results):
        raise ArgumentError(f"out: got a {type(out).__name__}, wanted results that an earlier call returned")
    if out._buffer is None:
        out._buffer = _core.ResultBuffer()
    return out._buffer


def check_out(out: Any, kind: int) -> None:
    """Check that results can become those of a kind.

    Raises
    ------
    ArgumentError
        They are of another type.
    """
    wanted = KINDS[kind]
    if not isinstance(out, wanted):
        raise ArgumentError(
            f"out: got a {type(out).__name__}, wanted {wanted.__name__} that an earlier call of the same decoder returned"
        )
