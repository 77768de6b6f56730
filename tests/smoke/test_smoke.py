from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from smoke.smoke import CHECKS

from helpers import models


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_smoke(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("name", models.MANIFEST)
def test_networks__are_those_of_the_manifest(name: str) -> None:
    data = models.path(name).read_bytes()
    assert len(data) < 100_000
    assert hashlib.sha256(data).hexdigest() == models.MANIFEST[name]["sha256"]
