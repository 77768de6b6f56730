"""What an error says of a name that is not known."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(got: str, known: Iterable[str], otherwise: str = "", before: str = "") -> str:
    """Name the one that is nearest.

    Parameters
    ----------
    got : str
    known : iterable of str
    otherwise : str
        What is returned where none is near.
    before : str
        Stands in front of a suggestion.
    """
    from difflib import get_close_matches  # it is only needed for errors

    close = get_close_matches(got, list(known), 1)
    return f"{before}did you mean {close[0]!r}?" if close else otherwise
