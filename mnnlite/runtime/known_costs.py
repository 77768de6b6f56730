"""What networks took on this machine and in which lane they were, kept between runs: where all are known, a start runs none of
them to place them, and moves none.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mnnlite import _core, cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mnnlite.runtime.loaded_task import LoadedTask
    from mnnlite.specs import TaskSpec

__all__ = ["Known", "KnownCosts"]

_KIND = "times"
_LONGEST = 10**12  # nanoseconds of a run
_MOST = 256  # networks of one machine; who was added first goes first


class Known(NamedTuple):
    """Of one network: nanoseconds of a run in a lane of speed 1, and the lane that it was in; 0 and None if not known."""

    cost: int = 0
    lane: int | None = None


class KnownCosts:
    """Of the CPU, by the file and how it is computed. What is wrong in it costs time, and no result. Used under the lock of changes.

    Parameters
    ----------
    lanes : int
        A network's lane is that of a runtime of as many.
    threads : int
        Of networks that do not say.
    options : dict
        Of the lanes.
    """

    def __init__(self, lanes: int, threads: int, options: Mapping[str, str]) -> None:
        self._lanes, self._threads, self._options = lanes, threads, options
        self._known: dict[str, Known] | None = None

    def of(self, spec: TaskSpec) -> Known:
        """What was kept."""
        which = self._which(spec)
        return Known() if which is None else self._all().get(which, Known())

    def keep(self, seen: Iterable[tuple[LoadedTask, int]]) -> None:
        """Keep costs and lanes. One file is written if one is new or a third off; none where the cache is off."""
        made = {
            which: Known(cost, task.lane.index)
            for task, cost in seen
            if cost > 0 and task.lane.backend == "cpu" and (which := self._which(task.spec)) is not None
        }
        known = self._all()
        if all(_is_near(each, known.get(which, Known())) for which, each in made.items()):
            return
        # Read again: another process may have written meanwhile.
        self._known = dict([*{**self._read(), **made}.items()][-_MOST:])
        cache.store(_KIND, self._key(), self._known)

    def _all(self) -> dict[str, Known]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, Known]:
        found = cache.load(_KIND, self._key())
        if not isinstance(found, dict):
            return {}
        return {which: Known(*each) for which, each in found.items() if self._is_valid(each)}

    def _is_valid(self, each: Any) -> bool:
        return (
            isinstance(each, list)
            and len(each) == 2
            and all(isinstance(value, int) for value in each)
            and 0 < each[0] < _LONGEST
            and 0 <= each[1] < self._lanes
        )

    def _key(self) -> str:
        """The engine, the machine (a home may be on several) and the lanes."""
        facts = os.uname()
        text = f"{_core.engine_version()}-{facts.machine}-{facts.nodename}-{self._lanes}"
        return re.sub(r"[^A-Za-z0-9.]", "-", text)

    def _which(self, spec: TaskSpec) -> str | None:
        """All that the time depends on; None for a network that is no file."""
        if not isinstance(spec.model, (str, os.PathLike)):
            return None
        try:
            file = os.stat(spec.model)
        except OSError:
            return None
        options = sorted(spec.engine.unusual(self._options).items()), spec.threads or self._threads
        shapes = sorted((name, list(dims)) for name, dims in (spec.shapes or {}).items())
        where = os.path.abspath(os.fsdecode(spec.model))
        return repr(
            (
                where,
                file.st_size,
                file.st_mtime_ns,
                spec.external and os.fsdecode(spec.external),
                spec.outputs,
                shapes,
                spec.batch,
                options,
            )
        )


def _is_near(new: Known, old: Known) -> bool:
    return new.lane == old.lane and abs(new.cost - old.cost) * 3 <= old.cost
