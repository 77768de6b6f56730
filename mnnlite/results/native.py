"""From what ``_core`` returns to the types of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.results.classes import Classes
from mnnlite.results.detections import Detections
from mnnlite.results.embeddings import Embeddings
from mnnlite.results.keypoints import Keypoints
from mnnlite.results.masks import Masks
from mnnlite.results.texts import Texts
from mnnlite.results.vectors import Polygons, Polylines

if TYPE_CHECKING:
    from collections.abc import Sequence

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
}


def from_native(
    native: tuple[int, Any, Any, Any, Any, int, bool],
    *,
    names: Sequence[str] = (),
    frame_size: tuple[int, int] | None = None,
) -> Results:
    """Results from what ``_core`` returns: (kind, rows, values, chars, pixels, found, truncated).

    Parameters
    ----------
    native : tuple
        Arrays of rank 1, None if empty; rows are always there, the bytes of mnnlite_row.
    names : sequence of str
        Names of the classes.
    frame_size : (width, height), optional
        Pixels of the frame.

    Returns
    -------
    Results
        Of the type that belongs to the kind; views of the arrays, nothing is copied.
    """
    kind, rows, values, chars, pixels, found, truncated = native
    return KINDS[kind](
        rows, values, chars, pixels, names=names, frame_size=frame_size, found=found, truncated=truncated
    )
