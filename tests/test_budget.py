"""The memory budget: refused with what would fit, evicted and brought back, and the measured peak below it."""

from __future__ import annotations

import time

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.child import run_python
from helpers.kernel import needs_peaks
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Runtime, Task, TaskSpec, _core, cost
from mnnlite.runtime.budget import Budget, MemoryDemand, held, parse

MIB = 2**20


@pytest.fixture(scope="session")
def specs(tmp_path_factory):
    """Networks of a few MiB."""
    folder = tmp_path_factory.mktemp("budget")
    return {
        f"n{width}": TaskSpec(
            networks.convert(networks.two_branches(folder, size=64, width=width)),
            ImageSpec(),
            outputs=["heat", "points"],
        )
        for width in (96, 112, 128)
    }


def test_sizes():
    assert parse("64 MiB") == 64 * MIB
    assert parse("1.5GB") == 1_500_000_000
    assert parse("100 B") == 100
    assert parse(5 * MIB) == 5 * MIB
    for wrong in ("64", "64 MB/s", "much", 0, -1, 64, 4095, True, 1.5, None, "0 MiB"):
        with pytest.raises(mnnlite.ArgumentError, match="memory is"):
            parse(wrong)


def demand(name, lane=0, static=10, dynamic=5, inputs=1, loading=12):
    found = cost.Cost(loading * MIB - static * MIB - inputs * MIB, static * MIB, dynamic * MIB, inputs * MIB, 0, 0)
    return MemoryDemand(name, TaskSpec("no.mnn"), found, lane, ("normal", 1), True)


def test_lanes_share_feature_maps_and_inputs():
    one = held([demand("a"), demand("b", dynamic=8, inputs=3)])
    two = held([demand("a"), demand("b", lane=1, dynamic=8, inputs=3)])
    assert 31 * MIB <= one < 33 * MIB  # 20 static, 8 of the larger feature maps, 3 of the larger input
    assert 37 * MIB <= two < 39 * MIB


@pytest.mark.slow
@pytest.mark.not_emulated("under qemu all memory is the emulator's, and what a task takes is measured")
def test_what_does_not_fit_is_refused_with_what_would(specs):
    single = max(cost.of(spec.model).peak for spec in specs.values())
    with Runtime(memory=single + 4 * MIB) as runtime:
        runtime.add("first", specs["n96"])
        before = runtime.process(noisy_frame())["first"]

        def fill():
            for index in range(9):
                runtime.add(f"more {index}", specs["n128"])

        with pytest.raises(mnnlite.MemoryBudgetError, match=r"too many; what would fit: removing '") as caught:
            fill()
        details = caught.value.details
        assert details["over"] == details["needed"] - details["limit"] > 0
        assert isinstance(caught.value, MemoryError)
        after = runtime.process(noisy_frame())["first"]
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value)
        memory = runtime.memory().budget
        assert memory.limit == single + 4 * MIB
        assert memory.expected <= memory.limit
    with Runtime(memory="1 MiB") as runtime:
        with pytest.raises(mnnlite.MemoryBudgetError, match="MiB too many"):
            runtime.add("a", specs["n96"])
        with pytest.raises(mnnlite.ArgumentError, match="must be a file"):
            runtime.add("a", TaskSpec(specs["n96"].model.read_bytes(), ImageSpec()))


def test_evictable_tasks_make_room_and_come_back(specs):
    alone = {}
    for name, spec in specs.items():
        with Task(spec) as task:
            alone[name] = task(noisy_frame())
    budget = Budget(1 << 40)
    shares = [
        MemoryDemand(
            name,
            spec,
            cost.of(spec.model, images=[_core.ImageHint(channels=3)], outputs=spec.outputs),
            0,
            ("normal", 1),
            True,
        )
        for name, spec in specs.items()
    ]
    # Room for two of the three.
    limit = max(budget.needed(shares[:i] + shares[i + 1 :][:-1], shares[-1]) for i in range(2)) + MIB // 2
    with Runtime(memory=limit) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec, every=2, evictable=True)
        assert runtime.memory().budget.evicted == ("n96",)
        assert "evicted" in runtime.plan()
        ran: set[str] = set()
        end = time.monotonic() + 300  # loading takes its time under emulation
        while ran != set(specs) and time.monotonic() < end:
            result = runtime.process(noisy_frame())
            for name, found in result.items():
                ran.add(name)
                for output, value in alone[name].items():
                    np.testing.assert_array_equal(found[output], value)
            assert set(result) | set(result.skipped) == set(specs)
        assert ran == set(specs)
        assert sum(task.reloads for task in runtime.stats().tasks.values()) > 0
        with pytest.raises(mnnlite.ArgumentError, match="evictable"):
            runtime.add("child", specs["n96"], after="n112")
        for name in specs:
            runtime.remove(name)
        assert not runtime.tasks


PEAK = """
import os, re, sys, threading
import numpy as np, mnnlite
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec

rng = np.random.default_rng(int(sys.argv[1]))
paths = sys.argv[2:]
frame = Frame(rng.integers(0, 256, (60, 80, 3), np.uint8), "BGR")
with Runtime() as warm:  # what only a first use leaves behind
    warm.add("a", TaskSpec(paths[0], ImageSpec()))
    warm.process(frame)

def status(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

for turn in range(3):
    limit = int(rng.uniform(4, 30) * 2**20)
    lanes = int(rng.integers(1, 3))
    runtime = Runtime(lanes=lanes, memory=limit, force=True)
    before, files = status("RssAnon"), status("RssFile")
    open("/proc/self/clear_refs", "w").write("5")
    taken = refused = 0
    for index in range(6):
        try:
            runtime.add(f"t{index}", TaskSpec(paths[rng.integers(len(paths))], ImageSpec()))
            taken += 1
        except mnnlite.MemoryBudgetError:
            refused += 1
        for _ in range(2):
            runtime.process(frame)
    # The peak counts the pages of files too: those that are new since then are taken off.
    peak = status("VmHWM") - before - files - max(0, status("RssFile") - files)
    print(f"limit {limit} lanes {lanes} taken {taken} refused {refused} peak {peak}")
    assert peak <= limit, (peak, limit)
    runtime.close()
"""


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
@pytest.mark.slow  # each task that is added is measured, in a child process
@pytest.mark.parametrize("seed", range(3))
def test_the_measured_peak_stays_below_the_budget(specs, seed):
    needs_peaks()
    print(run_python(PEAK, str(seed), *(str(spec.model) for spec in specs.values())).stdout)
