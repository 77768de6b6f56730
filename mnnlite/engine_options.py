"""How the engine computes one network: options that each task may set, whichever tasks it shares an arena with."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from mnnlite import _core
from mnnlite.errors import ArgumentError
from mnnlite.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Precision: TypeAlias = Literal["normal", "high", "low"]
    MemoryMode: TypeAlias = Literal["normal", "high", "low"]
    Winograd: TypeAlias = Literal["large", "small", "none"]
    Weights: TypeAlias = Literal["heap", "mapped"]
    BackendName: TypeAlias = Literal["cpu", "opencl", "opengl", "vulkan"]
    Tuning: TypeAlias = Literal["none", "fast", "wide", "heavy"]
    GpuMemory: TypeAlias = Literal["auto", "buffer", "image"]

__all__ = ["BACKEND_WORDS", "GPUS", "OPTION_NAMES", "SESSION_WORDS", "EngineOptions", "check_backend"]

# Options of a session, then those of an arena that a task may choose too, and their words with the usual one first: the engine
# room's own.
SESSION_WORDS = {
    name: tuple(_core.ArenaOptions.words(name)) for name in ("winograd", "memory_mode", "precision", "weights")
}
BACKEND_WORDS = {name: tuple(_core.ArenaOptions.words(name)) for name in ("backend", "tuning", "gpu_memory")}
GPUS = BACKEND_WORDS["backend"][1:]
_OF_CPUS = ("winograd", "weights")


def check_backend(options: Mapping[str, Any]) -> None:
    """Refuse options that a backend would not notice, or take for something else.

    Parameters
    ----------
    options : dict
        Options by name; None, and what is not there, is as usual.

    Raises
    ------
    ArgumentError
    """
    known = ("threads", *SESSION_WORDS, *BACKEND_WORDS)
    _core.ArenaOptions(**{name: options[name] for name in known if options.get(name) is not None}).check()


@dataclass(frozen=True, eq=False, repr=False)
class EngineOptions(Record):
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
    backend : {"cpu", "opencl", "opengl", "vulkan"}, optional
        As for `Arena`. In a runtime, tasks of a GPU have a lane of their own.
    fallback : {"cpu"}, optional
        The backend to use where `backend` is not there.
    tuning : {"none", "fast", "wide", "heavy"}, optional
    gpu_memory : {"auto", "buffer", "image"}, optional
        As for `Arena`, of GPUs alone.

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
    backend: BackendName | None = None
    fallback: Literal["cpu"] | None = None
    tuning: Tuning | None = None
    gpu_memory: GpuMemory | None = None

    def __post_init__(self) -> None:
        for name, words in {**SESSION_WORDS, **BACKEND_WORDS, "fallback": ("cpu",)}.items():
            value: str | None = getattr(self, name)
            if value is not None and value not in words:
                raise ArgumentError(f"{name}: got {value!r}, wanted one of {', '.join(map(repr, words))}")
        threads: Any = self.threads
        if threads is not None:
            if isinstance(threads, bool) or not isinstance(threads, numbers.Integral) or not 1 <= int(threads) <= 32:
                raise ArgumentError(f"threads: got {threads!r}, wanted a whole number from 1 to 32")
            object.__setattr__(self, "threads", int(threads))
        if self.backend is not None:  # else the runtime says it
            check_backend(vars(self))

    def given(self) -> dict[str, Any]:
        """The options that are set, by name: arguments of `Model`, `TaskSpec` or `dataclasses.replace`."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def unusual(self, defaults: Mapping[str, Any]) -> dict[str, str]:
        """Words of the session and its backend, its own or else those of `defaults`, without those that are the engine's usual ones.

        Two tasks for which this is equal are computed in the same way. What `defaults` say and the backend does not know is for
        other tasks.

        Raises
        ------
        ArgumentError
            What the task says itself does not fit the backend that the defaults give it.
        """
        backend = self.backend or defaults.get("backend", "cpu")
        check_backend({**vars(self), "backend": backend})
        others = ("tuning", "gpu_memory") if backend == "cpu" else _OF_CPUS
        found: dict[str, str] = {}
        for name, words in {**SESSION_WORDS, **BACKEND_WORDS}.items():
            word: str = getattr(self, name) or (words[0] if name in others else defaults.get(name, words[0]))
            if word != words[0]:
                found[name] = word
        return found

    def backend_in(self, defaults: Mapping[str, Any]) -> str:
        """The backend that a runtime with these defaults is asked for."""
        return self.backend or defaults.get("backend", "cpu")


OPTION_NAMES = tuple(field.name for field in fields(EngineOptions))
