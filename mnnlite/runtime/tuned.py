"""Options for all tasks together, from what was measured of each network: within a budget of memory or of time.

Reads what `mnnlite tune` stored, and measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mnnlite.alternatives import Group, Item, choose, front
from mnnlite.alternatives.choice import lane_times, peak_of
from mnnlite.alternatives.stored import ACCURACY, load, of_task
from mnnlite.engine_options import GPUS, SESSION_WORDS
from mnnlite.errors import ArgumentError, MemoryBudgetError, StateError
from mnnlite.runtime.budget import A_LANE, held_by, mib, resting
from mnnlite.runtime.loaded_task import needs_of
from mnnlite.runtime.placement import assign_lanes
from mnnlite.runtime.schedule import Schedule, lanes_there

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnnlite.alternatives.stored import Alternative, Front
    from mnnlite.cost import Cost
    from mnnlite.specs import TaskSpec

__all__ = [
    "Choice",
    "choose_options",
    "groups_of",
    "is_said",
    "lanes_of",
    "placed",
    "runs_a_frame",
    "stored_front",
    "tuned",
    "tuned_alternatives",
    "worth_having",
]

_RATE_HZ = 30  # of a camera, for tasks that run so many times a second
_SAME_PEAK = 0.02  # of memory at the worst moment: it is not foretold better; what is held after it then decides
_NOISE = 0.01  # of a time, at least: what two measurements of the same differ by
_HEADROOM = 512 * 1024  # what a frame takes at moments, and its results, beyond the terms; measured, rounded up
_MOST_NOISE = 0.03  # the most that is taken for nothing, however badly it could be measured


@dataclass(frozen=True)
class Choice:
    """An alternative for each task.

    Parameters
    ----------
    tasks : dict of str to Alternative
    lanes : dict of str to int
        Where they are thought to be.
    frame_ms : float
        Of the lane that takes longest: its tasks one after the other, those that do not run on every frame by their share.
    peak : int
        Bytes: the most while they are loaded one after the other, or all run.
    """

    tasks: Mapping[str, Alternative]
    lanes: Mapping[str, int]
    frame_ms: float
    peak: int


def runs_a_frame(schedule: Schedule) -> float:
    """How often a task runs, of a frame of a camera."""
    return min(1.0, schedule.rate_hz / _RATE_HZ) if schedule.rate_hz else 1 / schedule.every


def lanes_of(
    tasks: Mapping[str, TaskSpec],
    schedules: Mapping[str, Schedule],
    count: int,
    times: Mapping[str, float],
    dynamic: Mapping[str, float],
) -> dict[str, int]:
    """As a runtime places groups of tasks that belong together, by what a run of each takes and its feature maps.

    Where tasks say a lane, they are there.

    Raises
    ------
    ArgumentError
        There is no such lane, or tasks that belong together say two.
    """
    group_of: dict[str, int] = {}
    for number, (name, task) in enumerate(tasks.items()):
        joined = {group_of[each] for each in needs_of(task, schedules.get(name, Schedule())) if each in group_of}
        group_of[name] = min(joined, default=number)
        group_of.update({other: group_of[name] for other, group in group_of.items() if group in joined})
    loads = dict.fromkeys(group_of.values(), 0.0)
    for name, group in group_of.items():
        loads[group] += runs_a_frame(schedules.get(name, Schedule())) * times[name]
    memory = [float(max(dynamic[name] for name in group_of if group_of[name] == group)) for group in loads]
    said: dict[int, int] = {}
    for name, group in group_of.items():
        lane = schedules[name].lane if name in schedules else None
        if lane is None:
            continue
        if lane >= count:
            raise ArgumentError(f"task {name!r} says lane {lane}; {lanes_there(count)}")
        if said.setdefault(group, lane) != lane:
            raise ArgumentError(
                f"task {name!r} says lane {lane}, but belongs together with one that says lane {said[group]}; say the same lane "
                "of both"
            )
    now, movable = [said.get(group, 0) for group in loads], [group not in said for group in loads]
    where = (now, movable) if said else (None, None)
    chosen = dict(zip(loads, assign_lanes(list(loads.values()), [1.0] * count, memory, *where), strict=True))
    return {name: chosen[group] for name, group in group_of.items()}


def is_said(task: TaskSpec) -> bool:
    """It says all that there is to choose."""
    return task.backend in GPUS or all(getattr(task, name) is not None for name in SESSION_WORDS)


def stored_front(name: str, task: TaskSpec, threads: int) -> Front:
    """What was measured of a task's network.

    Raises
    ------
    StateError
        Nothing was, on this device, with this engine, of this file and these shapes.
    """
    found = load(task, threads)
    if found is None:
        raise StateError(
            f"tune='auto': nothing was measured of task {name!r} ({task.model}) here: pipeline, network or engine is newer than its "
            "tuning; run mnnlite tune PIPELINE"
        )
    return found


def terms(cost: Cost) -> tuple[int, ...]:
    """What is small in a good alternative."""
    return (cost.weights + cost.overhead + 2 * cost.outputs, cost.dynamic, cost.loading)


def worth_having(found: Sequence[Alternative], accuracy: float) -> tuple[Alternative, ...]:
    """Pareto's front of those that agree well enough with the reference; where times are equal within noise, the smaller ones."""
    right = [each for each in found if each.agreement >= accuracy]
    if not right:
        return ()
    noise = [min(_MOST_NOISE, max(_NOISE, each.noise)) for each in right]
    return tuple(right[i] for i in front([each.ms for each in right], [terms(each.cost) for each in right], noise))


