"""Networks of others that are measured beside the project and are no part of it: a folder ``shared`` next to the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest


def models(checkout: Path) -> Path:
    """The folder of networks; skips where there is none."""
    for folder in checkout.parents:
        if (folder / "shared" / "models").is_dir():
            return folder / "shared" / "models"
    pytest.skip("no folder shared/models beside the checkout: exporters' own networks are no part of the project")
