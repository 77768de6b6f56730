"""Which alternatives of one network are worth having. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["front"]


def front(times: Sequence[float], memory: Sequence[Sequence[float]], noise: Sequence[float] | None = None) -> list[int]:
    """Indices of the alternatives that no other one makes superfluous, in their order (Pareto's front).

    Parameters
    ----------
    times : sequence of float
    memory : sequence of sequence of float
        Terms of each; less is better in each.
    noise : sequence of float, optional
        Of each time, as a fraction. Times that differ by no more than the larger one's of the two are equal. Where they are, the
        smaller one in memory stays, and of those that are equal in memory as well the first one.

    Returns
    -------
    list of int
        At least one. What is left out is dominated by one that stays.
    """
    order = sorted(range(len(times)), key=lambda i: (list(memory[i]), times[i], i))
    kept: list[int] = []
    for i in order:  # whoever can dominate an alternative stands before it, or is as large
        if not any(
            _at_most(memory[j], memory[i]) and times[j] <= times[i] * (1 + (max(noise[i], noise[j]) if noise else 0.0))
            for j in kept
        ):
            kept.append(i)
    return sorted(kept)


def _at_most(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))
