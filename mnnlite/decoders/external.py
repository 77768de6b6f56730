"""Decoders from outside of mnnlite: how they are imported, and what their specs share."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from mnnlite.decoders.base import Decoder
from mnnlite.decoders.options import names_from
from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def load(import_path: str) -> Any:
    """Import what ``"package.module:attribute"`` names; raises `ArgumentError` if it is not there."""
    module, colon, attribute = import_path.partition(":")
    if not (module and colon and attribute):
        raise ArgumentError(f"decoder {import_path!r}: wanted 'package.module:attribute'")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found
    except Exception as error:  # whatever the module raises when it is imported
        raise ArgumentError(
            f"decoder {import_path!r}: {type(error).__name__}: {error}; wanted 'package.module:attribute' of a module that "
            "Python finds (installed, or in a folder of PYTHONPATH)"
        ) from error


class External(Decoder):
    """Base of specs of decoders from outside: the object or its import path, options, names of classes, outputs to read."""

    decoder: Any
    options: Mapping[str, Any]
    classes: tuple[str, ...] | str | None

    def __init__(
        self,
        decoder: Any,
        options: Mapping[str, Any] | None = None,
        *,
        classes: Sequence[str] | str | None = None,
        tensors: Sequence[str] | str = (),
    ) -> None:
        names = None if classes is None else classes if isinstance(classes, str) else tuple(classes)
        for name, value in (
            ("decoder", decoder),
            ("options", dict(options or {})),
            ("classes", names),
            ("tensors", (tensors,) if isinstance(tensors, str) else tuple(tensors)),
            ("_names", () if names is None else names_from(names, f"{type(self).__name__}.classes")),
        ):
            object.__setattr__(self, name, value)
        self._take(load(decoder) if isinstance(decoder, str) else decoder)

    def _take(self, found: Any) -> None:
        """Keep the object itself, checked."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.decoder, str):
            raise TypeError(f"only a {type(self).__name__} made from 'package.module:attribute' can be pickled")
        return {name: getattr(self, name) for name in ("decoder", "options", "classes", "tensors")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        External.__init__(self, state.pop("decoder"), state.pop("options"), **state)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
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
        return f"{type(self).__name__}({self.decoder!r}, {dict(self.options)!r})"

    @property
    def title(self) -> str:
        """The decoder's name in errors."""
        if isinstance(self.decoder, str):
            return self.decoder
        name = getattr(self.decoder, "__qualname__", None)
        return f"{self.decoder.__module__}:{name}" if name else repr(self.decoder)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, by class id; empty if there are none."""
        return cast("tuple[str, ...]", self.__dict__["_names"])

    def native_options(self) -> dict[str, Any]:
        """The options as the decoder gets them."""
        return dict(self.options)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` takes: the import path of the decoder as ``family``, and its options."""
        if not isinstance(self.decoder, str):
            raise ArgumentError(
                f"{self.title}: only a decoder that was named as 'package.module:attribute' can be written down"
            )
        result: dict[str, Any] = {"family": self.decoder, **self.options}
        if self.classes is not None:
            result["classes"] = self.classes if isinstance(self.classes, str) else list(self.classes)
        if self.tensors:
            result["tensors"] = list(self.tensors)
        return result
