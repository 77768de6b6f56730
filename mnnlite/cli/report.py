"""Results of a frame as a line for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mnnlite.results import Results
from mnnlite.runtime.result_json import is_raw

if TYPE_CHECKING:
    from mnnlite.runtime import FrameResult

__all__ = ["describe"]


def describe(result: FrameResult) -> str:
    """One line for people: how many of what."""
    meta: dict[str, Any] = result.meta if isinstance(result.meta, dict) else {}
    head = f"frame {meta.get('frame', result.index)}" + ("" if result.part == "whole" else f", {result.part}")
    if meta.get("file"):
        head += f" {meta['file']}"
    if meta.get("time_ms") is not None:
        head += f" at {meta['time_ms'] / 1000:.2f} s"
    return f"{head}: " + "; ".join(f"{name}: {_counted(found)}" for name, found in result.items())


def _counted(result: Any) -> str:
    if not isinstance(result, Results):
        if is_raw(result):
            return ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in result.items())
        if isinstance(result, dict):
            return ", ".join(f"{name} {_counted(value)}" for name, value in result.items())
        return type(result).__name__
    if not len(result):
        return "-"
    kind = type(result).__name__.lower()
    return ", ".join(f"{count} {_named(label, kind, count)}" for label, count in Counter(result.labels).items())


def _named(label: str, kind: str, count: int) -> str:
    if not label:
        return kind.removesuffix("s") if count == 1 else kind
    return f"of class {label}" if label.isdigit() else label  # without names the label is the class's number
