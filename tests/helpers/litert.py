"""LiteRT is in the test group where it has a wheel; there its absence is a fault, not a reason to skip."""

from __future__ import annotations

import sys

import pytest

EXISTS = sys.version_info < (3, 14)  # as in pyproject.toml
needed = pytest.mark.skipif(not EXISTS, reason="LiteRT has no wheel for Python 3.14")
