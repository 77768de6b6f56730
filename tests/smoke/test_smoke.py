from __future__ import annotations

from collections.abc import Callable

import pytest
from smoke.smoke import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_smoke(check: Callable[[], None]) -> None:
    check()