def groups_of(
    tasks: Mapping[str, TaskSpec],
    schedules: Mapping[str, Schedule],
    threads: int,
    lanes: Mapping[str, int],
    fronts: Mapping[str, Sequence[Alternative]],
) -> list[Group]:
    """The tasks in the order of loading, as `mnnlite.alternatives.choose` takes them: microseconds and bytes."""
    groups = []
    for name, spec in tasks.items():
        schedule = schedules.get(name, Schedule())
        shares = spec.image is not None and not isinstance(spec.image, Mapping)
        often = runs_a_frame(schedule)
        items = [
            Item(
                max(1, round(1e3 * each.ms * often)),
                held_by(each.cost, shares),
                resting(each.cost),
                each.cost.loading,
                each.cost.dynamic,
                each.cost.inputs if shares else 0,
            )
            for each in fronts[name]
        ]
        urgent, lane = bool(schedule.preempts), lanes[name]
        groups.append(Group(items, lane, (lane, spec.threads or threads, urgent), (lane, urgent)))
    return groups


def choose_options(
    tasks: Mapping[str, TaskSpec],
    schedules: Mapping[str, Schedule],
    fronts: Mapping[str, Sequence[Alternative]],
    *,
    lanes: int = 1,
    threads: int = 1,
    memory: int | None = None,
    frame_ms: float | None = None,
) -> Choice:
    """Choose for all tasks together.

    Parameters
    ----------
    tasks : dict of str to TaskSpec
        In the order of loading.
    schedules : dict of str to Schedule
    fronts : dict of str to sequence of Alternative
        As `worth_having` gives.
    lanes, threads : int
        Of the runtime.
    memory : int, optional
        Bytes: the least time within them.
    frame_ms : float, optional
        The least memory within it. With neither the least time.

    Raises
    ------
    MemoryBudgetError
        It is too little for any choice.
    ArgumentError
        No choice is so fast; or a task has no alternative.
    """
    for name in tasks:
        if not fronts[name]:
            raise ArgumentError(
                f"task {name!r}: no options agree so well with the reference; allow less with --accuracy"
            )
    first = {name: found[0] for name, found in fronts.items()}
    lane_of = lanes_of(
        tasks,
        schedules,
        lanes,
        {name: each.ms for name, each in first.items()},
        {name: float(each.cost.dynamic) for name, each in first.items()},
    )
    groups = groups_of(tasks, schedules, threads, lane_of, fronts)

    def made(chosen: Sequence[int]) -> Choice:
        picked = {name: fronts[name][index] for name, index in zip(tasks, chosen, strict=True)}
        peak = peak_of(groups, chosen, A_LANE) + _HEADROOM
        return Choice(picked, lane_of, max(lane_times(groups, chosen)) / 1e3, peak)

    limit = None if frame_ms is None else max(1, int(1e3 * frame_ms))
    room = None if memory is None else max(1, memory - _HEADROOM)
    found = choose(groups, memory=room, time=limit, a_lane=A_LANE, slack=_SAME_PEAK)
    if found is not None:
        return made(found)
    if frame_ms is not None:
        fastest = choose(groups, a_lane=A_LANE)
        assert fastest is not None
        raise ArgumentError(
            f"no choice of options takes at most {frame_ms:g} ms a frame; the least is {made(fastest).frame_ms:.1f} ms, with {said(made(fastest))}"
        )
    smallest = choose(groups, time=2**40, a_lane=A_LANE)
    assert smallest is not None
    assert memory is not None
    least = made(smallest)
    raise MemoryBudgetError(
        f"no choice of options fits {mib(memory)}; the least possible is {mib(least.peak)}, with {said(least)}",
        op="tune",
        details={"least": least.peak, "limit": memory},
    )


def said(choice: Choice) -> str:
    """What is not usual about a choice, in words."""
    parts = []
    for name, each in choice.tasks.items():
        unusual = ", ".join(f"{key}={word!r}" for key, word in each.options.unusual({}).items())
        if unusual:
            parts.append(f"{name}: {unusual}")
    return "; ".join(parts) or "the usual options"


def tuned_alternatives(name: str, task: TaskSpec, threads: int) -> tuple[Alternative, ...]:
    """What a task may choose from, by what is stored; what it says itself stays.

    Raises
    ------
    StateError
        Nothing is stored of its network, or not with what it says.
    """
    if task.backend in GPUS:
        raise ArgumentError(
            f"tune='auto' with task {name!r} on backend {task.backend!r}: not yet, only the CPU's options are tuned"
        )
    found = of_task(stored_front(name, task, threads), task)
    if not found:
        raise StateError(
            f"tune='auto': task {name!r} says options that were not measured; run mnnlite tune, or take them away"
        )
    return worth_having(found, ACCURACY) or found[:1]


def tuned(
    tasks: Mapping[str, TaskSpec],
    schedules: Mapping[str, Schedule],
    *,
    lanes: int,
    threads: int,
    memory: int | None,
) -> tuple[dict[str, TaskSpec], Mapping[str, int]]:
    """The tasks with options from what is stored, and their lanes; what a task says itself stays.

    Raises
    ------
    StateError
        Of a network nothing is stored.
    MemoryBudgetError
        No choice fits.
    """
    fronts = {name: tuned_alternatives(name, task, threads) for name, task in tasks.items()}
    choice = choose_options(tasks, schedules, fronts, lanes=lanes, threads=threads, memory=memory)
    return {name: choice.tasks[name].spec(task) for name, task in tasks.items()}, choice.lanes


def placed(
    schedules: Mapping[str, Schedule], lanes: Mapping[str, int], runtime: Mapping[str, Any]
) -> dict[str, Schedule]:
    """Schedules that say the lanes that were reckoned with, where there are several and tasks are not to be moved."""
    if runtime.get("lanes", 1) == 1 or runtime.get("replan"):
        return dict(schedules)
    return {**schedules, **{name: replace(schedules.get(name, Schedule()), lane=lane) for name, lane in lanes.items()}}
