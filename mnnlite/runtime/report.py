"""What there is to know of a runtime: its plan as text, its memory and counts as data.

The classes of the answers are imported by who asks: a start has no use for them.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mnnlite._engine import engine_bytes
from mnnlite.errors import ClosedError, StateError
from mnnlite.proc import files, process
from mnnlite.runtime.cores import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mnnlite.proc import Process
    from mnnlite.runtime.dispatcher import Dispatcher
    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.runtime.memory import LaneMemory, RuntimeMemory, TaskMemory
    from mnnlite.runtime.rebalancer import Rebalancer
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.runtime.residency import ModelResidency
    from mnnlite.runtime.stats import RuntimeStats
    from mnnlite.task import Task

__all__ = ["RuntimeReport"]


class RuntimeReport:
    """Answers questions about a runtime. Copies what it needs under the registry's lock and reckons without it.

    Parameters
    ----------
    registry, residency, dispatcher, rebalancer, lanes
        Of the runtime.
    threads : int
        Of the engine, in each lane.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        residency: ModelResidency,
        dispatcher: Dispatcher,
        rebalancer: Rebalancer,
        lanes: Sequence[Lane],
        threads: int,
    ) -> None:
        self._registry, self._residency, self._dispatcher = registry, residency, dispatcher
        self._rebalancer, self._lanes, self._threads = rebalancer, lanes, threads
        try:
            self._since: Process | None = process()  # before any task
        except StateError:  # a system that does not tell
            self._since = None

    def plan(self) -> str:
        """As `Runtime.plan` says."""
        lines = []
        scheduler = self._registry.scheduler
        with self._registry.lock:
            load = self._rebalancer.loads()
            for lane in self._lanes:
                where = "" if lane.cores is None else f", cores {shown(lane.cores)}"
                tasks = {name: task for name, task in self._registry.tasks.items() if task.lane is lane}
                head = f"lane {lane.index}: {load[lane.index] / 1e6:.1f} ms a frame, "
                if lane.backend == "cpu":
                    threads, apart = _threads([each for each in tasks.values() if not each.is_on_gpu], self._threads)
                    lines.append(f"{head}threads {threads}{where}{apart}")
                else:
                    lines.append(f"{head}backend {lane.backend}")
                longest = _longest(list(tasks.values()))
                waits_ns = 0 if longest is None else longest.blocking_ns
                if longest is not None:
                    lines[-1] += (
                        f"; what preempts waits {waits_ns / 1e6:.1f} ms at most, for an operator of {longest.name}"
                    )
                for name, task in tasks.items():
                    cost_ns = scheduler.latency.mean(name) or task.cost_ns
                    parts = _parts(task, cost_ns, waits_ns, self._registry.fell_back.get(name))
                    lines.append(f"  {name}: {', '.join(parts)}")
        return "\n".join(lines)

    def memory(self) -> RuntimeMemory:
        """As `Runtime.memory` says."""
        while True:
            loaded = [task for task in self._registry.snapshot().values() if task.absence is None]
            try:
                return self._memory(loaded)
            except ClosedError:
                tasks = self._registry.snapshot()
                if all(tasks.get(task.name) is task and task.absence is None for task in loaded):
                    raise
                # A task left or moved meanwhile: look again.

    def _memory(self, loaded: list[LoadedTask]) -> RuntimeMemory:
        from mnnlite.runtime.memory import RuntimeMemory, TaskMemory, WeightFiles

        known = self._memory_report({each.name: each.task for each in loaded})
        models = {model["model"]: model for model in known.pop("models")}
        tasks: dict[str, TaskMemory] = {}
        first: dict[int, str] = {}  # task of each model
        for each in loaded:
            model = models[each.name]
            owner = first.setdefault(id(each.task.model), each.name)
            terms = each.task.model.memory()
            tasks[each.name] = TaskMemory(
                lane=each.lane.index,
                shares=None if owner == each.name else owner,
                static=terms["static"] if owner == each.name else 0,  # else counted there
                dynamic=terms["dynamic"],
                **{key: value for key, value in model.items() if key != "model"},
            )
        lanes = tuple(
            self._lane_memory(lane, [each for each in loaded if each.lane is lane], tasks) for lane in self._lanes
        )
        inodes = {inode for each in loaded for inode in each.task.model.native.weight_files()}
        return RuntimeMemory(
            tasks=tasks,
            lanes=lanes,
            total=sum(_known([lane.static, lane.dynamic, lane.inputs, -lane.mapped]) for lane in lanes),
            engine=engine_bytes(),
            budget=self._residency.state(),
            weight_files=WeightFiles(**files(inodes)) if inodes else None,
            **known,
        )

    def _lane_memory(self, lane: Lane, mine: list[LoadedTask], tasks: Mapping[str, TaskMemory]) -> LaneMemory:
        from mnnlite.runtime.memory import LaneMemory

        dynamic: dict[int, int | None] = {}
        for each in mine:
            arena, needs = id(each.task.model.arena), tasks[each.name].dynamic
            most = dynamic.get(arena, 0)
            dynamic[arena] = None if needs is None or most is None else max(most, needs)
        return LaneMemory(
            static=_sum([tasks[each.name].static for each in mine]),
            dynamic=_sum(dynamic.values()),
            inputs=sum(tasks[each.name].inputs for each in mine) + lane.inputs.bytes + lane.urgent_inputs.bytes,
            mapped=sum(tasks[each.name].mapped for each in mine),
        )

    def _memory_report(self, tasks: dict[str, Task]) -> dict[str, Any]:
        """What each task holds, and the process beside it; the former alone where the kernel does not say."""
        from mnnlite.memory_report import memory_report, models_memory

        shared = sum(lane.inputs.bytes + lane.urgent_inputs.bytes for lane in self._lanes)
        if self._since is None:
            models = [{**asdict(each), "total": each.total} for each in models_memory(tasks)]
            return {"models": models, "shared_inputs": shared}
        report = memory_report(tasks, self._since, shared)
        return {**report.to_dict(), "process": report.now}

    def stats(self) -> RuntimeStats:
        """As `Runtime.stats` says."""
        from mnnlite.runtime.stats import HungRun, ReplanStats, RuntimeStats  # before the lock is taken

        now = time.monotonic_ns()
        registry = self._registry
        with registry.lock:
            frames, dropped = self._dispatcher.frames, self._dispatcher.dropped
            lanes = tuple(lane.stats(now) for lane in registry.lane_counters)
            hung = tuple(HungRun(name, seconds) for (name, _), seconds in self._dispatcher.hung.items())
            tasks = {
                name: (
                    task.stats.copy(),
                    task.lane.index,
                    (registry.scheduler.tasks[name].quarantined, None if task.absence is None else task.absence.why),
                )
                for name, task in registry.tasks.items()
            }
        replans = tuple(ReplanStats(each.moved, each.longest_ns, each.expected_ns) for each in self._rebalancer.replans)
        found = {name: counters.stats(lane, *why) for name, (counters, lane, why) in tasks.items()}
        return RuntimeStats(frames, dropped, found, lanes, replans, hung)


