"""A source is opened to be looked through, and what is wrong with it is said with its name."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mnnlite.descriptions.pages import Pages
from mnnlite.errors import ModelFormatError, ModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["pages_of"]


@contextmanager
def pages_of(path: Path, kind: str) -> Iterator[Pages]:
    """Open a source.

    Raises
    ------
    ModelNotFoundError, ModelFormatError
        It cannot be opened; it is empty, or damage was found inside the block.
    """
    try:
        with path.open("rb") as file:
            yield Pages(file)
    except ModelFormatError as error:
        raise ModelFormatError(
            f"{path} is not {kind} model, or a damaged one ({error}); fetch or export it again", op="convert"
        ) from None
    except ValueError:  # of no bytes
        raise ModelFormatError(f"the model file {path} is empty", op="convert") from None
    except OSError as error:
        if isinstance(error, ModelNotFoundError):
            raise
        raise ModelNotFoundError(f"cannot open the model file {path}: {error.strerror}", op="convert") from None
