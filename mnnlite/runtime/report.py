"""What there is to know of a runtime: its plan as text, its memory and counts as data."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mnnlite._engine import engine_bytes
from mnnlite.errors import ClosedError
from mnnlite.memory_report import memory_report, models_memory
from mnnlite.proc import files
from mnnlite.runtime.cores import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.runtime.entry import Entry
    from mnnlite.runtime.flights import Flights
    from mnnlite.runtime.roster import Roster
    from mnnlite.runtime.rules import Rule
    from mnnlite.task import Task

__all__ = ["memory_of", "plan_text", "stats_of"]


def plan_text(roster: Roster) -> str:
    """As `Runtime.plan` says."""
    lines = []
    scheduler = roster.flights.scheduler
    with roster.flights.lock:
        load = roster.placer.loads()
        for lane in roster.lanes:
            where = "" if lane.cores is None else f", cores {shown(lane.cores)}"
            lines.append(f"lane {lane.index}: {load[lane.index] / 1e6:.1f} ms a frame, threads {roster.threads}{where}")
            for name, rule in scheduler.rules.items():
                if rule.lane == lane.index:
                    parts = _parts(rule, roster.entries[name], scheduler.costs.mean(name))
                    lines.append(f"  {name}: {', '.join(parts)}")
    return "\n".join(lines)


def _parts(rule: Rule, entry: Entry, cost_ns: int) -> Iterator[str]:
    yield f"{cost_ns / 1e6:.1f} ms"
    if rule.every > 1:
        yield f"every {rule.every} frames"
    if rule.rate_hz:
        yield f"{rule.rate_hz:g} a second"
    if rule.priority:
        yield f"priority {rule.priority}"
    if rule.deadline_ns:
        yield f"deadline {rule.deadline_ns / 1e6:g} ms"
    if rule.optional:
        yield "optional"
    if rule.needs:
        yield f"after {', '.join(rule.needs)}"
    if entry.evicted:
        yield "evicted"
    else:
        yield f"feature maps {entry.task.model.memory()['dynamic'] / 2**20:.1f} MiB"


def memory_of(roster: Roster) -> dict[str, Any]:
    """As `Runtime.memory` says."""
    while True:
        with roster.flights.lock:
            entries = [entry for entry in roster.entries.values() if not entry.evicted]
            tasks = [entry.task for entry in entries]
        try:
            return _memory_of(roster, entries)
        except ClosedError:
            with roster.flights.lock:
                now = [roster.entries.get(entry.name) is entry and entry.task for entry in entries]
            if all(task is then for task, then in zip(now, tasks, strict=True)):
                raise
            # A task left or moved meanwhile: look again.


def _memory_of(roster: Roster, entries: list[Entry]) -> dict[str, Any]:
    tasks: dict[str, Any] = {}
    first: dict[int, str] = {}  # task of each model
    for entry in entries:
        terms: dict[str, Any] = {**entry.task.model.memory(), "lane": entry.lane.index}
        owner = first.setdefault(id(entry.task.model), entry.name)
        if owner != entry.name:  # counted there
            terms.update(dict.fromkeys(("model_buffer", "static", "inputs", "outputs", "mapped"), 0), shares=owner)
        tasks[entry.name] = terms
    held = _memory_report(roster, {entry.name: entry.task for entry in entries})
    for each in held.pop("models"):
        tasks[each.pop("model")].update(each)
    lanes = []
    for lane in roster.lanes:
        mine = [entry for entry in entries if entry.lane is lane]
        dynamic: dict[int, int] = {}
        for entry in mine:
            arena = id(entry.task.model.arena)
            dynamic[arena] = max(dynamic.get(arena, 0), tasks[entry.name]["dynamic"])
        lanes.append(
            {
                "static": sum(tasks[entry.name]["static"] for entry in mine),
                "dynamic": sum(dynamic.values()),
                "inputs": sum(tasks[entry.name]["inputs"] for entry in mine) + lane.inputs.bytes,
                "mapped": sum(tasks[entry.name]["mapped"] for entry in mine),
            }
        )
    found: dict[str, Any] = {
        "tasks": tasks,
        "lanes": lanes,
        "total": sum(lane["static"] - lane["mapped"] + lane["dynamic"] + lane["inputs"] for lane in lanes),
        "engine": engine_bytes(),
        **held,
    }
    inodes = {inode for entry in entries for inode in entry.task.model.native.weight_files()}
    if inodes:
        found["weight_files"] = files(inodes)
    return found if roster.store is None else {**found, "budget": roster.store.summary()}


def _memory_report(roster: Roster, tasks: dict[str, Task]) -> dict[str, Any]:
    """What each task holds, and the process beside it; the former alone where the kernel does not say."""
    shared = sum(lane.inputs.bytes for lane in roster.lanes)
    if roster.since is not None:
        return memory_report(tasks, roster.since, shared).to_dict()
    return {"models": [{**asdict(each), "total": each.total} for each in models_memory(tasks)], "shared_inputs": shared}


def stats_of(flights: Flights) -> dict[str, Any]:
    """As `Runtime.stats` says."""
    now = time.monotonic_ns()
    with flights.lock:
        return {
            "frames": flights.frames,
            "dropped": flights.dropped,
            "tasks": {
                name: {**entry.stats.summary(), "lane": entry.lane.index, "parked": flights.scheduler.parked(name)}
                for name, entry in flights.entries.items()
            },
            "lanes": [lane.summary(now) for lane in flights.lane_stats],
            "replans": [
                {"moved": each.moved, "longest_ns": each.longest_ns, "expected_ns": each.expected_ns}
                for each in flights.replans
            ],
            "hung": [{"task": name, "seconds": seconds} for (name, _), seconds in flights.hung.items()],
        }
