"""The memory budget of a Runtime: what its tasks hold, what one more would, and what would fit instead."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mnnlite import cost
from mnnlite.errors import ArgumentError, MemoryBudgetError, MnnliteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnnlite.cost import Cost
    from mnnlite.specs import TaskSpec

__all__ = ["Budget", "Share", "parse"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
# What a task and a lane hold beside their terms: plans, result pools, a thread's stack. Measured, rounded up.
_A_TASK = 128 * 1024
_A_LANE = 512 * 1024
_MOST_BRANCHES = 4  # that are tried for a choice, a child process each


def parse(memory: str | int) -> int:
    """Bytes of ``"64 MiB"``, ``"1.5 GB"`` or a number of bytes.

    Raises
    ------
    ArgumentError
    """
    if isinstance(memory, int) and not isinstance(memory, bool) and memory > 0:
        return memory
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", memory) if isinstance(memory, str) else None
    if found is None or found[2].lower() not in _UNITS or float(found[1]) == 0:
        raise ArgumentError(f"memory is {memory!r}; it must be bytes, or a text such as '64 MiB'")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def anonymous() -> int:
    """Bytes of anonymous memory that this process holds."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@dataclass(frozen=True)
class Share:
    """What one task holds, and where."""

    name: str
    cost: Cost
    lane: int
    arena: tuple[str, int]
    shares_input: bool


def cost_of(spec: TaskSpec, threads: int, outputs: Iterable[str] | None = None) -> Cost:
    """Of a task's model; from the cache if it is known."""
    if not isinstance(spec.model, (str, os.PathLike)):
        raise ArgumentError(
            "with a memory budget a model must be a file, so that its cost can be found before it is loaded"
        )
    images = {} if spec.image is None else spec.image
    named: dict[str, Any] = dict(images) if isinstance(images, Mapping) else {"": images}
    hints = [
        (name, *(each.size or (0, 0)), each.channels, spec.batch, each.layout or "") for name, each in named.items()
    ]
    chosen = list(outputs) if outputs is not None else spec.outputs
    return cost.of(
        spec.model,
        outputs=chosen,
        shapes=spec.shapes,
        external=spec.external,
        images=hints,
        precision=spec.precision,
        threads=spec.threads or threads,
    )


def share_of(name: str, spec: TaskSpec, found: Cost, lane: int, threads: int) -> Share:
    """What a task of this spec holds in a lane."""
    shares = spec.image is not None and not isinstance(spec.image, Mapping)
    return Share(name, found, lane, (spec.precision, spec.threads or threads), shares)


def held(shares: Iterable[Share]) -> int:
    """Bytes that tasks hold together while they run."""
    total = 0
    dynamic: dict[tuple[int, tuple[str, int]], int] = {}
    inputs: dict[int, int] = {}
    for each in shares:
        found = each.cost
        # Outputs twice: results travel while the next frame is worked on.
        total += found.static + found.overhead + found.outputs + _A_TASK
        arena = (each.lane, each.arena)
        dynamic[arena] = max(dynamic.get(arena, 0), found.dynamic)
        if each.shares_input:
            inputs[each.lane] = max(inputs.get(each.lane, 0), found.inputs)
        else:
            total += found.inputs + found.staging
    lanes = {lane for lane, _ in dynamic}
    return total + sum(dynamic.values()) + sum(inputs.values()) + len(lanes) * _A_LANE


class Budget:
    """A limit for the growth of anonymous memory since the budget was made.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._before = anonymous()

    def grown(self) -> int:
        """Bytes of anonymous memory more than at the beginning."""
        return anonymous() - self._before

    def needed(self, shares: list[Share], new: Share, freed: Iterable[Share] = ()) -> int:
        """The most bytes that will be held while `new` is loaded beside the others, or runs with them.

        While it is loaded its lane holds no feature maps: they are given back before. `freed` is there now, and would not
        be then.
        """
        # What is there that the terms do not know of counts too: other threads, the caller's own arrays.
        unknown = max(0, self.grown() - held([*shares, *freed]))
        lane = [each for each in shares if each.lane == new.lane]
        resting = held([each for each in shares if each.lane != new.lane])
        resting += sum(each.cost.loaded + 2 * each.cost.outputs + _A_TASK for each in lane) + _A_LANE
        return unknown + max(resting + new.cost.loading, held([*shares, new]))

    def refuse(self, shares: list[Share], new: Share, spec: TaskSpec, threads: int, lanes: int) -> NoReturn:
        """Say what would be exceeded, by how much, and what would fit.

        Raises
        ------
        MemoryBudgetError
        """
        needed = self.needed(shares, new)
        choices = self._choices(shares, new, spec, threads, lanes)
        hint = "; what would fit: " + ", or ".join(choices) if choices else "; no single change would make it fit"
        raise MemoryBudgetError(
            f"task {new.name!r} would need {_mib(needed)} of a budget of {_mib(self.limit)}, {_mib(needed - self.limit)} "
            f"too many{hint}",
            op="add",
            details={"needed": needed, "limit": self.limit, "over": needed - self.limit, "choices": choices},
        )

    def _choices(self, shares: list[Share], new: Share, spec: TaskSpec, threads: int, lanes: int) -> list[str]:
        found = [
            f"removing {each.name!r}"
            for each in shares
            if self.needed([other for other in shares if other is not each], new, freed=[each]) <= self.limit
        ]
        if lanes > 1:
            one = [_in_lane(each, 0) for each in shares]
            if self.needed(one, _in_lane(new, 0)) <= self.limit:
                found.append("lanes=1")
        try:
            branches = self._outputs(spec)
            for name in branches[:_MOST_BRANCHES] if len(branches) > 1 else []:
                branch = Share(new.name, cost_of(spec, threads, [name]), new.lane, new.arena, new.shares_input)
                if self.needed(shares, branch) <= self.limit:
                    found.append(f"only its branch outputs=[{name!r}]")
        except MnnliteError:
            pass  # a choice less
        return found

    @staticmethod
    def _outputs(spec: TaskSpec) -> list[str]:
        return list(spec.outputs or (spec.decoder if isinstance(spec.decoder, Mapping) else ()))


def _in_lane(share: Share, lane: int) -> Share:
    return Share(share.name, share.cost, lane, share.arena, share.shares_input)


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