def _known(terms: Iterable[int | None]) -> int:
    """Of some terms the sum of those that are known."""
    return sum(term for term in terms if term is not None)


def _sum(terms: Iterable[int | None]) -> int | None:
    """The sum of all, or None where one is not known."""
    found = list(terms)
    return None if None in found else _known(found)


def _threads(tasks: Sequence[LoadedTask], usual: int) -> tuple[str, str]:
    """The threads of a lane's tasks; what more than one buffer for feature maps costs, and why there are more."""
    largest: dict[tuple[int, bool], int] = {}
    for task in tasks:
        if task.absence is None:
            arena = (task.spec.threads or usual, bool(task.schedule.preempts))
            largest[arena] = max(largest.get(arena, 0), task.dynamic or 0)
    counts = sorted({count for count, _ in largest})
    said = " and ".join(map(str, counts)) or str(usual)
    if len(largest) < 2:
        return said, ""
    more = sum(largest.values()) - max(largest.values())
    why = [
        *(["threads belong to an arena"] if len(counts) > 1 else []),
        *(["tasks that preempt have their own"] if len({urgent for _, urgent in largest}) > 1 else []),
    ]
    return (
        said,
        f"; {len(largest)} arenas, for {' and '.join(why)}: {more / 2**20:.1f} MiB of feature maps more than one",
    )


def _longest(tasks: Sequence[LoadedTask]) -> LoadedTask | None:
    """The task for whose operator those of the lane that preempt may wait longest, if there are such tasks."""
    if not any(task.schedule.preempts for task in tasks):
        return None
    return max((task for task in tasks if task.blocking_ns), key=lambda task: task.blocking_ns, default=None)


def _parts(task: LoadedTask, cost_ns: int, waits_ns: int, fell_back: str | None) -> Iterator[str]:
    schedule = task.schedule
    yield f"{cost_ns / 1e6:.1f} ms" if cost_ns or task.stats.runs else "no run yet"
    if schedule.every > 1:
        yield f"every {schedule.every} frames"
    if schedule.rate_hz:
        yield f"{schedule.rate_hz:g} a second"
    if schedule.priority:
        yield f"priority {schedule.priority}"
    if schedule.deadline_ms:
        yield f"deadline {schedule.deadline_ms:g} ms"
    if schedule.optional:
        yield "optional"
    if schedule.preempts:
        yield "preempts"
        if schedule.deadline_ns is not None and waits_ns + cost_ns > schedule.deadline_ns:
            yield f"late where it waits those {waits_ns / 1e6:.1f} ms"
    said = {**task.spec.engine.given()}
    backend = task.spec.engine.backend_in(task.lane.options)
    if fell_back is not None:
        yield f"backend {backend} in place of {fell_back}"
    elif backend != "cpu":
        yield f"backend {backend}"
    if task.is_on_gpu and task.absence is None:
        yield "half floats" if task.task.model.facts()["computes_in_half"] else "full floats"
    for name, word in said.items():
        if name not in ("backend", "fallback"):
            yield f"{name} {word}"
    if task.needs:
        yield f"after {', '.join(task.needs)}"
    if task.absence is not None:
        yield task.absence.why
    elif task.dynamic is None:
        yield "feature maps not known"
    else:
        yield f"feature maps {task.dynamic / 2**20:.1f} MiB"
