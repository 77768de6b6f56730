"""Find MNN and load it before the extension, whose MNN symbols are left undefined on purpose.

The wheel of MNN on PyPI is one shared library with the whole engine. It has no name that a linker could record and may
lie anywhere on ``sys.path``, so it is loaded here, once, with its symbols visible to what comes after. The package
``MNN`` itself is not imported.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import sys

from mnnlite.errors import EngineNotFoundError, EngineVersionError

__all__ = ["engine_bytes", "load"]

FIX = 'install it with: pip install "MNN>=3.0.0,<4"'


_taken = 0


def engine_bytes() -> int:
    """Bytes of anonymous memory that the engine and the extension took when they were loaded: their fixed cost."""
    return _taken


def load() -> None:
    """Load the engine, then the extension, and check that they fit.

    Raises
    ------
    EngineNotFoundError
        MNN is not installed, or its library cannot be loaded.
    EngineVersionError
        MNN is outside the supported range, lacks a function, or is laid out differently.
    """
    if "t" in sys.abiflags:
        raise ImportError(
            f"this is a free-threaded build of Python ({sys.implementation.cache_tag}{sys.abiflags}), for which the engine MNN "
            "has no wheels; mnnlite needs a build with the GIL, and releases it for the work of each frame"
        )
    try:
        from mnnlite import _build  # type: ignore[attr-defined,unused-ignore]
    except ImportError as error:
        raise ImportError(
            f"mnnlite has no compiled extension in {os.path.dirname(__file__)}: this is the source folder, not an "
            "installation; run `pip install .` and start Python outside the checkout"
        ) from error
    global _taken
    before = _anonymous()
    if _build.PROVIDER == "wheel":
        _load_wheel(_build.SYMBOLS)
    try:
        from mnnlite import _core
    except ImportError as error:
        if _build.PROVIDER == "wheel":
            raise
        raise EngineNotFoundError(
            f"this build of mnnlite needs the MNN SDK it was linked with: {error}; put its folder on LD_LIBRARY_PATH",
            op="import",
        ) from error
    _core.check_engine()
    atexit.register(_core.end_process)  # registered first, so called last
    _taken = _anonymous() - before


def _anonymous() -> int:
    # As mnnlite.proc does, which an import need not wait for.
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _load_wheel(symbols: tuple[str, ...]) -> None:
    spec = importlib.util.find_spec("_mnncengine")
    if spec is None or spec.origin is None:
        raise EngineNotFoundError(f"the engine MNN is not installed for this Python; {FIX}", op="import")
    try:
        engine = ctypes.CDLL(spec.origin, mode=ctypes.RTLD_GLOBAL | os.RTLD_NOW)
    except OSError as error:
        raise EngineNotFoundError(f"the engine {spec.origin} cannot be loaded: {error}; {FIX}", op="import") from error
    version = _version(engine)
    if not version.startswith("3."):
        raise EngineVersionError(f"MNN {version} is outside the supported range; {FIX}", op="import")
    missing = [name for name in symbols if not hasattr(engine, name)]
    if missing:
        raise EngineVersionError(
            f"MNN {version} lacks {len(missing)} of the {len(symbols)} functions this build of mnnlite uses "
            f"(the first is {missing[0]}); {FIX}, or rebuild mnnlite against this engine",
            op="import",
        )


def _version(engine: ctypes.CDLL) -> str:
    try:
        function = engine._ZN3MNN10getVersionEv
    except AttributeError:
        raise EngineVersionError(f"{engine._name} exports no MNN::getVersion: too old; {FIX}", op="import") from None
    function.restype = ctypes.c_char_p
    return str(function().decode())
