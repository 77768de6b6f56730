"""What dataclasses that a `Runtime` starts with share, so that Python does not write it anew for each of them.

``@dataclass(frozen=True)`` compiles six methods a class, when it is imported, in every process. Such a class derives from
`Record` and says ``@dataclass(frozen=True, eq=False, repr=False)``: half of them are left.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any

__all__ = ["Record"]


class Record:
    """Equality, hash and text of a frozen dataclass, by its fields."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __repr__(self) -> str:
        entries: Any = self
        shown = (f"{entry.name}={getattr(self, entry.name)!r}" for entry in fields(entries) if entry.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"


def _compared(record: Any) -> object:
    kind = type(record)
    compared = vars(kind).get("_compared")
    if compared is None:  # made once: plans of pictures are found by their spec, for every picture
        compared = kind._compared = attrgetter(*(entry.name for entry in fields(kind) if entry.compare))
    return compared(record)
