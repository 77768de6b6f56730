"""``python -m mnnlite``."""

from __future__ import annotations

import sys

from mnnlite.cli import main

if __name__ == "__main__":
    sys.exit(main())
