"""What a test needs of the kernel, asked of the kernel and not of mnnlite."""

from __future__ import annotations

import pytest


def needs_peaks() -> None:
    """Skip the test where the kernel does not measure peaks anew (``/proc/self/clear_refs``)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pytest.skip("this kernel does not measure peaks")
