"""Packages that only some features need: asked for when they are used, and told apart, missing from broken."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mnnlite.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["need"]


def need(what: str, extra: str, *modules: str) -> ModuleType:
    """Import packages of an extra.

    Parameters
    ----------
    what : str
        Who needs them and what they are called there, e.g. ``"videos and pictures need PyAV"``.
    extra : str
        The extra that brings them.
    *modules : str
        All are imported.

    Returns
    -------
    module
        The first.

    Raises
    ------
    MissingExtraError
        One is not installed; or it is, and its import fails, with what it says: then ``details`` has ``broken``, its name.
    """
    found = [_import(what, extra, name) for name in modules]
    return found[0]


def _import(what: str, extra: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a package runs what it likes when it is imported
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] == name.split(".")[0]:
            raise MissingExtraError(f'{what}; install it with: pip install "mnnlite[{extra}]"') from None
        raise _broken(what, name, error) from error


def _broken(what: str, name: str, error: BaseException) -> MissingExtraError:
    said = " ".join(str(error).split()) or type(error).__name__
    return MissingExtraError(
        f"{what}, which is installed, but importing {name} fails: {said}", details={"broken": name}
    )
