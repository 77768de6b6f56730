"""Tasks that are added, removed, resized and replaced at random under load, and every result compared.

    python benchmarks/soak.py [--seconds 600] [--seed 7] [--lanes 2] [--weights heap] [--json]

Generated networks from small to large, beside one whose feature maps are spoiled (NaN) on every frame, run on a stream that
never pauses while another thread changes what runs. Each result must equal, bit for bit, what a task of the same spec gives
alone. A watchdog ends the process with the stacks of all threads if no frame is done for 30 seconds. Memory is read every
twentieth of the time with all but the first task removed.
"""

from __future__ import annotations

import faulthandler
import itertools
import random
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import machine
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SIZES = (16, 32, 48, 64, 96, 128)
WATCHDOG_S = 30


class Soak:
    def __init__(self, folder: Path, seed: int, lanes: int, weights: str) -> None:
        import mnnlite
        from helpers import networks

        self.package, self.rng = mnnlite, random.Random(seed)
        image = mnnlite.ImageSpec(fit="letterbox", std=255)
        open_shapes = networks.convert(networks.two_branches(folder, width=24, dynamic=True))
        poison = networks.convert(networks.poison(folder))
        self.specs: dict[str, list[Any]] = {
            f"n{size}": [
                mnnlite.TaskSpec(networks.convert(networks.two_branches(folder, size=size, width=4 + size // 4)), image)
            ]
            for size in SIZES  # small first
        }
        self.specs["open"] = [
            mnnlite.TaskSpec(open_shapes, image, shapes={"image": (1, 3, side, side)}) for side in (24, 64, 112, 176)
        ]
        self.specs["n96"] += self.specs["n128"]  # what each may be replaced by
        self.specs["n128"] = self.specs["n128"] + self.specs["n96"][:1]
        spoil = mnnlite.TaskSpec(poison, replace(image, std=1e-29))
        rng = np.random.default_rng(seed)
        self.pictures = [mnnlite.Frame(rng.integers(0, 256, (43, 75, 3), np.uint8), "BGR", meta=i) for i in range(6)]
        self.alone: dict[str, list[list[Any]]] = {}
        for name, versions in self.specs.items():
            self.alone[name] = []
            for spec in versions:
                with mnnlite.Task(spec) as task:
                    self.alone[name].append([task(picture) for picture in self.pictures])
        self.runtime = mnnlite.Runtime(lanes=lanes, weights=weights, force=True)
        self.runtime.add("n16", self.specs["n16"][0])
        self.runtime.add("poison", spoil)
        self.counts = {"frames": 0, "results": 0, "wrong": 0, "add": 0, "remove": 0, "replace": 0, "resize": 0}
        self.errors: list[str] = []
        self.changing = threading.Lock()
        self.stop = threading.Event()

    def camera(self) -> Any:
        for picture in itertools.cycle(self.pictures):
            if self.stop.is_set():
                return
            yield picture

    def change(self) -> None:
        """In a thread of its own, until the end."""
        try:
            while not self.stop.is_set():
                with self.changing:
                    self.change_one()
                time.sleep(self.rng.random() * 0.02)
        except BaseException as error:
            self.errors.append(repr(error))
            self.stop.set()

    def change_one(self) -> None:
        name = self.rng.choice(list(self.specs)[1:])
        versions = self.specs[name]
        if name not in self.runtime.tasks:
            self.count("add", self.runtime.add, name, self.rng.choice(versions))
        elif self.rng.random() < 0.5:
            self.count("remove", self.runtime.remove, name)
        elif name == "open":
            self.count("resize", self.runtime.resize, name, self.rng.choice(versions).shapes)
        else:
            self.count("replace", self.runtime.replace, name, self.rng.choice(versions))

    def count(self, kind: str, function: Any, *arguments: Any) -> None:
        function(*arguments)
        self.counts[kind] += 1

    def check(self, result: Any) -> None:
        self.counts["frames"] += 1
        if result.errors:
            self.errors.append(str(result.errors))
        for name, found in result.items():
            if name == "poison":
                continue
            self.counts["results"] += 1
            # Any version may have been running: which one, its results say.
            if not any(
                all(np.array_equal(found[output], value) for output, value in expected[result.meta].items())
                for expected in self.alone[name]
            ):
                self.counts["wrong"] += 1

    def held(self) -> float:
        """MiB of anonymous memory with what was there at the beginning."""
        from mnnlite import proc

        with self.changing:
            for name in list(self.runtime.tasks):
                if name not in ("n16", "poison"):
                    self.count("remove", self.runtime.remove, name)
            proc.trim()
            return proc.process().anonymous / 2**20


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--weights", choices=["heap", "mapped"], default="heap")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), args.seed, args.lanes, args.weights)
        memory = []
        thread = threading.Thread(target=soak.change)
        thread.start()
        begin = last = time.monotonic()
        for result in soak.runtime.stream(soak.camera()):
            faulthandler.dump_traceback_later(WATCHDOG_S, exit=True)
            soak.check(result)
            del result
            now = time.monotonic()
            if now - begin > args.seconds:
                soak.stop.set()
            elif now - last > args.seconds / 20:
                memory.append(round(soak.held(), 2))
                last = time.monotonic()
        thread.join()
        soak.runtime.close()
        faulthandler.cancel_dump_traceback_later()
    first, second = memory[len(memory) // 4 : len(memory) // 2], memory[len(memory) // 2 :]
    growth = min(second) - min(first) if first and second else 0.0
    result = {**soak.counts, "errors": soak.errors, "memory_mib": memory, "growth_mib": growth, "seed": args.seed}
    lines = [
        ", ".join(f"{value} {name}" for name, value in soak.counts.items()),
        f"MiB with the first tasks alone, over time: {', '.join(map(str, memory))}; growth {growth:.2f}",
        *soak.errors[:5],
    ]
    machine.report("soak", result, lines, args.json)
    raise SystemExit(1 if soak.errors or soak.counts["wrong"] else 0)


if __name__ == "__main__":
    main()
