"""Where and with what a figure was measured: the head of every result."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "CPU part")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def facts() -> dict[str, Any]:
    versions = {}
    for name in ("mnnlite", "MNN", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **versions,
    }


def parser(text: str | None) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return result


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


@contextmanager
def busy_thread() -> Iterator[None]:
    """A Python thread that never rests, meanwhile."""
    stop = threading.Event()

    def spin() -> None:
        number = 0
        while not stop.is_set():
            number += 1

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def spread(values: Sequence[float]) -> str:
    """Give the median and the middle half, e.g. '5.12 (5.08 to 5.31)'."""
    low, _, high = statistics.quantiles(values, n=4)
    return f"{statistics.median(values):.2f} ({low:.2f} to {high:.2f})"


def report(name: str, result: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"benchmark": name, "machine": facts(), **result}))
        return
    here = facts()
    print(f"{name}, {here['date']}, {here['cpu']} ({here['cores']} cores), MNN {here['MNN']}, Python {here['python']}")
    print("\n".join(lines))
