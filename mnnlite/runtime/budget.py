"""The memory budget of a Runtime: what its tasks hold, what one more would, and what would fit instead."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mnnlite import cost
from mnnlite._engine import engine_bytes
from mnnlite.errors import ArgumentError, MemoryBudgetError, MnnliteError
from mnnlite.model import memory_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnnlite.cost import Cost
    from mnnlite.specs import TaskSpec

__all__ = ["Budget", "Share", "parse"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
# What a task and a lane hold beside their terms: plans, result pools, a thread's stack. Measured, rounded up.
_A_TASK = 128 * 1024
_A_LANE = 512 * 1024
_MOST_CHILDREN = 4  # processes that find costs for one kind of choice
_USUAL: Mapping[str, str] = {}  # options of arenas, see `memory_options`


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
    spec: TaskSpec
    cost: Cost
    lane: int
    arena: tuple[str, int]
    shares_input: bool


def cost_of(spec: TaskSpec, threads: int, options: Mapping[str, Any], outputs: Iterable[str] | None = None) -> Cost:
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
        **options,
    )


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


def most(shares: list[Share], new: Share) -> int:
    """Bytes that tasks hold together at the worst moment: while `new` is loaded beside the others, or while all run."""
    lane = [each for each in shares if each.lane == new.lane]
    resting = held([each for each in shares if each.lane != new.lane])
    resting += sum(each.cost.loaded + 2 * each.cost.outputs + _A_TASK for each in lane) + _A_LANE
    return max(resting + new.cost.loading, held([*shares, new]))


class Budget:
    """A limit for the growth of anonymous memory since the budget was made.

    What the engine took when it was loaded is not in it (`engine_bytes`).

    Parameters
    ----------
    limit : int
        Bytes.
    threads, lanes : int
        Of the runtime.
    options : dict
        Of its arenas, as `memory_options` gives them.
    """

    def __init__(self, limit: int, threads: int = 1, lanes: int = 1, options: Mapping[str, str] = _USUAL) -> None:
        self.limit, self.threads, self.lanes, self.options = limit, threads, lanes, options
        self._before = anonymous()

    def grown(self) -> int:
        """Bytes of anonymous memory more than at the beginning."""
        return anonymous() - self._before

    def share_of(self, name: str, spec: TaskSpec, lane: int, outputs: Iterable[str] | None = None) -> Share:
        """What a task of this spec would hold in a lane."""
        found = cost_of(spec, self.threads, self.options, outputs)
        shares = spec.image is not None and not isinstance(spec.image, Mapping)
        return Share(name, spec, found, lane, (spec.precision, spec.threads or self.threads), shares)

    def needed(self, shares: list[Share], new: Share, freed: Iterable[Share] = ()) -> int:
        """The most bytes that will be held while `new` is loaded beside the others, or runs with them.

        While it is loaded its lane holds no feature maps: they are given back before. `freed` is there now, and would not
        be then.
        """
        return self._unknown([*shares, *freed]) + most(shares, new)

    def _unknown(self, there: list[Share]) -> int:
        """What is there that the terms do not know of counts too: other threads, the caller's own arrays."""
        return max(0, self.grown() - held(there))

    def refuse(self, shares: list[Share], new: Share) -> NoReturn:
        """Say what would be exceeded, by how much, and what would fit.

        Raises
        ------
        MemoryBudgetError
        """
        needed = self.needed(shares, new)
        choices = list(self._choices(shares, new))
        hint = "; what would fit: " + ", or ".join(choices) if choices else "; no single change would make it fit"
        raise MemoryBudgetError(
            f"task {new.name!r} would need {_mib(needed)} of a budget of {_mib(self.limit)}, {_mib(needed - self.limit)} "
            f"too many{hint}",
            op="add",
            details={
                "needed": needed,
                "limit": self.limit,
                "over": needed - self.limit,
                "choices": choices,
                "engine": engine_bytes(),
            },
        )

    def _choices(self, shares: list[Share], new: Share) -> Iterator[str]:
        yield from self._removals(shares, new)
        unknown = self._unknown(shares)
        for lanes in range(self.lanes - 1, 0, -1):
            merged = [replace(each, lane=min(each.lane, lanes - 1)) for each in shares]
            if unknown + most(merged, replace(new, lane=min(new.lane, lanes - 1))) <= self.limit:
                yield f"lanes={lanes}"
                break
        # A cost that cannot be found is a choice less.
        with suppress(MnnliteError):
            branches = list(new.spec.outputs or (new.spec.decoder if isinstance(new.spec.decoder, Mapping) else ()))
            for name in branches[:_MOST_CHILDREN] if len(branches) > 1 else []:
                branch = replace(new, cost=cost_of(new.spec, self.threads, self.options, [name]))
                if unknown + most(shares, branch) <= self.limit:
                    yield f"only its branch outputs=[{name!r}]"
        for name, word in (("winograd", "small"), ("weights", "mapped")):
            with suppress(MnnliteError):
                if name not in self.options and len(shares) < _MOST_CHILDREN:
                    options = {**self.options, **memory_options(**{name: word})}
                    changed = [replace(each, cost=cost_of(each.spec, self.threads, options)) for each in (*shares, new)]
                    if unknown + most(changed[:-1], changed[-1]) <= self.limit:
                        yield f"{name}={word!r}"

    def _removals(self, shares: list[Share], new: Share) -> Iterator[str]:
        def fits(gone: list[Share]) -> bool:
            stay = [each for each in shares if all(each is not other for other in gone)]
            return self.needed(stay, new, freed=gone) <= self.limit

        single = [each for each in shares if fits([each])]
        for each in single:
            yield f"removing {each.name!r}"
        largest = sorted(shares, key=lambda each: each.cost.running, reverse=True)
        for count in range(2, len(shares) + 1) if not single else ():
            if fits(largest[:count]):
                yield "removing " + " and ".join(repr(each.name) for each in largest[:count])
                break


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
