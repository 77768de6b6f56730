"""What a GPU's driver compiled, and what kernels were tuned to, for one network: kept in `mnnlite.cache` from one load to the next.

The engine reads and writes a file of its own form. It gets one in memory, so that nothing half written is ever on a disk, and that
what it reads is what was once kept: anything else is made anew.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mnnlite import _core, cache
from mnnlite.engine_options import BACKEND_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Buffer

__all__ = ["engine_file", "key_of"]

_KIND = "kernels"
# For a file that is not there the engine complains; this it takes for one that is damaged, without a word.
_NOTHING = bytes(8)
_OF_SESSION = ("precision", "memory_mode")


def key_of(model: str, engine: str, device: tuple[str, str, str], options: Mapping[str, Any]) -> str:
    """All that what is kept depends on.

    Parameters
    ----------
    model : str
        The SHA-256 of its content.
    engine : str
        Version and file.
    device : (str, str, str)
        Name, version, driver.
    options : dict
        Of the session and its arena.
    """
    words = [f"{name}={options[name]}" for name in (*BACKEND_WORDS, *_OF_SESSION)]
    return "\n".join([model, engine, *device, *words])


@contextmanager
def engine_file(model: Buffer, options: Mapping[str, Any]) -> Iterator[str]:
    """Give the path of a file in memory with what is kept for a network, and keep what is in it afterwards if that is more.

    Parameters
    ----------
    model : bytes-like
    options : dict
        As for `key_of`.
    """
    devices = _core.gpu_devices(options["backend"])[0]
    if cache.folder() is None or not devices:
        yield ""
        return
    import hashlib

    path = _core.engine_path()
    facts = os.stat(path)
    engine = f"{_core.__version__} {_core.engine_version()} {path} {facts.st_size} {facts.st_mtime_ns}"
    key = key_of(hashlib.sha256(model).hexdigest(), engine, devices[0], options)
    before = cache.load_bytes(_KIND, key)
    descriptor = os.memfd_create("mnnlite-kernels", os.MFD_CLOEXEC)
    try:
        at, content = 0, before or _NOTHING
        while at < len(content):
            at += os.write(descriptor, content[at : at + (1 << 24)])
        yield f"/proc/self/fd/{descriptor}"
        after = _read(descriptor)
    finally:
        os.close(descriptor)
    if after != content:
        cache.store_bytes(_KIND, key, after)


def _read(descriptor: int) -> bytes:
    parts: list[bytes] = []
    at = 0
    while part := os.pread(descriptor, 1 << 24, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)
