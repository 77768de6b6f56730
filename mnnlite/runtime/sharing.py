"""Tasks of one network in one lane: one session, its weights once, and one run a frame for all that are due."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mnnlite import _core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnnlite.model import Model
    from mnnlite.runtime.schedule import Schedule
    from mnnlite.specs import TaskSpec

__all__ = ["SessionKey", "SharedModel", "key_of", "outputs_of"]

SessionKey = tuple[Any, ...]


@dataclass
class SharedModel:
    """A model of a lane and how many tasks use it.

    Parameters
    ----------
    key : tuple
        As `key_of` gives.
    model : Model
    outputs : list of str, optional
        Those it was made for; all if None.
    """

    key: SessionKey
    model: Model
    outputs: list[str] | None
    users: int = 0
    run: _core.SharedRun = field(default_factory=_core.SharedRun)

    def covers(self, spec: TaskSpec) -> bool:
        """It has the outputs that the task wants."""
        return self.outputs is None or (spec.outputs is not None and set(spec.outputs) <= set(self.outputs))

    def leave(self, models: dict[SessionKey, SharedModel]) -> None:
        """One user less; without users the model is closed. On the lane's thread."""
        self.users -= 1
        if self.users == 0:
            self.model.close()
            if models.get(self.key) is self:
                del models[self.key]


def key_of(spec: TaskSpec, schedule: Schedule, defaults: Mapping[str, str]) -> SessionKey | None:
    """What tasks have in common that can share a session; None for one that cannot. `defaults` are the runtime's options.

    Their networks read the same picture of the same frame: no crops, no tensors of other tasks, no state. An evictable task
    has its memory for itself, so that it can give it back.
    """
    alone = schedule.after is not None or schedule.evictable or spec.feed or spec.state or spec.image is None
    if alone or not isinstance(spec.model, (str, os.PathLike)):
        return None
    try:
        file = os.stat(spec.model)
    except OSError:
        return None  # loading it says what is wrong
    images = tuple(sorted(spec.image.items())) if isinstance(spec.image, Mapping) else spec.image
    shapes = tuple(sorted((name, tuple(dims)) for name, dims in (spec.shapes or {}).items()))
    # A file that was written anew is another network.
    which = (os.path.abspath(spec.model), file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns)
    external = None if spec.external is None else os.fspath(spec.external)
    hashes = (spec.sha256, spec.weights_sha256)
    engine = (*sorted(spec.engine.unusual(defaults).items()), spec.threads)
    # One that preempts has another arena than those that it interrupts.
    return (*which, external, *hashes, shapes, images, spec.batch, engine, schedule.preempts)


def outputs_of(
    key: SessionKey, spec: TaskSpec, others: Iterable[tuple[TaskSpec, Schedule]], defaults: Mapping[str, str]
) -> list[str] | None:
    """Outputs that a session needs for this task and those that will share it; None for all."""
    specs = [spec, *(other for other, schedule in others if key == key_of(other, schedule, defaults))]
    if any(each.outputs is None for each in specs):
        return None
    return list(dict.fromkeys(output for each in specs for output in each.outputs or ()))
