"""One runtime of the engine, and its options."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite import _core
from mnnlite.engine_options import BACKEND_WORDS, GPUS, SESSION_WORDS
from mnnlite.errors import ArgumentError, ClosedError
from mnnlite.files import checked_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from mnnlite.engine_options import EngineOptions

__all__ = [
    "RUNTIME_OPTIONS",
    "Arena",
    "check_available",
    "gpu_words",
    "native_options",
    "own_arena",
    "runtime_arena",
    "runtime_options",
    "session_options",
    "shared_arena",
    "task_options",
]

_log = logging.getLogger("mnnlite.model")

# Options by words, which the native table has; and those that are no words. `RUNTIME_OPTIONS` are what a runtime says for all
# its tasks.
_OPTIONS = (*_core.ArenaOptions.names(), "threads", "weights_dir")
_OF_SESSIONS = (*SESSION_WORDS, "weights_dir")
RUNTIME_OPTIONS = (*_OF_SESSIONS, *BACKEND_WORDS, "fallback")
# Kept from one start to the next, so it is on a disk, where /tmp may be in memory (Filesystem Hierarchy Standard 3.0, 5.15).
_WEIGHTS_DIR = "/var/tmp"


def _threads(got: object) -> int:
    if isinstance(got, bool) or not isinstance(got, (int, np.integer)) or not 1 <= got <= 32:
        raise ArgumentError(f"threads is {got!r}; it must be a whole number from 1 to 32")
    return int(got)


class Arena:
    """One runtime of the engine. Models in one arena share one buffer for feature maps, as large as the largest needs.

    `backend`, `power`, `threads`, `tuning` and `gpu_memory` are the same for all of its models. `precision`, `memory_mode`, `winograd` and `weights` are
    what a model has that does not say otherwise: ``Model("net.mnn", arena=arena, winograd="small")``.

    Parameters
    ----------
    backend : {"cpu", "opencl", "opengl", "vulkan"}
        PyPI's engine has the CPU only. ``"opengl"`` is always refused: that of this engine is not usable.
    precision : {"normal", "high", "low"}
        ``"low"`` computes in half floats where the CPU has them. On Vulkan, and on OpenCL devices that have half floats,
        ``"normal"`` computes in them already, and ``"high"`` in full ones. See `computes_in_half`.
    memory_mode : {"normal", "high", "low"}
        ``"low"`` keeps 8-bit weights as they are, for less memory and often more time.
    power : {"normal", "high", "low"}
        Which cores the engine's own threads prefer. The affinity of the calling thread is never changed. On a GPU ``"low"`` is
        refused where the device has no low priority.
    threads : int
        How many threads every model in this arena uses, 1 to 32. A GPU has none.
    fallback : {None, "cpu"}
        The backend to use if the engine does not have `backend`, or there is no driver for it; a warning is logged. None raises
        an error instead.
    winograd : {"large", "small", "none"}
        How the CPU computes 3x3 convolutions. ``"large"``: by Winograd's method with tiles of up to 6x6, which is the engine's
        default; it is fastest, and the weights of such a convolution take up to 64/9 of their size. ``"small"``: with tiles of
        2x2; the weights take 16/9 of their size. ``"none"``: directly, with the weights as they are. Results differ by rounding.
    weights : {"heap", "mapped"}
        ``"mapped"``: mnnlite writes the weights of each model once, when it loads the model, to a file that has no name. The
        kernel may drop their pages when memory is short, and reads them again when they are used. Loading needs as much
        anonymous memory as with ``"heap"``, and gives it back at its end.
    weights_dir : path, optional
        The folder in which those files are made. It must be on a disk. The default is ``/var/tmp``.
    tuning : {"none", "fast", "wide", "heavy"}
        How long a GPU tries its kernels while a network is loaded: not at all, some tenths of a second, seconds, minutes. What is
        found is kept, see `mnnlite.cache`. Vulkan has no ``"fast"``.
    gpu_memory : {"auto", "buffer", "image"}
        What tensors are on a GPU, for OpenCL. ``"auto"``: what the engine holds to be faster on the device.

    Raises
    ------
    ArgumentError
        A word or number is not one of the above, or the backend would not notice it, such as ``winograd`` on a GPU; the folder
        for weights cannot be written or lies in memory.
    BackendUnavailableError
        The engine has no such backend, or there is no driver for it, and no fallback was allowed.
    StateError
        A GPU, in a process whose parent had used one before it was forked.

    Notes
    -----
    Threads: one call at a time in an arena; a second thread gets `BusyError`. Models that shall run in parallel need an
    arena each. Models keep their arena alive; `close` closes those that are still open.
    """

    def __init__(
        self,
        backend: str = "cpu",
        precision: str = "normal",
        memory_mode: str = "normal",
        power: str = "normal",
        threads: int = 1,
        *,
        fallback: str | None = None,
        winograd: str = "large",
        weights: str = "heap",
        weights_dir: str | os.PathLike[str] | None = None,
        tuning: str = "none",
        gpu_memory: str = "auto",
    ) -> None:
        if fallback not in (None, "cpu"):
            raise ArgumentError(f"fallback is {fallback!r}; it must be None or 'cpu'")
        self.threads = _threads(threads)
        self.weights_dir = _weights_folder(weights, weights_dir)
        options = _core.ArenaOptions(
            threads=self.threads,
            fallback_to_cpu=fallback == "cpu",
            weights_folder=self.weights_dir or "",
            backend=backend,
            precision=precision,
            memory_mode=memory_mode,
            power=power,
            winograd=winograd,
            weights=weights,
            tuning=tuning,
            gpu_memory=gpu_memory,
        )
        self.precision, self.memory_mode, self.power = precision, memory_mode, power
        self.winograd, self.weights = winograd, weights
        self._native: _core.Arena | None = _core.Arena(options)
        self._by_id: weakref.WeakValueDictionary[int, _core.Model] = weakref.WeakValueDictionary()
        fell_back = self._native.fell_back
        if fell_back:
            _log.warning("backend 'cpu' in place of %r: %s", backend, fell_back)
        # Of the backend as it became.
        self.tuning, self.gpu_memory = ("none", "auto") if fell_back else (tuning, gpu_memory)
        if precision == "low" and self._native.backend == "cpu":
            _say_precision(self._native)

    @property
    def native(self) -> _core.Arena:
        """The native runtime; raises `ClosedError` after `close`."""
        if self._native is None:
            raise ClosedError("the arena is closed; make a new one")
        return self._native

    @property
    def backend(self) -> str:
        """The backend in use: what was asked for, or the fallback."""
        return self.native.backend

    @property
    def computes_in_half(self) -> bool:
        """Whether its precision means half floats here: ``"low"`` on a CPU that has them, all but ``"high"`` on such a GPU."""
        native = self.native
        return native.has_half and (self.precision != "high" if native.backend in GPUS else self.precision == "low")

    def options(self) -> dict[str, Any]:
        """What it was made with, as plain data: arguments of another one like it."""
        folder = self.weights_dir if self.weights == "mapped" else None
        words = {name: getattr(self, name) for name in _core.ArenaOptions.names()}
        return {**words, "threads": self.threads, "weights_dir": folder}

    def shrink(self) -> None:
        """Give the shared buffer and the weights of closed models back to the system.

        The buffer grows again at the next run, as large as that network needs. Takes a few milliseconds.

        Raises
        ------
        BusyError
            A model of this arena runs on another thread.
        """
        self.native.shrink()

    def close(self) -> None:
        """Close the models that are still open, then the runtime. Closing twice is fine.

        Raises
        ------
        BusyError
            Another thread runs one of them. The arena and those that were not closed yet stay open.
        """
        self._close_models()
        native, self._native = self._native, None  # no model begins to use it from here on
        try:
            self._close_models()  # those that were being loaded meanwhile
        except BaseException:
            self._native = native
            raise

    def _close_models(self) -> None:
        for model in self._models:
            model.close()

    @property
    def _models(self) -> list[_core.Model]:
        # The references in one C call, so that no other thread changes them meanwhile; a lock could be held by a thread that a
        # forked child does not have.
        models = (reference() for reference in self._by_id.valuerefs())
        return [model for model in models if model is not None]

    def _keep(self, model: _core.Model) -> None:
        """Close a model with the arena, or now if another thread has closed the arena."""
        self._by_id[id(model)] = model
        if self._native is None:
            model.close()
            raise ClosedError("the arena was closed while a model was loaded into it; make a new one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._native is None:
            return "Arena(closed)"
        return f"Arena(backend={self.backend!r}, precision={self.precision!r}, threads={self.threads})"


def _weights_folder(weights: str, weights_dir: str | os.PathLike[str] | None) -> str | None:
    """Where files with weights are made, or None: they stay on the heap."""
    if weights != "mapped":
        if weights_dir is not None:
            raise ArgumentError("weights_dir is for weights='mapped'; with weights='heap' there are no files")
        return None
    where = os.path.abspath(checked_path(weights_dir or _WEIGHTS_DIR, "weights_dir"))
    _core.check_weights_folder(where)
    return where


def _say_precision(native: _core.Arena) -> None:
    if not native.has_half:
        _log.info("precision='low' computes in float32 here: this CPU has no half-float arithmetic")


def runtime_options(**options: Any) -> dict[str, str]:
    """Of `RUNTIME_OPTIONS` those that are given and not the usual ones, checked: what they say is so for any arena.

    Raises
    ------
    ArgumentError
        A word that is not known; the folder cannot be written or lies in memory.
    """
    given = {name: value for name, value in options.items() if value is not None}
    folder, fallback = given.pop("weights_dir", None), given.pop("fallback", None)
    if fallback not in (None, "cpu"):
        raise ArgumentError(f"fallback is {fallback!r}; it must be None or 'cpu'")
    _core.ArenaOptions(**given)
    usual = {**SESSION_WORDS, **BACKEND_WORDS}
    chosen = {name: value for name, value in given.items() if value != usual[name][0]}
    if fallback is not None:
        chosen["fallback"] = fallback
    # A folder alone is for those tasks whose weights are mapped.
    mapped = folder is not None or "weights" in chosen
    where = _weights_folder("mapped", folder) if mapped else None
    return chosen if where is None else {**chosen, "weights_dir": where}


def runtime_arena(threads: int, options: Mapping[str, str], words: Mapping[str, str] | None = None) -> Arena:
    """An arena for tasks of a runtime with these options, as `runtime_options` gives them; `words` say which GPU, if one."""
    if words:
        own: dict[str, Any] = {name: options[name] for name in ("precision", "memory_mode") if name in options}
        return Arena(**{**own, **words})
    words = {name: options[name] for name in SESSION_WORDS if name in options}
    folder = options.get("weights_dir")
    arena = Arena(threads=threads, **words, weights_dir=folder if "weights" in words else None)
    arena.weights_dir = folder  # also for tasks whose weights alone are mapped
    return arena


def gpu_words(own: EngineOptions, defaults: Mapping[str, str]) -> dict[str, str]:
    """What an arena for a task must have in common with it beside threads: backend, tuning and memory; nothing for the CPU."""
    unusual = own.unusual(defaults)
    return {name: unusual[name] for name in BACKEND_WORDS if name in unusual}


_available: set[str] = set()


def check_available(backend: str) -> None:
    """Find out whether there is a backend here: in the engine, and a driver. Once it was found it stays.

    Raises
    ------
    BackendUnavailableError, StateError
        As for `Arena`.
    """
    if backend not in _available:
        _core.Arena(_core.ArenaOptions(backend=backend))
        _available.add(backend)


def task_options(own: EngineOptions, defaults: Mapping[str, str]) -> dict[str, Any]:
    """What is not usual about a task's session in a runtime, as arguments of `Model`.

    Parameters
    ----------
    own : EngineOptions
        Of the task.
    defaults : dict
        Of the runtime, as `runtime_options` gives them.
    """
    found: dict[str, Any] = {**own.unusual(defaults)}
    if "weights" in found:
        found["weights_dir"] = defaults.get("weights_dir", _WEIGHTS_DIR)
    return found


def session_options(arena: Arena, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a model in an arena, as `Arena.options` gives them: its own and else the arena's.

    Raises
    ------
    ArgumentError
        A folder for weights that are not mapped, or that cannot be used.
    """
    found = arena.options()
    found.update({name: given[name] for name in SESSION_WORDS if name in given})
    folder = given.get("weights_dir")
    if folder is None and found["weights"] == "mapped":
        folder = arena.weights_dir
    where = _weights_folder(found["weights"], folder)
    if found["precision"] == "low" and arena.precision != "low" and arena.backend == "cpu":
        _say_precision(arena.native)
    return {**found, "weights_dir": where}


