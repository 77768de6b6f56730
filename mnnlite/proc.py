"""What the kernel and malloc say this process holds."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite import _core
from mnnlite.errors import StateError
from mnnlite.records import Record

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["MIB", "Process", "files", "high_water", "process", "reset_high_water", "trim"]

MIB = 1 << 20


@dataclass(frozen=True, eq=False, repr=False)
class Process(Record):
    """Memory of this process in bytes, by the kernel's count.

    Parameters
    ----------
    rss : int
        Resident: everything that lies in RAM.
    anonymous : int
        Of that, what belongs to no file: heap, stacks, tensors. This is what a device runs out of.
    private_dirty : int
        What belongs to this process alone and was written; -1 where the kernel does not say.
    file_backed : int
        ``rss - anonymous``: code and mapped files, which the kernel can drop and read again.
    malloc_used, malloc_free : int
        Of `anonymous`, what malloc has handed out and what it holds free; -1 where the C library does not say.
    """

    rss: int
    anonymous: int
    private_dirty: int
    file_backed: int
    malloc_used: int
    malloc_free: int


class _Mallinfo2(ctypes.Structure):
    # glibc's struct mallinfo2 (malloc.h): ten size_t.
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def process() -> Process:
    """Read the memory of this process.

    Returns
    -------
    Process

    Raises
    ------
    StateError
        The kernel does not say: not Linux.

    Notes
    -----
    From ``/proc/self/smaps_rollup``, which is exact. Kernels before 4.14 have ``/proc/self/status`` alone, whose counts lag
    by up to 64 pages a core. Takes a fraction of a millisecond.
    """
    found = _kernel("smaps_rollup")
    rss, anonymous = found.get("Rss"), found.get("Anonymous")
    if rss is None or anonymous is None:
        found = _kernel("status")
        rss, anonymous = found.get("VmRSS"), found.get("RssAnon")
    if rss is None or anonymous is None:
        raise StateError(
            "memory cannot be measured here: neither /proc/self/smaps_rollup nor /proc/self/status tells it"
        )
    used, free = _malloc()
    return Process(rss, anonymous, found.get("Private_Dirty", -1), rss - anonymous, used, free)


def files(inodes: Collection[int]) -> dict[str, int]:
    """Read how much of some mapped files lies in memory.

    Parameters
    ----------
    inodes : collection of int

    Returns
    -------
    dict
        Bytes: ``resident`` (pages of the files that this process has in use), ``dirty`` (of these, not yet written to the
        disk, so that they cannot be dropped at once). From ``/proc/self/smaps``: a fraction of a millisecond, and more with
        many mappings.
    """
    sizes = {"Rss": 0, "Private_Dirty": 0, "Shared_Dirty": 0, "Anonymous": 0}
    mine = False
    with Path("/proc/self/smaps").open(errors="replace") as lines:
        for line in lines:
            first, *rest = line.split(None, 5)
            if not first.endswith(":"):  # a mapping: addresses, rights, offset, device, inode, path
                mine = int(rest[3]) in inodes
            elif mine and first[:-1] in sizes:
                sizes[first[:-1]] += int(rest[0]) * 1024
    # Pages that were written since are no longer the file's.
    return {
        "resident": sizes["Rss"] - sizes["Anonymous"],
        "dirty": max(0, sizes["Private_Dirty"] + sizes["Shared_Dirty"] - sizes["Anonymous"]),
    }


def high_water() -> int | None:
    """The most bytes that were resident since `reset_high_water`, or since the start; None where the kernel does not say."""
    return _kernel("status").get("VmHWM")


def reset_high_water() -> bool:
    """Count the high-water mark from here on. False where that is not allowed, as in a sandbox."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def trim() -> None:
    """Give back to the system what malloc holds free, so that later growth is growth.

    Does nothing with other C libraries than glibc, and where the process keeps its heap as it is (`Runtime`, ``heap``).
    """
    _core.trim_heap()


def _kernel(name: str) -> dict[str, int]:
    """Sizes in bytes by name from a file of this process."""
    try:
        text = Path("/proc/self", name).read_text()
    except OSError:
        return {}
    return {key: int(size) * 1024 for key, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}


def _malloc() -> tuple[int, int]:
    try:
        ask = ctypes.CDLL(None).mallinfo2  # glibc since 2.33
    except (AttributeError, OSError):
        return -1, -1
    ask.restype = _Mallinfo2
    info = ask()
    return info.uordblks + info.hblkhd, info.fordblks
