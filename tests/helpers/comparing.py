"""Whether two ways gave the same."""

from __future__ import annotations

from typing import Any

import numpy as np


def same(found: Any, expected: Any) -> None:
    """Assert that results of a task, or its outputs by name, are equal to the bit."""
    assert type(found) is type(expected)
    assert len(found) == len(expected)
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)
        return
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert found.to_json() == expected.to_json()
