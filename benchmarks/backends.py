"""Two backends in one pipeline: whether results, plan, trace, times and memory are true, and what the tuning cache saves.

    python benchmarks/backends.py [--backend opencl] [--frames 40] [--tuning none,wide] [--json]

The pipeline is of the road pack: its detector on the CPU, and the two branches of its segmentation network as two tasks on the
other backend. `make gpu` runs this with a software driver. Without a device it says why, and ends with 2.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import machine
import numpy as np

import mnnlite
from mnnlite import _core, demo, observe, pipeline
from mnnlite.demo import pack

TOML = """
[runtime]
lanes = 1

[[task]]
name = "objects"
model = "{folder}/road_objects.mnn"
image = {{ size = [640, 352], fit = "crop", std = 255, filter = "area" }}

[[task]]
name = "area and lines"
model = "{folder}/road_scene.mnn"
outputs = ["drivable", "lanes"]
image = {{ size = [512, 176], fit = "crop", anchor = "bottom", std = 255, filter = "area" }}
backend = "{backend}"
precision = "high"

[[task]]
name = "surface"
model = "{folder}/road_scene.mnn"
outputs = ["surface"]
image = {{ size = [512, 176], fit = "crop", anchor = "bottom", std = 255, filter = "area" }}
backend = "{backend}"
precision = "high"
"""

# argv: model, backend, tuning. Loads once and says what a session took, and how much memory one more took.
LOAD = """
import json, sys
import mnnlite
from mnnlite.proc import process
model, backend, tuning = sys.argv[1:]
arena = mnnlite.Arena(backend=backend, tuning=tuning)
first = mnnlite.Model(model, arena=arena)
first.run()
before = process().anonymous
second = mnnlite.Model(model, arena=arena)
second.run()
print(json.dumps([first.timing["create_session"] / 1e6, (process().anonymous - before) / 2**20]))
"""


def deviation(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The largest difference of an output, by its range."""
    return max(
        float(np.max(np.abs(found[name].astype(np.float64) - value))) / max(1e-9, float(np.max(np.abs(value))))
        for name, value in wanted.items()
    )


def run_all(runtime: mnnlite.Runtime, frames: list[mnnlite.Frame]) -> list[dict[str, dict[str, np.ndarray]]]:
    found = []
    for result in runtime.stream(iter(frames)):
        assert not result.errors, result.errors
        found.append({name: {key: np.array(value) for key, value in result[name].items()} for name in runtime.tasks})
    return found


def load(model: Path, backend: str, tuning: str, cache: str, driver: str) -> tuple[float, float]:
    child = subprocess.run(
        [sys.executable, "-c", LOAD, str(model), backend, tuning],
        capture_output=True,
        text=True,
        cwd="/",  # never a folder with sources in it, which -c would find first
        env={**os.environ, "MNNLITE_CACHE": cache, "POCL_CACHE_DIR": driver},  # pocl keeps kernels too
    )
    if child.returncode:
        raise RuntimeError(child.stderr[-2000:])
    took, more = json.loads(child.stdout)
    return took, more


