"""Weights in files: the same results to the bit, less anonymous memory, and nothing left behind, whatever happens."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.child import run_python
from helpers.comparing import same
from helpers.disks import disk
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Runtime, Task, TaskSpec, proc

MIB = 2**20


@pytest.fixture
def folder():
    """On a disk: pytest's own may lie in memory."""
    made = tempfile.mkdtemp(dir=disk())
    yield made
    assert os.listdir(made) == []
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def specs(tmp_path_factory):
    """Networks from small to some MiB, small ones first, and one that spoils shared memory after each."""
    made = tmp_path_factory.mktemp("weights")
    found = {}
    for size, width in ((16, 8), (64, 96), (32, 48), (96, 128)):
        path = networks.convert(networks.two_branches(made, size=size, width=width))
        found[f"n{width}"] = TaskSpec(path, ImageSpec(std=255))
    found["poison"] = TaskSpec(networks.convert(networks.poison(made)), ImageSpec(std=1e-29))
    return found


@pytest.fixture(scope="session")
def alone(specs):
    result = {}
    for name, spec in specs.items():
        with Task(spec) as task:
            result[name] = [task(noisy_frame(seed)) for seed in range(3)]
    return result


@pytest.mark.parametrize("lanes", [1, 2])
def test_results_are_those_of_weights_on_the_heap(specs, alone, folder, lanes):
    with Runtime(lanes=lanes, weights="mapped", weights_dir=folder, force=True) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec)
        for turn in range(6):
            result = runtime.process(noisy_frame(turn % 3))
            for name in specs:
                same(result[name], alone[name][turn % 3])
        memory = runtime.memory().to_json()
        for name, terms in memory["tasks"].items():
            assert 0 <= terms["mapped"] <= terms["static"]
            if terms["static"] > MIB:
                assert terms["mapped"] > 0.8 * terms["static"], name
        mapped = sum(lane["mapped"] for lane in memory["lanes"])
        assert mapped == sum(terms["mapped"] for terms in memory["tasks"].values()) > 0
        held = sum(lane["static"] + lane["dynamic"] + lane["inputs"] for lane in memory["lanes"])
        assert memory["total"] == held - mapped


@pytest.mark.not_emulated("qemu's /proc/self/smaps counts no pages")
def test_pages_in_use_are_at_most_what_is_mapped(specs, folder):
    with Runtime(weights="mapped", weights_dir=folder, force=True) as runtime:
        runtime.add("n128", specs["n128"])
        runtime.process(noisy_frame())
        memory = runtime.memory().to_json()
        mapped = sum(lane["mapped"] for lane in memory["lanes"])
        assert 0 < memory["weight_files"]["resident"] <= 1.1 * mapped
        assert 0 <= memory["weight_files"]["dirty"] <= memory["weight_files"]["resident"]


def test_tasks_come_and_go_while_frames_run(specs, alone, folder):
    with Runtime(weights="mapped", weights_dir=folder) as runtime:
        for turn, name in enumerate(["n8", "n96", "poison", "n48", "n128"]):
            runtime.add(name, specs[name])
            result = runtime.process(noisy_frame(turn % 3))
            for each in runtime.tasks:
                same(result[each], alone[each][turn % 3])
        runtime.remove("n96")
        runtime.replace("n48", specs["n128"])
        runtime.add("n96", specs["n96"])
        result = runtime.process(noisy_frame(1))
        for each in ("n8", "n96", "poison", "n128"):
            same(result[each], alone[each][1])
        same(result["n48"], alone["n128"][1])
        for name in ("n96", "poison", "n48", "n128"):
            runtime.remove(name)
        same(runtime.process(noisy_frame())["n8"], alone["n8"][0])


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
def test_weights_are_not_anonymous_and_go_with_the_model(specs, folder):
    path = specs["n128"].model

    def growth(**options):
        mnnlite.Model(path, **options).close()  # what only a first use leaves behind
        proc.trim()
        before = proc.process().anonymous
        model = mnnlite.Model(path, **options)
        loaded = proc.process().anonymous - before
        terms = model.memory()
        model.close()
        return loaded, terms, proc.process().anonymous - before

    heap, terms, _ = growth()
    mapped, filed, left = growth(weights="mapped", weights_dir=folder)
    assert terms["static"] == filed["static"] > 2 * MIB
    assert heap - mapped > 0.8 * terms["static"]
    assert left < MIB // 4


@pytest.mark.not_emulated("qemu does not carry madvise over to what it emulates")
def test_pages_that_the_kernel_drops_are_read_again(specs, alone, folder):
    with Task(
        mnnlite.Model(specs["n128"].model, weights="mapped", weights_dir=folder), image=ImageSpec(std=255)
    ) as task:
        same(task(noisy_frame()), alone["n128"][0])
        inodes = set(task.model.native.weight_files())
        held = proc.files(inodes)["resident"]
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for line in Path("/proc/self/maps").read_text().splitlines():
            where, _, _, _, inode, *_ = line.split()
            if int(inode) in inodes:
                begin, end = (int(part, 16) for part in where.split("-"))
                if madvise(begin, end - begin, 21) != 0:  # MADV_PAGEOUT
                    assert ctypes.get_errno() == errno.EINVAL  # what kernels before 5.4 say of it
                    pytest.skip("this kernel does not drop pages when asked")
        assert proc.files(inodes)["resident"] < held / 2
        same(task(noisy_frame(1)), alone["n128"][1])
        assert proc.files(inodes)["resident"] > held / 2


