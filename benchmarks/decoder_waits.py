"""How long a decoder in Python that sleeps holds up others: who asks for `Runtime.stats`, and a source that does not wait.

    python benchmarks/decoder_waits.py [--samples 2000] [--sleep-ms 300] [--json]

While the decoder sleeps, one thread asks for `stats()` every two milliseconds, and the source gives a frame every two
milliseconds. Of each the median, the 99th percentile and the longest wait, in milliseconds. `blocked` is the wait less the time
for which the thread was ready to run and the machine had no core for it (the kernel's run delay, /proc/self/task/*/schedstat):
what is left when other processes keep the machine busy, and what a lock would show up in.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine
import numpy as np

NETWORK = Path(__file__).parent.parent / "tests/data/branches.mnn"
PAUSE_S = 0.002


class Waits:
    """Of one thread."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.blocked: list[float] = []

    def begin(self) -> None:
        self._delay, self._begin = run_delay_ms(), time.perf_counter()

    def end(self) -> None:
        took = 1e3 * (time.perf_counter() - self._begin)
        self.wall.append(took)
        self.blocked.append(max(0.0, took - (run_delay_ms() - self._delay)))

    def found(self) -> dict[str, float]:
        return {
            "p50": machine.median(self.wall),
            "p99": float(np.percentile(self.wall, 99)),
            "max": max(self.wall),
            "max blocked": max(self.blocked),
        }


def run_delay_ms() -> float:
    """For how long this thread was ready and did not run."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e6


def measure(path: Path, samples: int, sleep_s: float) -> dict[str, dict[str, float]]:
    """Of the installed mnnlite."""
    import mnnlite

    frame = mnnlite.Frame(np.zeros((64, 64, 3), np.uint8), "BGR")
    given, asked = Waits(), Waits()

    def camera() -> Iterator[Any]:
        for _ in range(samples):
            given.begin()
            yield frame
            given.end()
            time.sleep(PAUSE_S)

    def ask() -> None:
        for _ in range(samples):
            asked.begin()
            runtime.stats()
            asked.end()
            time.sleep(PAUSE_S)

    with mnnlite.Runtime() as runtime:
        decoder = mnnlite.decoders.Function(lambda outputs, items: time.sleep(sleep_s))
        runtime.add("slow", mnnlite.TaskSpec(path, mnnlite.ImageSpec(), decoder))
        asking = threading.Thread(target=ask)
        asking.start()
        for _ in runtime.stream(camera(), latest=True):
            pass
        asking.join()
    return {"stats()": asked.found(), "source": given.found()}


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sleep-ms", type=float, default=300)
    args = parser.parse_args()
    found = measure(NETWORK, args.samples, args.sleep_ms / 1e3)
    if args.json:
        print(json.dumps(found))
        return
    print(f"a decoder sleeps {args.sleep_ms:g} ms, {args.samples} waits each, in ms (wanted: below 5)")
    for what, figures in found.items():
        print(f"{what:8}", "  ".join(f"{name} {ms:.3f}" for name, ms in figures.items()))


if __name__ == "__main__":
    main()
