"""How far a run is: by rich if it is installed, in plain text otherwise, and only where a person looks."""

from __future__ import annotations

import sys
import time
from typing import Any, final

__all__ = ["Progress"]


@final
class Progress:
    """Frames done, frame rate and time left, on standard error if that is a terminal.

    Parameters
    ----------
    total : int, optional
        Frames to come, if known.
    hidden : bool
        Show nothing.
    """

    def __init__(self, total: int | None, hidden: bool = False) -> None:
        self._total = total
        self._done = 0
        self._bar: Any = None if hidden or not sys.stderr.isatty() else _rich(total) or _Plain(total)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def step(self) -> None:
        """One more frame is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.step(self._done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


class _Plain:
    def __init__(self, total: int | None) -> None:
        self._total = total
        self._started = self._shown = 0.0

    def start(self) -> None:
        self._started = time.monotonic()

    def step(self, done: int) -> None:
        now = time.monotonic()
        if now - self._shown < 0.2:
            return
        self._shown = now
        print(f"\r{plain_line(done, self._total, now - self._started)}\x1b[K", end="", file=sys.stderr, flush=True)

    def stop(self) -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def plain_line(done: int, total: int | None, seconds: float) -> str:
    """``frame 12/221  23.4 frames/s  0:09 left``."""
    rate = done / seconds if seconds > 0 else 0.0
    line = f"frame {done}{f'/{total}' if total else ''}  {rate:.1f} frames/s"
    if total and rate > 0:
        left = round(max(total - done, 0) / rate)
        line += f"  {left // 60}:{left % 60:02} left"
    return line


class _Rich:
    def __init__(self, progress: Any, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("frames", total=total, rate=0.0)
        self._started = time.monotonic()

    def start(self) -> None:
        self._progress.start()

    def step(self, done: int) -> None:
        rate = done / max(time.monotonic() - self._started, 1e-9)
        self._progress.update(self._task, completed=done, rate=rate)

    def stop(self) -> None:
        self._progress.stop()


def _rich(total: int | None) -> _Rich | None:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        return None
    parts = [
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} frames/s"),
        TimeRemainingColumn(),
        TextColumn("left"),
    ]
    return _Rich(Bar(*parts, console=Console(stderr=True), transient=True), total)
