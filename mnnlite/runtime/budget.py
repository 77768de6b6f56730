"""The memory budget of a Runtime: what its tasks hold, what one more would, and what would fit instead."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite._engine import engine_bytes
from mnnlite.arena import runtime_options, task_options
from mnnlite.errors import ArgumentError, MemoryBudgetError, MnnliteError
from mnnlite.proc import trim
from mnnlite.task import image_hints

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnnlite.cost import Cost
    from mnnlite.specs import TaskSpec

__all__ = ["A_LANE", "Budget", "MemoryDemand", "NoRoomError", "held", "held_by", "mib", "most", "parse", "resting"]

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
# What a task and a lane hold beside their terms: plans, result pools, a thread's stack. Measured, rounded up.
_A_TASK = 128 * 1024
A_LANE = 512 * 1024
_A_PAGE = 4096  # a number below it was meant in another unit
_MOST_CHILDREN = 4  # processes that find costs for one kind of choice
_USUAL: Mapping[str, str] = {}  # options of a runtime, see `runtime_options`


def parse(memory: str | int) -> int:
    """Bytes of ``"64 MiB"``, ``"1.5 GB"`` or a number of bytes.

    Raises
    ------
    ArgumentError
    """
    if isinstance(memory, int) and not isinstance(memory, bool) and memory > 0:
        if memory < _A_PAGE:
            raise ArgumentError(f"memory is {memory}, and a number counts bytes; with a unit it is '{memory} MiB'")
        return memory
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", memory) if isinstance(memory, str) else None
    if found is None or found[2].lower() not in _UNITS or float(found[1]) == 0:
        raise ArgumentError(
            f"memory is {memory!r}; it must be a number of bytes, or a text with a unit such as '64 MiB'"
        )
    return int(float(found[1]) * _UNITS[found[2].lower()])


def anonymous() -> int:
    """Bytes of anonymous memory that this process holds."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@dataclass(frozen=True, eq=False, repr=False)
class MemoryDemand:
    """What one task needs, and where."""

    name: str
    spec: TaskSpec
    cost: Cost
    lane: int
    threads: int  # those of a lane with as many share an arena
    shares_input: bool
    preempts: bool = False  # in an arena, and with a picture, of these tasks


def cost_of(spec: TaskSpec, threads: int, options: Mapping[str, str], outputs: Iterable[str] | None = None) -> Cost:
    """Of a task's model in a runtime of these options; from the cache if it is known."""
    if not isinstance(spec.model, (str, os.PathLike)):
        raise ArgumentError(
            "with a memory budget a model must be a file, so that its cost can be found before it is loaded"
        )
    backend = spec.engine.backend_in(options)
    if backend != "cpu":
        raise ArgumentError(
            f"memory of a network on backend {backend!r} is not known before it is loaded: the engine does not count it; a budget "
            "(memory=) and a prediction are for the CPU alone, not yet for that"
        )
    chosen = list(outputs) if outputs is not None else spec.outputs
    from mnnlite import cost  # those who have no budget do without

    return cost.of(
        spec.model,
        outputs=chosen,
        shapes=spec.shapes,
        external=spec.external,
        images=image_hints(spec),
        threads=spec.threads or threads,
        **task_options(spec.engine, options),
    )


def held_by(found: Cost, shares_input: bool) -> int:
    """Bytes that a task holds alone while it runs: without the feature maps, and pictures, that it shares with others."""
    # Outputs twice: results travel while the next frame is worked on.
    own = found.static + found.overhead + found.outputs + _A_TASK
    return own if shares_input else own + found.inputs + found.staging


def resting(found: Cost) -> int:
    """Bytes that a task holds while another one of its lane is loaded."""
    return found.loaded + 2 * found.outputs + _A_TASK


def held(demands: Iterable[MemoryDemand]) -> int:
    """Bytes that tasks hold together while they run."""
    total = 0
    dynamic: dict[tuple[int, int, bool], int] = {}
    inputs: dict[tuple[int, bool], int] = {}
    for each in demands:
        found = each.cost
        total += held_by(found, each.shares_input)
        arena = (each.lane, each.threads, each.preempts)
        dynamic[arena] = max(dynamic.get(arena, 0), found.dynamic)
        if each.shares_input:
            pool = (each.lane, each.preempts)
            inputs[pool] = max(inputs.get(pool, 0), found.inputs)
    lanes = {lane for lane, _, _ in dynamic}
    return total + sum(dynamic.values()) + sum(inputs.values()) + len(lanes) * A_LANE


def most(demands: list[MemoryDemand], new: MemoryDemand) -> int:
    """Bytes that tasks hold together at the worst moment: while `new` is loaded beside the others, or while all run."""
    lane = [each for each in demands if each.lane == new.lane]
    there = held([each for each in demands if each.lane != new.lane])
    there += sum(resting(each.cost) for each in lane) + A_LANE
    return max(there + new.cost.loading, held([*demands, new]))