def native_options(arena: Arena, options: Mapping[str, Any]) -> _core.ArenaOptions:
    """The options of a session as the engine room takes them."""
    words = {name: options[name] for name in _core.ArenaOptions.names()}
    return _core.ArenaOptions(
        threads=arena.threads, weights_folder=options["weights_dir"] or "", **{**words, "backend": arena.native.backend}
    )


def own_arena(options: Mapping[str, Any], fallback: str | None) -> Arena:
    """An arena for one model."""
    for name in options:
        if name not in _OPTIONS:
            raise ArgumentError(f"unknown option {name!r}; known are {', '.join(sorted(_OPTIONS))}")
    return Arena(**options, fallback=fallback)


def shared_arena(arena: Arena, options: Mapping[str, Any]) -> Arena:
    """The caller's arena, once those of `options` that models of an arena share are found to be its."""
    if not isinstance(arena, Arena):
        raise ArgumentError(f"arena is a {type(arena).__name__}; pass a mnnlite.Arena")
    for name, value in options.items():
        has = getattr(arena, name) if name in _OPTIONS else None
        if name in _OF_SESSIONS:
            continue  # a session's own
        if has is None:
            raise ArgumentError(f"unknown option {name!r}")
        if has != value:
            raise ArgumentError(
                f"{name} is {value!r} but the arena has {has!r}; models of an arena share it: make another Arena({name}={value!r})"
            )
    return arena
