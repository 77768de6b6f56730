"""OpenCL beside the CPU, with an engine that has it: `make gpu`. Everything is held against the CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import mnnlite
from helpers import models, networks
from helpers.child import run_python
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Runtime, TaskSpec, _build, _core, observe, pipeline

DEVICES, REASON = _core.gpu_devices("opencl") if _build.PROVIDER == "sdk" else ([], "the engine is PyPI's")
if os.environ.get("MNNLITE_GPU_TESTS") == "required":  # make gpu: without a device it must not be green
    assert DEVICES, f"no device of OpenCL: {REASON}"
pytestmark = pytest.mark.skipif(not DEVICES, reason=f"make gpu: no device of OpenCL ({REASON})")

IMAGE = ImageSpec(std=255)
NEAR = 1e-3  # of the largest value: full floats on both sides, other orders of adding


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(networks.convert(networks.two_branches(tmp_path_factory.mktemp("opencl"), size=64, width=16)))


@pytest.fixture(scope="module")
def open_path(tmp_path_factory):
    return str(networks.convert(networks.two_branches(tmp_path_factory.mktemp("open"), dynamic=True)))


def near(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        assert np.max(np.abs(found[name] - value)) <= NEAR * max(1e-6, np.max(np.abs(value))), name


def value(seed, size=64):
    return np.random.default_rng(seed).random((1, 3, size, size), np.float32)


def test_inputs__written_once_are_read_by_every_run_and_outputs_stay(path):
    """a, b, a, b: what one run leaves must not be the next one's input."""
    with mnnlite.Model(path, backend="opencl", precision="high") as model, mnnlite.Model(path) as cpu:
        assert model.facts()["backend"] == model.arena.backend == "opencl"
        for seed in (1, 2, 1, 2):
            wanted = cpu.run({"image": value(seed)})
            model.input("image")[...] = value(seed)
            near(model.run(), wanted)
            borrowed = model.run(borrow=True)
            near(borrowed, wanted)
            assert not borrowed["heat"].flags.writeable
        kept = model.run({"image": value(3)})
        before = {name: each.copy() for name, each in kept.items()}
        model.run({"image": value(4)})
        near(kept, before)


def test_branches__are_those_of_the_cpu(path):
    with mnnlite.Model(path) as cpu, mnnlite.Model(path, backend="opencl", precision="high") as whole:
        wanted = cpu.run({"image": value(5)})
        for name in wanted:
            near(whole.run({"image": value(5)}, outputs=[name]), {name: wanted[name]})
            with mnnlite.Model(path, backend="opencl", precision="high", outputs=[name]) as branch:
                near(branch.run({"image": value(5)}), {name: wanted[name]})


def test_resizing__keeps_what_is_computed(open_path):
    shapes = {"image": (1, 3, 32, 32)}
    with (
        mnnlite.Model(open_path, shapes=shapes, resizable=True) as cpu,
        mnnlite.Model(open_path, shapes=shapes, resizable=True, backend="opencl", precision="high") as model,
    ):
        for size in (32, 48, 32):
            for each in (cpu, model):
                each.resize({"image": (1, 3, size, size)})
            near(model.run({"image": value(size, size)}), cpu.run({"image": value(size, size)}))


def test_models_of_one_arena__do_not_disturb_each_other(path, open_path):
    with mnnlite.Arena(backend="opencl", precision="high") as arena:
        a = mnnlite.Model(path, arena=arena)
        b = mnnlite.Model(open_path, arena=arena, shapes={"image": (1, 3, 32, 32)})
        with mnnlite.Model(path) as cpu, mnnlite.Model(open_path, shapes={"image": (1, 3, 32, 32)}) as other:
            for seed in range(3):
                wanted = cpu.run({"image": value(seed)}), other.run({"image": value(seed, 32)})
                a.input("image")[...], b.input("image")[...] = value(seed), value(seed, 32)
                near(a.run(), wanted[0])
                near(b.run(), wanted[1])
                near(a.run(), wanted[0])


# A software driver compiles a kernel anew for each size that tuning tries, so one small network is tuned, and for seconds.
@pytest.mark.parametrize(
    ("tuning", "memory"), [("none", "auto"), ("none", "buffer"), ("none", "image"), ("fast", "buffer")]
)
def test_every_mode__computes_the_same(tmp_path, tuning, memory):
    small = networks.convert(networks.two_branches(tmp_path, size=8, width=4))
    options = {"tuning": tuning, "gpu_memory": memory, "precision": "high"}
    with mnnlite.Model(small) as cpu, mnnlite.Model(small, backend="opencl", **options) as model:
        near(model.run({"image": value(7, 8)}), cpu.run({"image": value(7, 8)}))


