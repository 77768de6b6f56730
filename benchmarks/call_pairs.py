"""All pairs of calls of `Model`, `Task`, `Arena` and `Runtime` on shared objects, from many threads, for minutes.

Each thread draws pairs of calls (with the seed) and makes them one after the other on objects that all threads share, while the
others do the same; the objects are closed and made anew all the time. What counts: the process lives, only errors of mnnlite come,
and what a call returns is right for what it was given.

    python benchmarks/call_pairs.py --seconds 600 --threads 8
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mnnlite
from mnnlite.errors import MnnliteError

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORK = str(Path(__file__).resolve().parent.parent / "tests" / "data" / "resizable.mnn")
SIDES = (16, 24, 40)
HEAVY = {"new", "add_b", "remove_b", "replace", "resize_a", "close"}  # these load: drawn less often


class Shared:
    """The objects that threads share, and the calls on them by name. Results are compared with those of a quiet start."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.wrong: list[str] = []
        self.pictures = {side: np.random.default_rng(side).random((1, 3, side, side), np.float32) for side in SIDES}
        self.pixels = np.random.default_rng(1).integers(0, 256, (30, 30, 3), np.uint8)
        self.frame = mnnlite.Frame(self.pixels, "BGR")
        self.spec = mnnlite.TaskSpec(path, mnnlite.ImageSpec(size=(SIDES[0], SIDES[0]), std=255), "raw")
        self.expected: dict[int, Any] = {}
        self.answer: Any = None
        with mnnlite.Model(path, shapes={"image": (1, 3, SIDES[0], SIDES[0])}, resizable=True) as model:
            for side in SIDES:
                model.resize({"image": (1, 3, side, side)})
                self.expected[side] = model.run({"image": self.pictures[side]})
        with mnnlite.Task(self.spec) as task:
            self.answer = task(self.frame)
        self.model: Any = None
        self.task: Any = None
        self.arena: Any = None
        self.runtime: Any = None
        for kind in ("model", "task", "arena", "runtime"):
            self.make(kind)

    def make(self, kind: str) -> None:
        """Put a new object where all threads find it; the one before is closed by whoever draws that, or by nobody."""
        if kind == "model":
            shape = (1, 3, SIDES[0], SIDES[0])
            self.model = mnnlite.Model(self.path, shapes={"image": shape}, resizable=True)
        elif kind == "task":
            self.task = mnnlite.Task(self.spec)
        elif kind == "arena":
            self.arena = mnnlite.Arena()
        else:
            runtime = mnnlite.Runtime()
            runtime.add("a", self.spec)
            self.runtime = runtime

    def check(self, got: Any, wanted: Any, what: str) -> None:
        """Note a result that is not the one of a quiet start."""
        for name, value in wanted.items():
            if not np.allclose(got[name], value, rtol=1e-4, atol=1e-4):
                self.wrong.append(f"{what}: {name} is off by {np.abs(np.asarray(got[name]) - value).max()}")

    def calls(self) -> dict[str, Callable[[random.Random], object]]:
        """Every call, as ``object.name``."""
        return {
            "model.run": lambda r: self._run(r.choice(SIDES)),
            "model.borrow": lambda r: self.model.run(borrow=True),
            "model.out": lambda r: self.model.run(
                {"image": self.pictures[SIDES[0]]},
                out={k: np.empty_like(v) for k, v in self.expected[SIDES[0]].items()},
            ),
            "model.input": lambda r: self._look(),
            "model.resize": lambda r: self.model.resize({"image": (1, 3, *[r.choice(SIDES)] * 2)}),
            "model.properties": lambda r: (
                self.model.inputs,
                self.model.outputs,
                self.model.memory(),
                self.model.timing,
            ),
            "model.facts": lambda r: (self.model.facts(), self.model.operators(), repr(self.model)),
            "model.close": lambda r: self.model.close(),
            "model.new": lambda r: self.make("model"),
            "task.call": lambda r: self.check(self.task(self.frame), self.answer, "task"),
            "task.borrow": lambda r: self.task(self.frame, borrow=True),
            "task.out": lambda r: self.check(
                self.task(self.frame, out={k: np.empty_like(v) for k, v in self.answer.items()}),
                self.answer,
                "task out",
            ),
            "task.reset": lambda r: self.task.reset_state(),
            "task.timing": lambda r: (self.task.timing, repr(self.task)),
            "task.over_model": lambda r: mnnlite.Task(self.model, image=mnnlite.ImageSpec(std=255), decoder="raw")(
                self.frame
            ),
            "task.close": lambda r: self.task.close(),
            "task.new": lambda r: self.make("task"),
            "arena.load": lambda r: self._load(),
            "arena.shrink": lambda r: self.arena.shrink(),
            "arena.properties": lambda r: (self.arena.backend, self.arena.computes_in_half, repr(self.arena)),
            "arena.close": lambda r: self.arena.close(),
            "arena.new": lambda r: self.make("arena"),
            "runtime.process": lambda r: self._process(),
            "runtime.submit": lambda r: self.runtime.submit(self.frame).result(30),
            "runtime.stream": lambda r: [each.get("a") for each in self.runtime.stream([self.frame] * 3)],
            "runtime.add_b": lambda r: self.runtime.add("b", self.spec),
            "runtime.remove_b": lambda r: self.runtime.remove("b"),
            "runtime.replace": lambda r: self.runtime.replace("a", self.spec),
            "runtime.resize_a": lambda r: self.runtime.resize("a", {"image": (1, 3, SIDES[0], SIDES[0])}),
            "runtime.stats": lambda r: (self.runtime.stats(), self.runtime.memory(), self.runtime.plan()),
            "runtime.on_lane": lambda r: self.runtime.on_lane("a", lambda task: task.model.memory()),
            "runtime.close": lambda r: self.runtime.close(),
            "runtime.new": lambda r: self.make("runtime"),
        }

    def _run(self, side: int) -> None:
        self.check(self.model.run({"image": self.pictures[side]}), self.expected[side], f"run of {side}")

    def _look(self) -> None:
        # Only read: what is written through a view while another thread's run reads it is the writer's affair.
        view = self.model.input("image")
        if not np.isfinite(view).all():
            self.wrong.append("an input that is no input")

    def _load(self) -> None:
        model = mnnlite.Model(self.path, arena=self.arena, shapes={"image": (1, 3, SIDES[1], SIDES[1])})
        self.check(model.run({"image": self.pictures[SIDES[1]]}), self.expected[SIDES[1]], "run in the arena")
        model.close()

    def _process(self) -> None:
        result = self.runtime.process(self.frame)
        if "a" in result:
            self.check(result["a"], self.answer, "process")


