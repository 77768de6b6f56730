"""Anonymous memory of one network, stage by stage: mnnlite beside MNN's own Python package.

    python benchmarks/memory_one_model.py [--model NET.mnn] [--threads 1] [--environments FOLDER] [--json]

The network is mediapipe's pose_landmark_full (12.1 MiB as .mnn) unless another is named. Each contender runs in a fresh
child process that first loads, runs and closes another network, so that what a first use leaves behind is not counted.
Figures are MiB of anonymous memory (/proc/self/smaps_rollup) over the moment before loading; there malloc's free pages
are given back, by either contender, so that they are not counted as memory that was there before. The peak of loading is
seen by a second process that reads the child's figure as often as it can, over several loads; it may miss short moments.

"MNN" holds what its documentation's loop holds: the input as an array and as a host tensor, each output as a host
tensor. "MNN, session only" drops the input's and never reads an output, which no program does: the floor of that package.
mnnlite writes into the input tensor and reads views of the outputs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import environments
import fetch
import machine
import numpy as np

STAGES = ["loaded", "input filled", "first run", "third run", "closed"]
CONTENDERS = ["mnnlite", "mnnlite, external weights", "MNN", "MNN, session only", "MNN, external weights"]
LOADS = 8  # for the peak


def anonymous(pid: int | str = "self") -> float:
    """MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this kernel has no smaps_rollup")


class Ours:
    def __init__(self, threads: int) -> None:
        import mnnlite

        self.package = mnnlite
        self.threads = threads

    def load(self, path: str) -> None:
        self.model = self.package.Model(path, threads=self.threads)

    def fill(self, value: float) -> None:
        for name in self.model.inputs:
            self.model.input(name)[...] = value

    def run(self) -> None:
        self.views = self.model.run(borrow=True)

    def close(self) -> None:
        self.views = {}
        self.model.close()
        del self.model


class Theirs:
    """MNN's package, used as its documentation shows: interpreter, session, copyFrom, runSession, copyToHostTensor."""

    def __init__(self, threads: int, session_only: bool) -> None:
        import MNN

        self.package = MNN
        self.threads = threads
        self.session_only = session_only
        self.held: list[Any] = []

    def host_tensor(self, like: Any, value: float) -> Any:
        shape = like.getShape()
        array = np.full(shape, value, np.float32)
        tensor = self.package.Tensor(shape, self.package.Halide_Type_Float, array, like.getDimensionType())
        if not self.session_only:
            self.held += [array, tensor]
        return tensor

    def load(self, path: str) -> None:
        self.interpreter = self.package.Interpreter(path)
        self.session = self.interpreter.createSession({"backend": "CPU", "numThread": self.threads})

    def fill(self, value: float) -> None:
        for tensor in self.interpreter.getSessionInputAll(self.session).values():
            tensor.copyFrom(self.host_tensor(tensor, value))
        self.results = []
        if not self.session_only:
            outputs = self.interpreter.getSessionOutputAll(self.session).values()
            self.results = [(tensor, self.host_tensor(tensor, 0)) for tensor in outputs]

    def run(self) -> None:
        self.interpreter.runSession(self.session)
        for tensor, host in self.results:
            tensor.copyToHostTensor(host)

    def close(self) -> None:
        self.held.clear()
        self.results = []
        del self.session
        del self.interpreter


def measured(contender: str, path: str, other: str, threads: int) -> dict[str, float]:
    engine = Ours(threads) if contender.startswith("mnnlite") else Theirs(threads, "session only" in contender)
    engine.load(other)
    engine.fill(0.1)
    engine.run()
    engine.close()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    start = anonymous()
    seen: dict[str, float] = {}

    def note(stage: str) -> None:
        gc.collect()
        seen[stage] = anonymous() - start

    engine.load(path)
    note("loaded")
    engine.fill(0.46875)
    note("input filled")
    engine.run()
    note("first run")
    engine.run()
    engine.run()
    note("third run")
    engine.close()
    note("closed")
    # Again and again, for the process that watches the peak.
    print(json.dumps({"stages": seen, "start": start}), flush=True)
    sys.stdin.readline()
    for _ in range(LOADS):
        engine.load(path)
        engine.close()
        gc.collect()
        time.sleep(0.02)
    return seen


def watch(command: list[str]) -> dict[str, Any]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):  # the engine prints too
                break
        else:
            raise SystemExit(f"{command}: ended with {child.wait()}")
        result: dict[str, Any] = json.loads(line)
        child.stdin.write("go\n")
        child.stdin.flush()
        peak, samples = 0.0, 0
        while child.poll() is None:
            try:
                peak = max(peak, anonymous(child.pid))
                samples += 1
            except (OSError, SystemExit):
                break
        if child.wait() != 0:
            raise SystemExit(f"{command}: ended with {child.returncode}")
    result["stages"]["load peak"] = peak - result.pop("start")
    result["samples"] = samples
    return result


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--model", type=Path, help="instead of pose_landmark_full; without external weights then")
    parser.add_argument("--threads", type=int, default=1)
    environments.add_option(parser)
    parser.add_argument("--child", nargs=3, metavar=("CONTENDER", "PATH", "OTHER"), help="used by this script itself")
    args = parser.parse_args()
    if args.child:
        measured(*args.child, args.threads)
        return
    plain = args.model or fetch.mnn("pose_landmark_full")
    paths = {"mnnlite": plain, "MNN": plain, "MNN, session only": plain}
    if args.model is None:
        external = fetch.mnn("pose_landmark_full", external=True)
        paths |= {"mnnlite, external weights": external, "MNN, external weights": external}
    other = fetch.mnn("face_detection_short_range")
    results = {}
    for contender in CONTENDERS:
        if contender in paths:
            python = environments.python_of(contender, args.environments)
            command = [python, __file__, "--threads", str(args.threads)]
            results[contender] = watch([*command, "--child", contender, str(paths[contender]), str(other)])
    stages = {name: result["stages"] for name, result in results.items()}
    ours, theirs = stages["mnnlite"], stages["MNN"]
    verdict = {
        "after_first_run_over_MNN": ours["first run"] / theirs["first run"],
        "after_first_run_over_MNN_session_only": ours["first run"] / stages["MNN, session only"]["first run"],
        "left_after_close_MiB": ours["closed"],
    }
    if args.model is None:
        outside = stages["mnnlite, external weights"]
        verdict["external_load_peak_over_running_MiB"] = outside["load peak"] - outside["first run"]
    columns = [*STAGES[:1], "load peak", *STAGES[1:]]
    lines = [f"{plain.name}, {plain.stat().st_size / 2**20:.1f} MiB, {args.threads} thread(s); MiB of anonymous memory"]
    lines.append(f"{'':28}" + "".join(f"{name:>14}" for name in columns))
    for name, row in stages.items():
        lines.append(f"{name:28}" + "".join(f"{row[column]:14.1f}" for column in columns))
    lines += [f"{key}: {value:.2f}" for key, value in verdict.items()]
    result = {"unit": "MiB", "file_MiB": plain.stat().st_size / 2**20, "stages": stages, **verdict}
    machine.report("memory_one_model", result, lines, args.json)


if __name__ == "__main__":
    main()
