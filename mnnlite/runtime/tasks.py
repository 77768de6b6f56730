"""What a `Runtime` is asked about its tasks: they come, go and change, and are called on their lanes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mnnlite.errors import ArgumentError
from mnnlite.runtime.schedule import Schedule

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from mnnlite.runtime.parts import RuntimeParts
    from mnnlite.runtime.registry import TaskRegistry
    from mnnlite.specs import ImageSpec, TaskSpec
    from mnnlite.task import Task

__all__ = ["RuntimeTasks"]

T = TypeVar("T")


class RuntimeTasks:
    """The methods of a `Runtime` that change its tasks."""

    _parts: RuntimeParts
    _registry: TaskRegistry

    def add(
        self, name: str, spec: TaskSpec | str | os.PathLike[str], schedule: Schedule | None = None, **options: Any
    ) -> None:
        """Load a task. Only its lane stops while it loads; the other lanes go on with their frames.

        Parameters
        ----------
        name : str
            The name under which results are found. It must not contain a dot.
        spec : TaskSpec or path
            A path names a network whose file says how it is used, see `mnnlite.describe`. Paths are made absolute, because
            the model may be loaded again later.
        schedule : Schedule, optional
            When the task runs, and on what. By default it runs on each whole frame.
        **options
            Parameters of `Schedule` by name, ``priority=10, deadline_ms=40``; they take precedence over `schedule`.

        Raises
        ------
        ArgumentError
            A value cannot be used, the name is taken, or the task named by ``after`` does not exist.
        MemoryBudgetError
            The task does not fit. The error says by how much, and what would fit.
        StateError
            Called from a function given to `on_lane`, or the system gives no thread.
        ModelError, EngineError, OutOfMemoryError
            As for `Task`. The runtime is as it was before.

        Notes
        -----
        The first call starts the threads of the runtime's lanes. Before that it sets glibc's ``M_ARENA_MAX``, so that threads
        which the process starts from then on share the heaps that exist. That option has no finer form: it is the whole
        process's. It is not set with ``heap="keep"``, ``MNNLITE_HEAP=keep`` or a ``MALLOC_ARENA_MAX`` of your own.
        """
        self._registry.check_may_wait("add()")
        self._parts.start_lanes()
        self._parts.changes.add(name, spec, replace(schedule or Schedule(), **options))

    def add_all(
        self,
        tasks: Mapping[str, TaskSpec | str | os.PathLike[str]],
        schedules: Mapping[str, Schedule] | None = None,
    ) -> None:
        """Load several tasks, the lanes side by side. All or none.

        Parameters
        ----------
        tasks : dict of str to TaskSpec or path
            As for `add`, by name. A task comes after those that it takes something from.
        schedules : dict of str to Schedule, optional
            When tasks run, and on what. Those without one run on each whole frame.

        Raises
        ------
        MnnliteError
            As for `add`: what the first of the tasks raises that cannot be loaded, with its name. The runtime is as it was before.

        Notes
        -----
        All of them take part in frames from the same frame on. With ``memory=`` they are loaded one after the other, because
        what there is room for is known when the one before is there. Without it a lane that loads holds what a network needs
        while it loads, so that more lanes hold more meanwhile.
        """
        self._registry.check_may_wait("add_all()")
        schedules = {} if schedules is None else schedules
        for name in schedules:
            if name not in tasks:
                raise ArgumentError(f"there is a schedule of {name!r}, which is none of the tasks")
        self._parts.start_lanes()
        self._parts.changes.add_all(tasks, {name: schedules.get(name) or Schedule() for name in tasks})

    def remove(self, name: str) -> None:
        """Close a task and give its memory back to the system. Only its lane stops for it.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        """
        self._registry.check_may_wait("remove()")
        self._parts.changes.remove(name)

    def replace(self, name: str, spec: TaskSpec | str | os.PathLike[str]) -> None:
        """Replace what a task runs, from one frame to the next. Its schedule stays the same.

        The lane loads the new model while the old one still exists, and stops for that long.

        Raises
        ------
        ArgumentError
            There is no such task, or others come after it.
        MnnliteError
            As for `add`. The task goes on as it was.
        """
        self._registry.check_may_wait("replace()")
        self._parts.changes.replace(name, spec)

    def resize(
        self,
        name: str,
        shapes: Mapping[str, Sequence[int]] | None = None,
        *,
        image: ImageSpec | Mapping[str, ImageSpec] | None = None,
    ) -> None:
        """Give a task's inputs other shapes, from one frame to the next.

        The lane loads the network from its file again, with the new shapes, while the old one still exists, as `replace`
        does. Its state starts at zeros.

        Parameters
        ----------
        name : str
        shapes : dict of str to tuple of int, optional
            New shapes of inputs. Inputs that are not named keep their shapes.
        image : ImageSpec or dict of str to ImageSpec, optional
            A new image spec, whose ``size`` gives the dimensions that the file leaves open. The default is the present spec.

        Raises
        ------
        ArgumentError
            Neither is given; there is no such task, or others come after it.
        MnnliteError
            As for `add`; the task goes on as it was.
        """
        self._registry.check_may_wait("resize()")
        self._parts.changes.resize(name, shapes, image)

    @property
    def tasks(self) -> dict[str, TaskSpec]:
        """The specs of the tasks by name, in the order in which they were added."""
        return {name: task.spec for name, task in self._registry.snapshot().items()}

    def on_lane(self, name: str, function: Callable[[Task], T]) -> T:
        """Call a function with a loaded task, on the task's lane and between two frames. Only that lane waits for it.

        Parameters
        ----------
        name : str
        function : callable
            Gets the `Task`, which it must neither keep nor close. It may call the runtime; methods that would wait for its
            own lane raise `StateError`.

        Returns
        -------
        What `function` returns. An exception that it raises is raised here.

        Raises
        ------
        ArgumentError
            There is no such task, or its model is not loaded at the moment.
        StateError
            The call came from such a function, or the system gives no thread.
        """
        self._registry.check_may_wait("on_lane()")
        return self._registry.call(name, function)