class NoRoomError(MemoryBudgetError):
    """A task does not fit; what would is not known yet, see `Budget.refusal`."""

    def __init__(self, demands: list[MemoryDemand], new: MemoryDemand, needed: int, limit: int) -> None:
        super().__init__(
            f"task {new.name!r} would need {mib(needed)} of a budget of {mib(limit)}, {mib(needed - limit)} too many",
            op="add",
        )
        self.demands, self.new = demands, new


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
        What its tasks have that do not say otherwise, as `runtime_options` gives them.
    """

    def __init__(self, limit: int, threads: int = 1, lanes: int = 1, options: Mapping[str, str] = _USUAL) -> None:
        self.limit, self.threads, self.lanes, self.options = limit, threads, lanes, options
        for module in ("mnnlite.cost", "mnnlite.memory_report", "mnnlite.runtime.memory"):
            import_module(module)  # the limit is for tasks: what tells of them is there before
        trim()  # or what is free now would be room beyond the limit
        self._before = anonymous()

    def grown(self) -> int:
        """Bytes of anonymous memory more than at the beginning."""
        return anonymous() - self._before

    def demand_of(
        self, name: str, spec: TaskSpec, lane: int, outputs: Iterable[str] | None = None, *, preempts: bool = False
    ) -> MemoryDemand:
        """What a task of this spec would hold in a lane."""
        found = cost_of(spec, self.threads, self.options, outputs)
        return self.demand_with(name, spec, lane, found, preempts=preempts)

    def demand_with(self, name: str, spec: TaskSpec, lane: int, found: Cost, *, preempts: bool = False) -> MemoryDemand:
        """The same where the cost is known."""
        shares = spec.image is not None and not isinstance(spec.image, Mapping)
        return MemoryDemand(name, spec, found, lane, spec.threads or self.threads, shares, preempts)

    def needed(self, demands: list[MemoryDemand], new: MemoryDemand, freed: Iterable[MemoryDemand] = ()) -> int:
        """The most bytes that will be held while `new` is loaded beside the others, or runs with them.

        While it is loaded its lane holds no feature maps: they are given back before. `freed` is there now, and would not
        be then.
        """
        return self.unknown([*demands, *freed]) + most(demands, new)

    def unknown(self, there: list[MemoryDemand]) -> int:
        """What is there that the terms do not know of counts too: other threads, the caller's own arrays."""
        return max(0, self.grown() - held(there))

    def refusal(self, error: NoRoomError) -> MemoryBudgetError:
        """Say what would be exceeded, by how much, and what would fit. May start child processes: hold nothing meanwhile."""
        demands, new = error.demands, error.new
        needed = self.needed(demands, new)
        choices = [*self._tuned(demands, new), *self._choices(demands, new)]
        hint = "; what would fit: " + ", or ".join(choices) if choices else "; no single change would make it fit"
        return MemoryBudgetError(
            f"{error}{hint}",
            op="add",
            details={
                "needed": needed,
                "limit": self.limit,
                "over": needed - self.limit,
                "choices": choices,
                "engine": engine_bytes(),
            },
        )

    def _choices(self, demands: list[MemoryDemand], new: MemoryDemand) -> Iterator[str]:
        yield from self._removals(demands, new)
        unknown = self.unknown(demands)
        for lanes in range(self.lanes - 1, 0, -1):
            merged = [replace(each, lane=min(each.lane, lanes - 1)) for each in demands]
            if unknown + most(merged, replace(new, lane=min(new.lane, lanes - 1))) <= self.limit:
                yield f"lanes={lanes}"
                break
        # A cost that cannot be found is a choice less.
        with suppress(MnnliteError):
            branches = list(new.spec.outputs or (new.spec.decoder if isinstance(new.spec.decoder, Mapping) else ()))
            for name in branches[:_MOST_CHILDREN] if len(branches) > 1 else []:
                branch = replace(new, cost=cost_of(new.spec, self.threads, self.options, [name]))
                if unknown + most(demands, branch) <= self.limit:
                    yield f"only its branch outputs=[{name!r}]"
        for name, word in (("winograd", "small"), ("weights", "mapped")):
            with suppress(MnnliteError):
                if name not in self.options and len(demands) < _MOST_CHILDREN:
                    options = {**self.options, **runtime_options(**{name: word})}
                    changed = [
                        replace(each, cost=cost_of(each.spec, self.threads, options)) for each in (*demands, new)
                    ]
                    if unknown + most(changed[:-1], changed[-1]) <= self.limit:
                        yield f"{name}={word!r}"

    def _tuned(self, demands: list[MemoryDemand], new: MemoryDemand) -> list[str]:
        """The change of one task's options that costs the least time of those that suffice, by what `mnnlite tune` measured."""
        from mnnlite.alternatives.stored import ACCURACY, load  # for the advice of an error only

        tasks, unknown = [*demands, new], self.unknown(demands)
        found: list[tuple[float, str]] = []
        for index, each in enumerate(tasks):
            known = None
            with suppress(MnnliteError, OSError):
                known = load(each.spec, self.threads)
            said = each.spec.engine.unusual(self.options)
            ways = () if known is None else known.alternatives
            now = next((one for one in ways if one.options.unusual({}) == said), None)
            for one in ways if now is not None else ():
                assert now is not None
                changed = [*tasks]
                changed[index] = replace(each, cost=one.cost)
                if one is now or one.agreement < ACCURACY or unknown + most(changed[:-1], changed[-1]) > self.limit:
                    continue
                words = one.options.given().items() - now.options.given().items()
                text = " and ".join(f"{key}={word!r}" for key, word in sorted(words))
                more = one.ms - now.ms
                found.append((more, f"{text} of task {each.name!r} ({more:+.1f} ms a frame)"))
        return [min(found)[1]] if found else []

    def _removals(self, demands: list[MemoryDemand], new: MemoryDemand) -> Iterator[str]:
        def fits(gone: list[MemoryDemand]) -> bool:
            stay = [each for each in demands if all(each is not other for other in gone)]
            return self.needed(stay, new, freed=gone) <= self.limit

        single = [each for each in demands if fits([each])]
        for each in single:
            yield f"removing {each.name!r}"
        largest = sorted(demands, key=lambda each: each.cost.running, reverse=True)
        for count in range(2, len(demands) + 1) if not single else ():
            if fits(largest[:count]):
                yield "removing " + " and ".join(repr(each.name) for each in largest[:count])
                break


def mib(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 2**20:.1f} MiB"