def main() -> int:
    """Draw pairs until the time is over; print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    faulthandler.enable()
    shared = Shared(NETWORK)
    calls = shared.calls()
    pairs = list(itertools.product(calls, calls))
    weights = [0.05 ** sum(each.split(".")[1] in HEAVY for each in pair) for pair in pairs]
    end = time.monotonic() + args.seconds
    foreign: list[str] = []
    refused: Counter[str] = Counter()
    made: Counter[tuple[str, str]] = Counter()
    beat = [time.monotonic()] * args.threads
    lock = threading.Lock()

    def work(number: int) -> None:
        draw = random.Random(f"{args.seed} {number}")
        while time.monotonic() < end and not foreign and not shared.wrong:
            pair = draw.choices(pairs, weights)[0]
            for name in pair:
                try:
                    calls[name](draw)
                except MnnliteError as error:
                    with lock:
                        refused[type(error).__name__] += 1
                except BaseException as error:
                    foreign.append(f"{name}: {type(error).__name__}: {error}")
            beat[number] = time.monotonic()
            with lock:
                made[pair] += 1

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(args.threads)]
    for thread in threads:
        thread.start()
    hung = False
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.5)
        now = time.monotonic()
        if any(thread.is_alive() and now - beat[i] > 120 for i, thread in enumerate(threads)):
            faulthandler.dump_traceback()
            hung = True
            break
    figures = {
        "seed": args.seed,
        "threads": args.threads,
        "seconds": args.seconds,
        "calls": len(calls),
        "pairs": len(pairs),
        "pairs_met": len(made),
        "calls_made": 2 * sum(made.values()),
        "refused": dict(refused.most_common()),
        "wrong": shared.wrong[:5],
        "foreign": foreign[:5],
        "hung": hung,
    }
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    sys.stdout.flush()
    if hung:
        os._exit(1)
    return int(bool(foreign or shared.wrong))


if __name__ == "__main__":
    sys.exit(main())
