"""Several tasks at once: which of them must be in one lane, and how the lanes load them side by side."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnnlite.errors import MnnliteError, name_task
from mnnlite.records import Record
from mnnlite.runtime.loaded_task import LoadedTask, needs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mnnlite.runtime.lane import Lane
    from mnnlite.runtime.schedule import Schedule
    from mnnlite.specs import TaskSpec

__all__ = ["NewTask", "connected", "load_side_by_side"]


@dataclass(frozen=True, eq=False, repr=False)
class NewTask(Record):
    """A task that is to be loaded.

    Parameters
    ----------
    name, spec, schedule
        As they are to be.
    wanted : str, optional
        The backend that it was to have, if it fell back.
    is_automatic : bool
        It preempts where it needs to; the schedule says that it does not.
    """

    name: str
    spec: TaskSpec
    schedule: Schedule
    wanted: str | None
    is_automatic: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the tasks that this one takes something from."""
        return needs_of(self.spec, self.schedule)


def connected(tasks: Sequence[NewTask]) -> list[list[NewTask]]:
    """Tasks that take something from one another, together; each group and all of them in the order given."""
    group_of: dict[str, list[NewTask]] = {}
    for task in tasks:
        joined = {id(group_of[name]): group_of[name] for name in task.needs if name in group_of}
        group = [*(each for other in joined.values() for each in other), task]
        group_of.update((each.name, group) for each in group)
    order = {task.name: i for i, task in enumerate(tasks)}
    groups = {id(group): sorted(group, key=lambda each: order[each.name]) for group in group_of.values()}
    return list(groups.values())


def load_side_by_side(
    queues: Mapping[Lane, Sequence[NewTask]],
    order: Sequence[str],
    load_soon: Callable[[NewTask, Lane, Mapping[str, LoadedTask]], Future[LoadedTask]],
    close_soon: Callable[[LoadedTask], Future[None]],
) -> dict[str, LoadedTask]:
    """Load tasks: the lanes side by side, each lane one task after the other.

    Parameters
    ----------
    queues : dict of Lane to list of NewTask
        What each lane loads, in that order.
    order : list of str
        The names of all of them, as they were given.
    load_soon : callable
        Begins to load a task in a lane, beside those of these tasks that are loaded.
    close_soon : callable
        Begins to close a loaded task.

    Returns
    -------
    dict of str to LoadedTask
        In the order given.

    Raises
    ------
    Exception
        What the first task in that order raised of those that cannot be loaded, whichever lane was quicker. The others are closed.
    """
    number = {name: i for i, name in enumerate(order)}
    waiting = {lane: deque(tasks) for lane, tasks in queues.items()}
    loading: dict[Future[LoadedTask], tuple[Lane, NewTask]] = {}
    made: dict[str, LoadedTask] = {}
    failures: dict[int, BaseException] = {}

    def begin(lane: Lane) -> None:
        while waiting[lane]:
            task = waiting[lane].popleft()
            # What comes after a failure is not needed; what comes before it may fail too, and would be what is raised.
            if not failures or number[task.name] < min(failures):
                loading[load_soon(task, lane, made)] = lane, task
                return

    try:
        for lane in waiting:
            begin(lane)
        while loading:
            for future in wait(loading, return_when=FIRST_COMPLETED).done:
                lane, task = loading.pop(future)
                error = future.exception()
                if error is None:
                    made[task.name] = future.result()
                else:
                    failures[number[task.name]] = error
                    if isinstance(error, MnnliteError):
                        name_task(task.name, error)
                begin(lane)
        if failures:
            raise failures[min(failures)]
    except BaseException:
        for future, (_, task) in loading.items():  # Ctrl-C, or a lane that takes no more: what is under way ends first
            if future.exception() is None:
                made[task.name] = future.result()
        for each in reversed(made.values()):
            close_soon(each).result()
        raise
    return {name: made[name] for name in order}
