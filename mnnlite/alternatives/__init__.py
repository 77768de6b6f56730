"""Ways to compute a network: which of them are worth having, which to take for all tasks together, and what was measured."""

from __future__ import annotations

from mnnlite.alternatives.choice import Group, Item, choose
from mnnlite.alternatives.front import front

__all__ = ["Group", "Item", "choose", "front"]
