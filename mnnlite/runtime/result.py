"""What a frame comes to: the results of all its tasks, and why some have none."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from mnnlite.errors import about_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from mnnlite.errors import MnnliteError
    from mnnlite.frame import Frame

__all__ = ["FrameResult"]


class FrameResult:
    """Results of one frame, by task.

    Attributes
    ----------
    index : int
        The number of the frame among those that the lanes worked on, from 0.
    frame : Frame
        The frame that the results are of. Its pixels stay in memory as long as the result does.
    taken_ns : int
        When the frame was taken, in nanoseconds of `time.monotonic_ns`. This is the frame's timestamp if that is of this clock,
        else the moment at which the frame came from the source.
    wall_ns : int
        The same moment by the system's clock: nanoseconds since 1970, UTC. It jumps when the clock is set.
    skipped : dict of str to str
        Tasks that did not run, and why.
    late : frozenset of str
        Tasks that ended after their deadline. Their results are there all the same.
    errors : dict of str to MnnliteError
        Tasks that failed, and how. The other tasks' results are not affected.
    timing : dict of str to dict of str to int
        For each task that ran, the nanoseconds of ``preprocess``, ``infer`` and ``decode``.
    crops : dict of str to (int, int)
        For each task that runs on another's boxes, how many boxes it ran on, and how many there were.
    elapsed_ns : int
        From the frame's admission to its last result.
    lane_ns : tuple of int
        How long each lane worked on the frame.
    part : {"whole", "urgent", "rest"}
        Where tasks preempt, a frame may have two results with the same `index`: ``"urgent"`` has the results of these tasks and
        does not wait, ``"rest"`` has those of the others.
    rest : Future of FrameResult, optional
        The future of the ``"rest"``, in an ``"urgent"`` result of `Runtime.submit`.
    """

    __slots__ = (
        "_parents",
        "_results",
        "crops",
        "elapsed_ns",
        "errors",
        "frame",
        "index",
        "lane_ns",
        "late",
        "part",
        "rest",
        "skipped",
        "taken_ns",
        "timing",
        "wall_ns",
    )

    def __init__(self, index: int, frame: Frame, taken_ns: int = 0, wall_ns: int = 0) -> None:
        self.index = index
        self.frame = frame
        self.taken_ns, self.wall_ns = taken_ns, wall_ns
        self._results: dict[str, Any] = {}
        self._parents: dict[str, str] = {}  # of cascades
        self.skipped: dict[str, str] = {}
        self.late: frozenset[str] = frozenset()
        self.errors: dict[str, MnnliteError] = {}
        self.timing: dict[str, dict[str, int]] = {}
        self.crops: dict[str, tuple[int, int]] = {}
        self.elapsed_ns = 0
        self.lane_ns: tuple[int, ...] = ()
        self.part = "whole"
        self.rest: Future[FrameResult] | None = None

    @property
    def timestamp_ns(self) -> int | None:
        """The frame's."""
        return self.frame.timestamp_ns

    @property
    def meta(self) -> Any:
        """The frame's."""
        return self.frame.meta

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of the frame in pixels."""
        return self.frame.width, self.frame.height

    def __getitem__(self, name: str) -> Any:
        """Return the result of a task; `KeyError` with the reason if it has none."""
        try:
            return self._results[name]
        except KeyError:
            raise KeyError(self._why_not(name)) from None

    def _why_not(self, name: str) -> str:
        if name in self.errors:
            return about_task(name, "failed", self.errors[name])
        if name in self.skipped:
            return f"task {name!r} was skipped: {self.skipped[name]}"
        if self.part != "whole":
            return f"task {name!r} is in the other result of frame {self.index}, if it ran on it; this is its part {self.part!r}"
        return f"there is no task {name!r}; there are {', '.join(map(repr, self.names))}"

    def join(self, other: FrameResult) -> None:
        """Take over what another part of the same frame came to. This one is the whole then."""
        self._results |= other._results
        self._parents |= other._parents
        self.skipped |= other.skipped
        self.errors |= other.errors
        self.timing |= other.timing
        self.crops |= other.crops
        self.late |= other.late
        self.elapsed_ns = max(self.elapsed_ns, other.elapsed_ns)
        longer, shorter = sorted((self.lane_ns, other.lane_ns), key=len, reverse=True)
        self.lane_ns = tuple(map(sum, zip(longer, (*shorter, *[0] * (len(longer) - len(shorter))), strict=True)))
        self.part = "whole"

    @property
    def names(self) -> list[str]:
        """All tasks of the frame, with or without a result."""
        return [*self._results, *self.errors, *self.skipped]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the result of a task, or `default` if it has none."""
        return self._results.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._results

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and results."""
        return iter(self._results.items())

    def draw(self) -> NDArray[np.uint8]:
        """Draw all results on an RGB picture of the frame: areas first, so that they hide nothing.

        What a crop of another task's box shows is written at that box.

        Returns
        -------
        (H, W, 3) uint8
        """
        from mnnlite.runtime.result_picture import draw_results  # what is not drawn need not be loaded

        return draw_results(self.frame, self._results, self._parents)

    def to_json(self) -> dict[str, Any]:
        """Plain data: the line that ``mnnlite run`` writes.

        Returns
        -------
        dict
            ``frame`` (of the source, from 0; without a source `index`), ``time_ms`` (presentation time, or None),
            ``wall_time`` (UTC, ISO 8601) and ``monotonic_ns`` (when it was taken, by both clocks), ``results`` (a list a
            task; for a task with several decoders a dict of lists), ``timing_ms``; where there are any ``timestamp_ns``,
            ``part`` (of a frame with two results), what the source says in ``meta`` (``file``), ``skipped`` and ``errors`` (why a task has no results), ``late``,
            ``crops`` (how many were looked at, and how many there were).
        """
        from mnnlite.runtime.result_json import plain

        frame = self.frame
        meta: dict[str, Any] = {}
        if frame.meta is not None:
            meta = dict(frame.meta) if isinstance(frame.meta, dict) else {"meta": frame.meta}
        wall = datetime.fromtimestamp(self.wall_ns / 1e9, timezone.utc)
        line: dict[str, Any] = {
            "frame": meta.pop("frame", self.index),
            "time_ms": None if (time_ms := meta.pop("time_ms", None)) is None else round(time_ms, 4),
            "wall_time": wall.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "monotonic_ns": self.taken_ns,
        }
        if self.part != "whole":
            line["part"] = self.part
        if frame.timestamp_ns is not None:
            line["timestamp_ns"] = frame.timestamp_ns
        line |= {str(key): plain(value) for key, value in meta.items()}
        line["results"] = {name: plain(found) for name, found in self._results.items()}
        line["timing_ms"] = {
            name: {stage: round(spent / 1e6, 4) for stage, spent in stages.items()}
            for name, stages in self.timing.items()
        }
        if self.skipped:
            line["skipped"] = self.skipped
        if self.errors:
            line["errors"] = {name: str(error) for name, error in self.errors.items()}
        if self.late:
            line["late"] = sorted(self.late)
        if self.crops:
            line["crops"] = self.crops
        return line

    def __repr__(self) -> str:
        parts = [", ".join(map(repr, self._results.values()))] if self._results else []
        parts += [
            f"{kind}: {', '.join(names)}" for kind in ("skipped", "late", "errors") if (names := getattr(self, kind))
        ]
        return f"<FrameResult {self.index}: {'; '.join(parts)}>"