def test_options__are_an_arenas_or_refused(path):
    with mnnlite.Arena(backend="opencl", tuning="fast") as arena:
        for name, word in (("tuning", "wide"), ("gpu_memory", "image"), ("backend", "cpu")):
            with pytest.raises(mnnlite.ArgumentError, match=f"{name} is '{word}' but the arena has "):
                mnnlite.Model(path, arena=arena, **{name: word})
        with pytest.raises(mnnlite.ArgumentError, match="winograd is 'small', which does nothing on backend 'opencl'"):
            mnnlite.Model(path, arena=arena, winograd="small")


@pytest.mark.skipif(
    os.environ.get("MNNLITE_GPU") == "real", reason="a real device may have a low priority; pocl has none"
)
def test_low_power__names_itself_where_the_device_has_none():
    with pytest.raises(mnnlite.ArgumentError, match="power is 'low', which this device of backend 'opencl' has not"):
        mnnlite.Arena(backend="opencl", power="low")


def test_half_floats__are_said(path):
    with mnnlite.Model(path, backend="opencl", precision="high") as full:
        assert not full.facts()["computes_in_half"]
    with mnnlite.Model(path, backend="opencl") as usual:
        assert usual.facts()["computes_in_half"] == usual.arena.computes_in_half == usual.arena.native.has_half


# ---- what is reported


def test_operator_times__are_of_the_work(tmp_path):
    deep = networks.convert(networks.deep(tmp_path, layers=8, size=128))
    with mnnlite.Model(deep, backend="opencl") as model:
        found = observe.profile(model, runs=10, traced=5)
    infer = next(each.p50_ms for each in found.stages if each.name == "infer")
    assert sum(each.ms for each in found.operators) >= infer / 2
    assert not [each.fell_back for each in found.operators if each.fell_back and each.backend == "opencl"]


def test_the_main_backend__is_the_sessions(path):
    with mnnlite.Model(path, backend="opencl") as model:
        assert observe.plan(model).backend == "opencl"
        assert observe.trace_run(model).backend == "opencl"


def test_memory__that_is_not_counted_is_not_known(path):
    with mnnlite.Model(path, backend="opencl") as model:
        model.run()
        terms = model.memory()
    assert terms["static"] is None
    assert terms["dynamic"] is None
    assert terms["inputs"] > 0
    assert terms["outputs"] > 0


def test_info__lists_devices():
    ran = subprocess.run([sys.executable, "-m", "mnnlite", "info", "--json"], capture_output=True, check=True, cwd="/")
    found = json.loads(ran.stdout)["backends"]
    assert found["opencl"]["usable"]
    assert found["opencl"]["devices"][0]["name"] == DEVICES[0][0]
    assert found["vulkan"]["usable"] is False


# ---- a runtime with two backends


def tasks_of(path) -> dict[str, TaskSpec]:
    gpu = {"backend": "opencl", "precision": "high"}
    return {
        "detector": TaskSpec(path, IMAGE, outputs=["points"]),
        "segments": TaskSpec(path, IMAGE, outputs=["heat"], **gpu),
        "points": TaskSpec(path, IMAGE, outputs=["points"], **gpu),
    }


def results_of(tasks: dict[str, TaskSpec], count: int = 12):
    with Runtime() as runtime:
        for name, task in tasks.items():
            runtime.add(name, task)
        found = [runtime.process(noisy_frame(seed)) for seed in range(count)]
    assert not [each.errors for each in found if each.errors]
    return [{name: dict(each[name]) for name in tasks} for each in found]


def test_a_runtime__with_two_backends_finds_what_each_alone_finds(path, tmp_path):
    tasks = tasks_of(path)
    cpu = results_of({name: replace(task, backend=None) for name, task in tasks.items()})
    file = tmp_path / "two.toml"
    pipeline.save(pipeline.Pipeline(tasks), file)
    with pipeline.load(file).open() as runtime, runtime.trace(tmp_path / "trace.json"):
        found = list(runtime.stream(noisy_frame(seed) for seed in range(len(cpu))))
        plan, stats, memory = runtime.plan(), runtime.stats(), runtime.memory()
    for result, wanted in zip(found, cpu, strict=True):
        for name in tasks:
            near(dict(result[name]), wanted[name])
    for name, task in tasks.items():
        alone = results_of({name: task}, 3)
        for wanted, each in zip(alone, found, strict=False):
            near(dict(each[name]), wanted[name])

    assert re.search(r"^lane 0: .* threads 1$", plan, re.MULTILINE), plan
    assert re.search(r"^lane 1: .* backend opencl$", plan, re.MULTILINE), plan
    assert re.search(r"^  segments: .*backend opencl, full floats, .*feature maps not known$", plan, re.MULTILINE), plan
    assert {name: task.lane for name, task in stats.tasks.items()} == {"detector": 0, "segments": 1, "points": 1}
    assert [lane.frames for lane in stats.lanes] == [len(cpu), len(cpu)]
    assert memory.tasks["segments"].static is memory.tasks["segments"].dynamic is memory.lanes[1].dynamic is None
    assert memory.tasks["detector"].static > 0
    assert memory.total > 0
    # Two tasks of one file, picture and options share the session of their lane; those on another backend do not.
    assert {name: task.shares for name, task in memory.tasks.items()} == {
        "detector": None,
        "segments": None,
        "points": "segments",
    }
    trace = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    tracks = {each["tid"]: each["args"]["name"] for each in trace if each["name"] == "thread_name"}
    ran = {(tracks[each["tid"]], each["name"]) for each in trace if each.get("cat") == "task"}
    assert ran == {("lane 0", "detector"), ("lane 1", "segments"), ("lane 1", "points")}