def test_a_changed_model_file_is_read_anew(specs, alone, folder, tmp_path):
    path = tmp_path / "net.mnn"
    spec = TaskSpec(path, ImageSpec(std=255))
    with Runtime(weights="mapped", weights_dir=folder) as runtime:
        shutil.copy(specs["n96"].model, path)
        runtime.add("net", spec)
        same(runtime.process(noisy_frame())["net"], alone["n96"][0])
        shutil.copy(specs["n128"].model, path)  # into the same file
        runtime.add("other", spec)
        result = runtime.process(noisy_frame())
        same(result["net"], alone["n96"][0])
        same(result["other"], alone["n128"][0])
        runtime.replace("net", spec)
        same(runtime.process(noisy_frame(1))["net"], alone["n128"][1])


def test_a_resized_network_keeps_its_results(folder, tmp_path):
    source = networks.convert(networks.two_branches(tmp_path, width=64, dynamic=True))
    heap = mnnlite.Model(source, shapes={"image": (1, 3, 16, 16)}, resizable=True)
    mapped = mnnlite.Model(
        source, shapes={"image": (1, 3, 16, 16)}, resizable=True, weights="mapped", weights_dir=folder
    )
    for size in (16, 48, 16, 80):
        x = np.random.default_rng(size).random((1, 3, size, size), np.float32)
        for model in (heap, mapped):
            model.resize({"image": x.shape})
        same(mapped.run({"image": x}), heap.run({"image": x}))
    mapped.close()
    heap.close()


RUN = """
import sys, time
import numpy as np
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec
folder, out, *paths = sys.argv[1:]
runtime = Runtime(weights="mapped", weights_dir=folder)
for index, path in enumerate(paths):
    runtime.add(f"t{index}", TaskSpec(path, ImageSpec(std=255)))
frame = Frame(np.random.default_rng(0).integers(0, 256, (43, 75, 3), np.uint8), "BGR")
result = runtime.process(frame)
np.savez(out, **{f"{task}.{name}": value for task, found in result.items() for name, value in found.items()})
print("ran", flush=True)
if out.endswith("killed.npz"):
    time.sleep(600)
"""


def test_a_restart_and_a_process_that_was_killed(specs, alone, folder, tmp_path):
    paths = [str(specs[name].model) for name in ("n96", "n128")]
    command = [sys.executable, "-c", RUN, folder, str(tmp_path / "killed.npz"), *paths]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line == "ran\n":
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert os.listdir(folder) == []
    for turn in range(2):
        run_python(RUN, folder, str(tmp_path / f"{turn}.npz"), *paths)
    for name in ("killed", "0", "1"):
        with np.load(tmp_path / f"{name}.npz") as found:
            for task, expected in (("t0", alone["n96"][0]), ("t1", alone["n128"][0])):
                same({key.split(".", 1)[1]: found[key] for key in found if key.startswith(task)}, expected)


FULL = """
import resource, sys
import numpy as np, mnnlite
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec
folder, small, large = sys.argv[1:]
frame = Frame(np.random.default_rng(0).integers(0, 256, (43, 75, 3), np.uint8), "BGR")
with Runtime(weights="mapped", weights_dir=folder) as runtime:
    runtime.add("small", TaskSpec(small, ImageSpec()))
    expected = runtime.process(frame)["small"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # writing more fails, as on a full disk
    try:
        runtime.add("large", TaskSpec(large, ImageSpec()))
        raise SystemExit("it was loaded")
    except mnnlite.OutOfMemoryError as error:
        assert "no room for the weights" in str(error) and "\\n" not in str(error), error
    found = runtime.process(frame)
    assert list(found) == ["small"]
    assert all(np.array_equal(found["small"][name], value) for name, value in expected.items())
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    runtime.add("large", TaskSpec(large, ImageSpec()))
    found = runtime.process(frame)
    assert set(found) == {"small", "large"}
    assert all(np.array_equal(found["small"][name], value) for name, value in expected.items())
print("fine")
"""


@pytest.mark.not_emulated("qemu does not carry RLIMIT_FSIZE over to what it emulates")
def test_a_full_disk_costs_the_task_that_asked(specs, folder):
    done = run_python(FULL, folder, str(specs["n8"].model), str(specs["n128"].model))
    assert "fine" in done.stdout


def test_a_budget_counts_only_what_is_anonymous(specs, folder):
    needs = {}
    for weights in ({}, {"weights": "mapped", "weights_dir": folder}):
        with Runtime(memory="1 GiB", **weights) as runtime:
            for name in ("n96", "n128"):
                runtime.add(name, specs[name])
            runtime.process(noisy_frame())
            memory = runtime.memory().to_json()
            needs[len(weights)] = memory["budget"]["expected"]
            static = sum(lane["static"] for lane in memory["lanes"])
            assert memory["engine"] >= 0
    assert needs[0] - needs[2] > 0.7 * static


def test_wrong_folders(tmp_path):
    for options, text in (
        ({"weights": "disk"}, "weights is 'disk'"),
        ({"weights_dir": "/var/tmp"}, "weights_dir is for weights='mapped'"),
        ({"weights": "mapped", "weights_dir": tmp_path / "absent"}, "No such file"),
        ({"weights": "mapped", "weights_dir": "/dev/shm"}, "lies in memory"),
    ):
        with pytest.raises(mnnlite.ArgumentError, match=text):
            mnnlite.Arena(**options)
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(mnnlite.ArgumentError, match="Not a directory"):
        mnnlite.Arena(weights="mapped", weights_dir=path)
