"""Which cores there are, how fast they are, and which of them a lane gets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnnlite.errors import ArgumentError
from mnnlite.records import Record

__all__ = ["Core", "assign", "read_cores", "shown", "speeds_of"]

SYSFS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, eq=False, repr=False)
class Core(Record):
    """One core, as the kernel describes it.

    Parameters
    ----------
    number : int
    speed : float
        Relative to the fastest of the machine: ``cpu_capacity`` where the kernel gives it (ARM), else the highest clock.
    siblings : tuple of int
        Numbers that share the core's units with it (hyper-threads), itself included.
    """

    number: int
    speed: float
    siblings: tuple[int, ...]


def read_cores(root: Path = SYSFS, allowed: Iterable[int] | None = None) -> list[Core]:
    """Read the cores that this process may use.

    Parameters
    ----------
    root : path
        The kernel's tree of cores.
    allowed : iterable of int, optional
        Numbers to look at; the affinity of the calling thread if not given.

    Returns
    -------
    list of Core
        By number. A core of which the kernel says nothing is as fast as the fastest.
    """
    numbers = sorted(os.sched_getaffinity(0) if allowed is None else allowed)
    capacity = {number: _number(root / f"cpu{number}" / "cpu_capacity") for number in numbers}
    clock = {number: _number(root / f"cpu{number}" / "cpufreq" / "cpuinfo_max_freq") for number in numbers}
    known = capacity if any(capacity.values()) else clock
    most = max((value for value in known.values() if value), default=1.0)
    return [
        Core(
            number,
            (known[number] or most) / most,
            _siblings(root, number),
        )
        for number in numbers
    ]


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _siblings(root: Path, number: int) -> tuple[int, ...]:
    """Numbers as the kernel lists them, ``0-3,8``; the core alone if it does not."""
    try:
        text = (root / f"cpu{number}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        text = ""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return (number,)
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found) if number in found else (number,)


def assign(cores: Sequence[Core], lanes: int, wanted: object, force: bool) -> list[tuple[int, ...]] | None:
    """Give each lane its cores.

    Parameters
    ----------
    cores : sequence of Core
        Those that may be used.
    lanes : int
    wanted : None, "auto" or a list of lists of int
        None: lanes run wherever the kernel puts them. ``"auto"``: one for each lane, the fastest first, hyper-threads last.
        Else the numbers themselves, a list for each lane.
    force : bool
        Let lanes share cores.

    Returns
    -------
    list of tuple of int, or None
        For each lane; None if lanes are not bound.

    Raises
    ------
    ArgumentError
        Numbers that are not there or may not be used, a lane without any, lanes that share cores.
    """
    if wanted is None:
        return None
    if wanted == "auto":
        # The first of each set of hyper-threads before all seconds, the fastest before the slower.
        ranked = sorted(cores, key=lambda core: (core.siblings.index(core.number), -core.speed, core.number))
        return [(ranked[lane % len(ranked)].number,) for lane in range(lanes)]
    if (
        isinstance(wanted, str)
        or not isinstance(wanted, Sequence)
        or not all(isinstance(each, Sequence) for each in wanted)
    ):
        raise ArgumentError(f"cores is {wanted!r}; use 'auto', or a list of core numbers for each lane: [[0, 1], [2]]")
    if len(wanted) != lanes:
        raise ArgumentError(f"cores has {len(wanted)} lists for {lanes} lanes; give each lane its own")
    there = {core.number for core in cores}
    taken: dict[int, int] = {}
    for lane, numbers in enumerate(wanted):
        if not numbers or not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise ArgumentError(f"cores[{lane}] is {numbers!r}; wanted whole numbers, at least one")
        absent = sorted(set(numbers) - there)
        if absent:
            raise ArgumentError(
                f"cores[{lane}]: there is no core {shown(absent)} that this process may use; there are {shown(there)}"
            )
        for number in set(numbers):
            if number in taken and not force:
                raise ArgumentError(
                    f"cores: core {number} is in lanes {taken[number]} and {lane}, which would slow each other down; "
                    "give them different ones, or pass force=True"
                )
            taken[number] = lane
    return [tuple(sorted(set(numbers))) for numbers in wanted]


def speeds_of(cores: Sequence[Core], lanes: int, chosen: Sequence[Sequence[int]] | None) -> list[float]:
    """How fast lanes are, relative to the fastest core: as their slowest one. All 1 if they are not bound."""
    if chosen is None:
        return [1.0] * lanes
    speed = {core.number: core.speed for core in cores}
    return [min(speed[number] for number in numbers) for numbers in chosen]


def shown(numbers: Iterable[int]) -> str:
    """Numbers as the kernel lists them."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
