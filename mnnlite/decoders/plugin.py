"""Native decoders from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnnlite import _core
from mnnlite.decoders.external import External
from mnnlite.errors import DecoderABIError


class Plugin(External):
    """A native decoder from outside: an object with ``__mnnlite_decoder__``, or the import path of one.

    Parameters
    ----------
    decoder : object or str
        An object whose attribute ``__mnnlite_decoder__`` is a capsule named ``mnnlite_decoder_v2`` that holds a
        ``mnnlite_decoder_v2`` (see ``mnnlite/decoder.h``), or ``"package.module:attribute"`` that names such an object.
    options : dict, optional
        Numbers, booleans, texts and lists of numbers, which its ``create`` gets.
    classes, tensors
        As for the built-in families.

    Raises
    ------
    DecoderABIError
        The decoder was built for another version of ``decoder.h``, or the attribute is no such capsule.
    DecoderError
        Its ``create`` refused the options.
    ArgumentError
        There is no such object.

    Notes
    -----
    It runs without the GIL. Whenever it is planned for a shape, it is tried on zeros. ``mnnlite/decoder.h`` defines the
    interface: `get_include` gives its folder, and ``mnnlite/decoder.pxd`` declares it for Cython.
    """

    def _take(self, found: Any) -> None:
        capsule = getattr(found, "__mnnlite_decoder__", None)
        if capsule is None:
            raise DecoderABIError(f"{self.decoder!r} has no __mnnlite_decoder__, the capsule of a native decoder")
        object.__setattr__(self, "family", capsule)
        object.__setattr__(self, "_idle", [_core.ArrayDecoder(self.family, self.native_options())])


def get_include() -> str:
    """The folder of ``mnnlite/decoder.h``, for compilers: ``-I$(python -c "import mnnlite; print(mnnlite.get_include())")``."""
    return str(Path(__file__).parent.parent / "include")