def test_a_task_that_takes_something_from_another__is_in_its_lane(path):
    with Runtime() as runtime:
        runtime.add("first", TaskSpec(path, IMAGE))
        runtime.add("second", TaskSpec(path, IMAGE, feed={}, backend="opencl", precision="high"))
        assert runtime.stats().tasks["second"].lane == 1
        runtime.remove("second")
        with pytest.raises(mnnlite.ArgumentError, match="preempts: on backend 'opencl' not yet"):
            runtime.add("urgent", TaskSpec(path, IMAGE, backend="opencl"), preempts=True, deadline_ms=5)
        runtime.add("second", TaskSpec(path, IMAGE, backend="opencl", gpu_memory="buffer"))
        runtime.add("third", TaskSpec(path, IMAGE, backend="opencl"))  # another arena of the same lane
        assert "gpu_memory buffer" in runtime.plan()
        result = runtime.process(noisy_frame())
        assert not result.errors
        with pytest.raises(mnnlite.ArgumentError, match="remove it and add it anew"):
            runtime.replace("second", TaskSpec(path, IMAGE))


def test_a_budget__is_not_yet_for_a_gpu(path):
    with (
        Runtime(memory="64 MiB") as runtime,
        pytest.raises(mnnlite.ArgumentError, match="the engine does not count it"),
    ):
        runtime.add("a", TaskSpec(path, IMAGE, backend="opencl"))


# ---- the cache

CACHED = """
import sys
import mnnlite
model = mnnlite.Model(sys.argv[1], outputs=["heat"], backend="opencl", precision="high")
print(model.timing["create_session"])
import numpy as np
print(float(np.abs(model.run({"image": np.full((1, 3, 64, 64), 0.5, np.float32)})["heat"]).sum()))
"""


def test_the_tuning_cache__saves_most_of_loading_and_a_spoilt_one_is_written_anew(path, tmp_path):
    def load(driver):
        env = {"MNNLITE_CACHE": str(tmp_path / "kept"), "POCL_CACHE_DIR": str(tmp_path / driver)}
        took, found = map(float, run_python(CACHED, path, env=env).stdout.split())
        (file,) = (tmp_path / "kept").rglob("*.bin")
        return took, found, file.read_bytes(), file

    cold, wanted, kept, file = load("pocl")
    warm, found, again, _ = load("another")  # what the driver itself keeps is not what is measured
    assert found == pytest.approx(wanted, rel=1e-3)
    assert again == kept
    assert warm < cold / 2
    spoilt = kept[:-1] + bytes([kept[-1] ^ 1])
    file.write_bytes(spoilt)
    _, found, again, _ = load("pocl")  # which has most of what is to be compiled
    assert found == pytest.approx(wanted, rel=1e-3)
    assert len(again) > len(kept) / 2
    assert again != spoilt
    assert [each for each in (tmp_path / "kept").rglob("*") if each.is_file()] == [file]


# ---- life

FORK = """
import os, sys
import mnnlite
with mnnlite.Model(sys.argv[1], backend="opencl") as model:
    model.run()
    child = os.fork()
    if child == 0:
        try:
            mnnlite.Arena(backend="opencl")
        except mnnlite.StateError as error:
            assert "was forked after its parent had used a GPU" in str(error), error
            with mnnlite.Model(sys.argv[1]) as other:
                other.run()
            os._exit(7)
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    model.run()
"""


def test_a_forked_child__is_refused_a_gpu_and_has_the_cpu(path):
    assert run_python(FORK, path).stdout.strip() == "7"


def test_a_network_that_the_engine_dies_of__is_tried_by_a_child():
    with pytest.raises(mnnlite.MnnliteError) as caught:
        mnnlite.Model(models.path("unrunnable"), backend="opencl", trial=True)
    assert isinstance(caught.value, (mnnlite.ModelFormatError, mnnlite.UnsupportedModelError))


def test_a_missing_driver__is_told_from_a_missing_backend():
    env = {"LD_LIBRARY_PATH": ""}
    code = "import mnnlite\ntry: mnnlite.Arena(backend='opencl')\nexcept mnnlite.BackendUnavailableError as e: print(e)"
    said = run_python(code, env=env).stdout
    if os.path.exists("/usr/lib/x86_64-linux-gnu/libOpenCL.so"):
        assert "the driver of OpenCL has no GPU" in said
    else:
        assert 'the engine has backend "opencl", but no driver: libOpenCL.so: cannot open shared object file' in said
