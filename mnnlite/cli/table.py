"""What a Runtime does, as a table: live while it runs where a person looks, in plain text at the end."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, final

from mnnlite.cli.figures import memory_mib
from mnnlite.cli.output import columns
from mnnlite.cli.progress import plain_line
from mnnlite.errors import about_task
from mnnlite.proc import MIB

if TYPE_CHECKING:
    from mnnlite.runtime import Runtime, RuntimeMemory, RuntimeStats

__all__ = ["LiveTable", "plain", "table"]

HEAD = ("task", "lane", "runs", "p50 ms", "p99 ms", "late", "skipped", "failed", "")
_RIGHT = range(1, 8)


def _rows(stats: RuntimeStats) -> list[tuple[str, ...]]:
    rows = []
    for name, task in stats.tasks.items():
        times = task.stages.get("total")
        spent = ["", ""] if times is None else [f"{ns / 1e6:.1f}" for ns in (times.p50, times.p99)]
        counts = [str(count) for count in (task.late, task.skipped, task.failed)]
        rows.append(
            (
                name,
                str(task.lane),
                str(task.runs),
                *spent,
                *counts,
                "quarantined" if task.quarantined else "not loaded" if task.absent else "",
            )
        )
    return rows


def _lines(stats: RuntimeStats) -> list[str]:
    """Frames, lanes, memory."""
    lanes = ", ".join(f"lane {index} {lane.utilisation:.0%} busy" for index, lane in enumerate(stats.lanes))
    memory = ", ".join(f"{size:.1f} MiB {what}" for what, size in memory_mib().items())
    hung = [f"task {each.task!r} has been running for {each.seconds:.0f} s" for each in stats.hung]
    return [
        f"{stats.frames} frame{'' if stats.frames == 1 else 's'} worked on, {stats.dropped} dropped; {lanes}",
        memory,
        *hung,
    ]


def plain(stats: RuntimeStats, memory: RuntimeMemory | None = None) -> list[str]:
    """Lines of text.

    Parameters
    ----------
    stats : RuntimeStats
    memory : RuntimeMemory, optional
    """
    return [*columns([HEAD, *_rows(stats)], right=tuple(_RIGHT)), *_standing(stats), _lines(stats)[0], *_budget(memory)]


def _budget(memory: RuntimeMemory | None) -> list[str]:
    """What of a budget is used: what the process grew by since its runtime began, not all that it holds."""
    budget = None if memory is None else memory.budget
    if budget is None:
        return []
    gone = f", {', '.join(budget.evicted)} evicted" if budget.evicted else ""
    return [f"budget: {max(budget.grown, 0) / MIB:.0f} of {budget.limit / MIB:.0f} MiB used{gone}"]


def _standing(stats: RuntimeStats) -> list[str]:
    """Of tasks that do not run, why."""
    return [
        about_task(name, "does not run", task.quarantined or task.absent)
        for name, task in stats.tasks.items()
        if task.quarantined or task.absent
    ]


def table(stats: RuntimeStats, memory: RuntimeMemory | None = None) -> Any:
    """Make the same for rich, with memory.

    Parameters
    ----------
    stats : RuntimeStats
    memory : RuntimeMemory, optional

    Returns
    -------
    rich.console.Group
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for index, title in enumerate(HEAD):
        made.add_column(title, justify="right" if index in _RIGHT else "left")
    for row, task in zip(_rows(stats), stats.tasks.values(), strict=True):
        bad = task.failed or task.quarantined or task.absent
        # Names are the user's: text, not markup.
        made.add_row(*(Text(cell) for cell in row), style="red" if bad else "yellow" if task.late else None)
    lines = [*_standing(stats), *_lines(stats), *_budget(memory)]
    return Group(made, *(Text(line, style="dim") for line in lines if line))


@final
class LiveTable:
    """The table of a runtime on standard error, with the frame rate, four times a second.

    Parameters
    ----------
    runtime : Runtime
    total : int, optional
        Frames to come, if known.
    """

    def __init__(self, runtime: Runtime, total: int | None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._runtime, self._total = runtime, total
        self._done = 0
        self._started = time.monotonic()
        self._live = Live(
            get_renderable=self._render, console=Console(stderr=True), refresh_per_second=4, transient=True
        )

    @staticmethod
    def is_possible() -> bool:
        """Whether a person looks at standard error, and rich is installed."""
        if not sys.stderr.isatty():
            return False
        try:
            import rich.live  # noqa: F401
        except ImportError:
            return False
        return True

    def __enter__(self) -> LiveTable:
        self._started = time.monotonic()
        self._live.start()
        return self

    def step(self) -> None:
        """One more frame is done."""
        self._done += 1

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        line = plain_line(self._done, self._total, time.monotonic() - self._started)
        return Group(Text(line), table(self._runtime.stats(), self._runtime.memory()))
