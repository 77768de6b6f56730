"""What a frame comes to: the results of all its tasks, and why some have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.errors import MnnliteError
    from mnnlite.frame import Frame

__all__ = ["FrameResult"]


class FrameResult:
    """Results of one frame, by task.

    Attributes
    ----------
    index : int
        Counts the frames that were worked on, from 0.
    frame : Frame
        What was worked on. Its pixels stay in memory as long as the result does.
    skipped : dict of str to str
        Tasks that did not run, and why.
    late : frozenset of str
        Tasks that ended after their deadline. Their results are there all the same.
    errors : dict of str to MnnliteError
        Tasks that failed. The others are not touched by it.
    timing : dict of str to dict of str to int
        For each task that ran the nanoseconds of ``preprocess``, ``infer`` and ``decode``.
    crops : dict of str to (int, int)
        For each task that runs on another's boxes: how many it ran on, and how many there were.
    elapsed_ns : int
        From the frame's admission to its last result.
    lane_ns : tuple of int
        How long each lane worked on the frame.
    """

    __slots__ = (
        "_results",
        "crops",
        "elapsed_ns",
        "errors",
        "frame",
        "index",
        "lane_ns",
        "late",
        "skipped",
        "timing",
    )

    def __init__(self, index: int, frame: Frame) -> None:
        self.index = index
        self.frame = frame
        self._results: dict[str, Any] = {}
        self.skipped: dict[str, str] = {}
        self.late: frozenset[str] = frozenset()
        self.errors: dict[str, MnnliteError] = {}
        self.timing: dict[str, dict[str, int]] = {}
        self.crops: dict[str, tuple[int, int]] = {}
        self.elapsed_ns = 0
        self.lane_ns: tuple[int, ...] = ()

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
            return f"task {name!r} failed: {self.errors[name]}"
        if name in self.skipped:
            return f"task {name!r} was skipped: {self.skipped[name]}"
        return f"there is no task {name!r}; there are {', '.join(map(repr, self.names))}"

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

    def __repr__(self) -> str:
        parts = [", ".join(map(repr, self._results.values()))] if self._results else []
        parts += [
            f"{kind}: {', '.join(names)}" for kind in ("skipped", "late", "errors") if (names := getattr(self, kind))
        ]
        return f"<FrameResult {self.index}: {'; '.join(parts)}>"