def main() -> int:
    parser = machine.parser(__doc__)
    parser.add_argument("--backend", default="opencl", choices=("opencl", "vulkan"))
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument(
        "--tuning", default="none", help="with which the cache is measured, e.g. none,fast,wide; empty: it is not"
    )
    args = parser.parse_args()
    try:
        mnnlite.Arena(backend=args.backend).close()
    except mnnlite.BackendUnavailableError as error:
        print(error)
        return 2
    devices = _core.gpu_devices(args.backend)[0]
    frames = [mnnlite.Frame(demo.scenes.scene(seed)[0], "RGB") for seed in range(4)]
    frames = [frames[i % len(frames)] for i in range(args.frames)]
    lines = [f"{args.backend}: {', '.join(' '.join(each) for each in devices)}"]
    facts: dict[str, object] = {"devices": devices}

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "two.toml"
        file.write_text(TOML.format(folder=pack.FOLDER, backend=args.backend))
        spec = pipeline.load(file)
        trace_file = Path(folder) / "trace.json"
        with spec.open() as runtime, runtime.trace(trace_file):
            found = run_all(runtime, frames)
            plan, memory, lanes = runtime.plan(), runtime.memory(), runtime.stats().lanes
        spans = json.loads(trace_file.read_text())["traceEvents"]
    cpu = replace(spec, tasks={name: replace(task, backend=None) for name, task in spec.tasks.items()})
    with cpu.open() as runtime:
        wanted = run_all(runtime, frames)
    with mnnlite.Runtime() as runtime:
        for name, task in spec.tasks.items():
            runtime.add(name, task)
        by_python = run_all(runtime, frames)

    deviations = {
        name: max(deviation(a[name], b[name]) for a, b in zip(found, wanted, strict=True)) for name in spec.tasks
    }
    same = all(deviation(a[name], b[name]) == 0 for a, b in zip(found, by_python, strict=True) for name in spec.tasks)
    lines += ["", f"{len(found)} frames; largest deviation from all on the CPU, by range:"]
    lines += [f"  {name}: {value:.1e}" for name, value in deviations.items()]
    lines += [f"  the same runtime by Python: {'equal' if same else 'differs'}", "", *plan.splitlines()]
    lines += [f"lane {index}: {lane.frames} frames, {lane.utilisation:.0%} busy" for index, lane in enumerate(lanes)]
    tracks = {each["tid"]: each["args"]["name"] for each in spans if each["name"] == "thread_name"}
    where = {(tracks[each["tid"]], each["name"]) for each in spans if each.get("cat") == "task"}
    lines.append(f"trace: {', '.join(f'{name} in {track}' for track, name in sorted(where))}")
    known = {name: (task.static, task.dynamic) for name, task in memory.tasks.items()}
    lines.append(
        "memory, static and feature maps: " + ", ".join(f"{name} {said(terms)}" for name, terms in known.items())
    )
    facts |= {"deviation": deviations, "same_by_python": same, "trace": sorted(where), "memory": known}

    model = pack.FOLDER / "road_scene.mnn"
    lines += ["", f"operator times of {model.name}, their sum beside an inference, ms:"]
    for backend in ("cpu", args.backend):
        with mnnlite.Model(model, backend=backend) as network:
            profile = observe.profile(network, runs=20)
            infer = next(stage.p50_ms for stage in profile.stages if stage.name == "infer")
            total = sum(each.ms for each in profile.operators)
        facts[f"profile_{backend}"] = {"sum": total, "infer": infer}
        lines.append(
            f"  {backend}: {total:.2f} of {infer:.2f} ({total / infer:.2f})" if total else f"  {backend}: none"
        )

    lines += ["", "a session without and with its cache, ms, and what one more copy takes, MiB:"]
    for model, tuning in itertools.product(("sign_class.mnn", "road_scene.mnn"), filter(None, args.tuning.split(","))):
        with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as first:
            cold, _ = load(pack.FOLDER / model, args.backend, tuning, cache, first)
            with tempfile.TemporaryDirectory() as driver:
                warm, more = load(pack.FOLDER / model, args.backend, tuning, cache, driver)
            kept = sum(each.stat().st_size for each in Path(cache).rglob("*") if each.is_file())
        facts[f"cache_{model}_{tuning}"] = {"cold_ms": cold, "warm_ms": warm, "bytes": kept, "copy_mib": more}
        lines.append(
            f"  {model}, tuning {tuning}: {cold:.0f} and {warm:.0f} ({kept / 2**20:.2f} MiB kept); {more:.1f} MiB"
        )
    machine.report("backends", facts, lines, args.json)
    return 0 if max(deviations.values()) <= 1e-3 and same else 1


def said(terms: tuple[int | None, int | None]) -> str:
    return " and ".join("not known" if each is None else f"{each / 2**20:.1f} MiB" for each in terms)


if __name__ == "__main__":
    raise SystemExit(main())
