"""``python -m mnnlite``."""

from __future__ import annotations

from mnnlite.cli import program

if __name__ == "__main__":
    program()
