"""Native decoders from outside."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mnnlite import _core
from mnnlite.decoders.base import Decoder
from mnnlite.decoders.options import names_from
from mnnlite.errors import ArgumentError, DecoderABIError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Plugin(Decoder):
    """A native decoder from outside: an object with ``__mnnlite_decoder__``, or where to find one.

    Parameters
    ----------
    decoder : object or str
        An object whose attribute ``__mnnlite_decoder__`` is a capsule named ``mnnlite_decoder_v1`` that holds a
        ``mnnlite_decoder_v1`` (see ``mnnlite/decoder.h``), or ``"package.module:attribute"`` that names such an object.
    options : dict, optional
        Numbers, booleans, texts and lists of numbers, handed to its ``create``.
    classes, tensors
        As for the built-in families.

    Raises
    ------
    DecoderABIError
        It was built for another version of ``decoder.h``, or the attribute is no such capsule.
    DecoderError
        Its ``create`` refused the options.
    ArgumentError
        There is no such object.

    Notes
    -----
    Runs without the GIL. It is tried on zeros whenever it is planned for a shape. Definition of the interface:
    ``mnnlite/decoder.h``; `get_include` gives its folder, ``mnnlite/decoder.pxd`` its Cython face.
    """

    decoder: Any
    options: Mapping[str, Any]
    classes: tuple[str, ...] | str | None

    def __init__(
        self,
        decoder: Any,
        options: Mapping[str, Any] | None = None,
        *,
        classes: Sequence[str] | str | None = None,
        tensors: Sequence[str] = (),
    ) -> None:
        found = _load(decoder) if isinstance(decoder, str) else decoder
        capsule = getattr(found, "__mnnlite_decoder__", None)
        if capsule is None:
            raise DecoderABIError(f"{decoder!r} has no __mnnlite_decoder__, the capsule of a native decoder")
        names = None if classes is None else classes if isinstance(classes, str) else tuple(classes)
        for name, value in (
            ("decoder", decoder),
            ("options", dict(options or {})),
            ("classes", names),
            ("tensors", tuple(tensors)),
            ("_names", () if names is None else names_from(names, "Plugin.classes")),
            ("family", capsule),
        ):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_idle", [_core.ArrayDecoder(self.family, self.native_options())])

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.decoder, str):
            raise TypeError("only a Plugin made from 'package.module:attribute' can be pickled")
        return {
            "decoder": self.decoder,
            "options": self.options,
            "classes": self.classes,
            "tensors": self.tensors,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Plugin.__init__(self, state.pop("decoder"), state.pop("options"), **state)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plugin):
            return NotImplemented
        return (self.decoder, self.options, self.classes, self.tensors) == (
            other.decoder,
            other.options,
            other.classes,
            other.tensors,
        )

    def __hash__(self) -> int:
        return hash((str(self.decoder), str(sorted(self.options.items())), self.classes, self.tensors))

    def __repr__(self) -> str:
        return f"Plugin({self.decoder!r}, {dict(self.options)!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by class id; empty if there are none."""
        return cast("tuple[str, ...]", self.__dict__["_names"])

    def native_options(self) -> dict[str, Any]:
        """The options as its ``create`` gets them."""
        return dict(self.options)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes: the place of the decoder as ``family``, and its options."""
        if not isinstance(self.decoder, str):
            raise ArgumentError("only a Plugin made from 'package.module:attribute' can be written down")
        result: dict[str, Any] = {"family": self.decoder, **self.options}
        if self.classes is not None:
            result["classes"] = self.classes if isinstance(self.classes, str) else list(self.classes)
        if self.tensors:
            result["tensors"] = list(self.tensors)
        return result


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"decoder {place!r}: {error}; wanted 'package.module:attribute'") from error


def get_include() -> str:
    """Folder of ``mnnlite/decoder.h``, for compilers: ``-I$(python -c "import mnnlite; print(mnnlite.get_include())")``."""
    return str(Path(__file__).parent.parent / "include")
