"""How a command ends, said once: `mnnlite.cli.main` returns one of these, and the documentation lists them."""

from __future__ import annotations

__all__ = ["BAD_INPUT", "FINDING", "FINE", "INTERRUPTED", "MEANINGS", "OWN_FAULT", "TERMINATED"]

FINE = 0
FINDING = 1
BAD_INPUT = 2
OWN_FAULT = 3
INTERRUPTED = 130  # 128 and the number of the signal, as shells say it
TERMINATED = 143

MEANINGS = {
    FINE: "fine",
    FINDING: "a finding, or a source that ended in damage after a whole summary",
    BAD_INPUT: "bad input",
    OWN_FAULT: "a fault of mnnlite itself",
    INTERRUPTED: "interrupted (Ctrl-C)",
    TERMINATED: "terminated (SIGTERM)",
}
