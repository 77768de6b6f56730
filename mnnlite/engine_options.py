"""How the engine computes one network: options that each task may set, whichever tasks it shares an arena with."""

from __future__ import annotations

import numbers
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from mnnlite.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Precision: TypeAlias = Literal["normal", "high", "low"]
    MemoryMode: TypeAlias = Literal["normal", "high", "low"]
    Winograd: TypeAlias = Literal["large", "small", "none"]
    Weights: TypeAlias = Literal["heap", "mapped"]

__all__ = ["SESSION_WORDS", "EngineOptions"]

# Options of a session, and their words with the usual one first. A test holds them equal to the engine room's table.
SESSION_WORDS = {
    "winograd": ("large", "small", "none"),
    "memory_mode": ("normal", "high", "low"),
    "precision": ("normal", "high", "low"),
    "weights": ("heap", "mapped"),
}


@dataclass(frozen=True)
class EngineOptions:
    """How the engine computes one network. None: as its arena or its runtime has it.

    Parameters
    ----------
    winograd : {"large", "small", "none"}, optional
    memory_mode : {"normal", "high", "low"}, optional
    precision : {"normal", "high", "low"}, optional
    weights : {"heap", "mapped"}, optional
        As for `Arena`. These four belong to the network: networks of one arena, or of one lane, may differ in them and still
        share the buffer for feature maps.
    threads : int, optional
        Number of threads, 1 to 32. Threads belong to the arena: a lane has one arena for each number that its tasks ask for.

    Raises
    ------
    ArgumentError
        A value is none of these.
    """

    winograd: Winograd | None = None
    memory_mode: MemoryMode | None = None
    precision: Precision | None = None
    weights: Weights | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, words in SESSION_WORDS.items():
            value: str | None = getattr(self, name)
            if value is not None and value not in words:
                raise ArgumentError(f"{name}: got {value!r}, wanted one of {', '.join(map(repr, words))}")
        threads: Any = self.threads
        if threads is None:
            return
        if isinstance(threads, bool) or not isinstance(threads, numbers.Integral) or not 1 <= int(threads) <= 32:
            raise ArgumentError(f"threads: got {threads!r}, wanted a whole number from 1 to 32")
        object.__setattr__(self, "threads", int(threads))

    def given(self) -> dict[str, Any]:
        """The options that are set, by name: arguments of `Model`, `TaskSpec` or `dataclasses.replace`."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def unusual(self, defaults: Mapping[str, Any]) -> dict[str, str]:
        """Words of the session, its own or else those of `defaults`, without those that are the engine's usual ones.

        Two tasks for which this is equal are computed in the same way.
        """
        found: dict[str, str] = {}
        for name, words in SESSION_WORDS.items():
            word: str = getattr(self, name) or defaults.get(name, words[0])
            if word != words[0]:
                found[name] = word
        return found
