"""Where a test may map files: a disk, by the kernel's table of mounts and not by what mnnlite says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

IN_MEMORY = {"tmpfs", "ramfs"}


def disk(folder: str = "/var/tmp") -> str:
    """Give the folder back, or skip the test where it cannot be written to or lies in memory."""
    if not os.access(folder, os.W_OK):
        pytest.skip(f"{folder} cannot be written to")
    kinds = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        kinds[Path(mount)] = kind  # a later mount hides an earlier one
    place = Path(folder).resolve()
    kind = next(kinds[each] for each in (place, *place.parents) if each in kinds)
    if kind in IN_MEMORY:
        pytest.skip(f"{folder} lies in memory ({kind})")
    return folder
