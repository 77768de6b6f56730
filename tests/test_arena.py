"""Several models in one arena: no trap of the engine's shared memory can be fallen into."""

from __future__ import annotations

import gc
import itertools

import numpy as np
import psutil
import pytest

import mnnlite
from helpers import networks
from helpers.child import run_python
from helpers.comparing import same
from helpers.disks import disk
from helpers.kernel import needs_peaks
from mnnlite import Frame, ImageSpec, Runtime, Task, TaskSpec, _core

SIZES = (16, 32, 64, 96)


@pytest.fixture(scope="session")
def family(tmp_path_factory):
    """Networks small to large, their inputs, and what each gives alone."""
    folder = tmp_path_factory.mktemp("family")
    paths = [networks.convert(networks.two_branches(folder, size=size, width=4 + size // 8)) for size in SIZES]
    inputs = [np.random.default_rng(size).random((1, 3, size, size), np.float32) for size in SIZES]
    expected = []
    for path, x in zip(paths, inputs, strict=True):
        with mnnlite.Model(path) as model:
            expected.append(model.run({"image": x}))
    return paths, inputs, expected


@pytest.fixture(scope="session")
def spoiler(tmp_path_factory):
    """Spoils the whole shared buffer."""
    return networks.convert(networks.poison(tmp_path_factory.mktemp("poison")))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_models_of_an_arena_do_not_disturb_each_other(family, spoiler, order):
    """Created in any order, runs interleaved, inputs not filled again, shared memory spoilt between runs."""
    paths, inputs, expected = family
    with mnnlite.Arena() as arena:
        models = {i: mnnlite.Model(paths[i], arena=arena) for i in order}
        poison = mnnlite.Model(spoiler, arena=arena)
        assert all(poison.memory()["dynamic"] > model.memory()["dynamic"] for model in models.values())
        poison.input("image")[...] = np.nan
        for i, model in models.items():
            model.input("image")[...] = inputs[i]  # once
        borrowed = {}
        for _ in range(3):
            for i, model in models.items():
                borrowed[i] = model.run(borrow=True)
                spoilt = poison.run()["points"]
                assert (np.isnan(spoilt) | (np.abs(spoilt) > 1e30)).all()
            for i in models:  # outputs survive the runs of all others
                same(borrowed[i], expected[i])
            for i in reversed(models):
                same(models[i].run(outputs=["points"]), {"points": expected[i]["points"]})


def test_a_removed_model_leaves_the_others_right_and_gives_its_memory_back(family):
    paths, inputs, expected = family
    arena = mnnlite.Arena()
    models = [mnnlite.Model(path, arena=arena) for path in paths]
    for model, x in zip(models, inputs, strict=True):
        model.run({"image": x})
    static = arena.native.static_bytes
    models.pop().close()
    arena.shrink()
    assert arena.native.static_bytes < static
    for _ in range(2):
        for model, want in zip(models, expected, strict=False):
            same(model.run(), want)
    again = mnnlite.Model(paths[-1], arena=arena)
    same(again.run({"image": inputs[-1]}), expected[-1])
    for model, want in zip(models, expected, strict=False):
        same(model.run(), want)
    arena.close()
    assert again.closed


def test_one_model_resized_in_an_arena_leaves_the_others_right(family, tmp_path):
    paths, inputs, expected = family
    arena = mnnlite.Arena()
    source = networks.convert(networks.two_branches(tmp_path, dynamic=True))
    moving = mnnlite.Model(source, arena=arena, shapes={"image": (1, 3, 16, 16)}, resizable=True)
    small = mnnlite.Model(paths[0], arena=arena)
    small.run({"image": inputs[0]})
    for size in (128, 24, 200, 16):
        moving.resize({"image": (1, 3, size, size)})
        same(small.run(), expected[0])
        moving.run()
        same(small.run(), expected[0])


def test_the_terms_of_models_add_up_to_the_arena(family):
    paths, *_ = family
    with mnnlite.Arena() as arena:
        models = [mnnlite.Model(path, arena=arena) for path in paths]
        assert sum(model.memory()["static"] for model in models) == arena.native.static_bytes
        alone = [mnnlite.Model(path) for path in paths]
        for shared, own in zip(models, alone, strict=True):
            assert shared.memory()["dynamic"] == own.memory()["dynamic"]
            # The engine's allocator fits some tensors into what others left over, so a shared arena needs a little less.
            assert 0.9 * own.memory()["static"] <= shared.memory()["static"] <= own.memory()["static"] + 4096


def test_options_that_differ_from_the_arenas_are_refused(family):
    paths, *_ = family
    with mnnlite.Arena(threads=1) as arena:
        mnnlite.Model(paths[0], arena=arena, threads=1)
        for options in ({"threads": 2}, {"power": "high"}):
            with pytest.raises(mnnlite.ArgumentError, match="arena has"):
                mnnlite.Model(paths[0], arena=arena, **options)
        with pytest.raises(mnnlite.ArgumentError, match="unknown option"):
            mnnlite.Model(paths[0], arena=arena, native=1)
        with pytest.raises(mnnlite.ArgumentError, match=r"mnnlite\.Arena"):
            mnnlite.Model(paths[0], arena="lane")


def test_a_closed_arena_says_so(family):
    arena = mnnlite.Arena()
    arena.close()
    arena.close()
    for call in (lambda: mnnlite.Model(family[0][0], arena=arena), arena.shrink, lambda: arena.backend):
        with pytest.raises(mnnlite.ClosedError):
            call()


OUT_OF_MEMORY = """
import resource, sys
import numpy as np
import mnnlite

small, large, megabytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
arena = mnnlite.Arena()
models = [mnnlite.Model(small, arena=arena) for _ in range(3)]
x = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
expected = [model.run({"image": x}) for model in models]

def size():
    return int(open("/proc/self/statm").read().split()[0]) * 4096

resource.setrlimit(resource.RLIMIT_AS, (size() + megabytes * 2**20, -1))
try:
    mnnlite.Model(large, arena=arena)
    raise SystemExit("it was loaded")
except mnnlite.OutOfMemoryError as error:
    assert isinstance(error, MemoryError)
    print(error)
for _ in range(2):
    for model, want in zip(models, expected):
        found = model.run()
        assert all(np.array_equal(found[name], want[name]) for name in want)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
big = mnnlite.Model(large, arena=arena)
big.run()
for model, want in zip(models, expected):
    found = model.run()
    assert all(np.array_equal(found[name], want[name]) for name in want)
"""


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """Feature maps of about 300 MB, a file of kilobytes."""
    return networks.convert(networks.two_branches(tmp_path_factory.mktemp("large"), size=1024, width=32))


@pytest.mark.not_emulated("qemu does not carry RLIMIT_AS over to what it emulates")
@pytest.mark.parametrize("megabytes", [30, 60, 100])
def test_out_of_memory_while_the_shared_buffer_grows(family, large, megabytes):
    child = run_python(OUT_OF_MEMORY, str(family[0][1]), str(large), str(megabytes))
    assert "no memory" in child.stdout


def test_a_thousand_loads_are_flat(family):
    paths, inputs, expected = family
    process = psutil.Process()

    def cycle():
        with mnnlite.Model(paths[1]) as model:
            same(model.run({"image": inputs[1]}), expected[1])

    for _ in range(100):
        cycle()
    gc.collect()
    before = process.memory_info().rss
    for _ in range(1000):
        cycle()
    gc.collect()
    assert process.memory_info().rss - before < 2 * 2**20


def test_errors_at_load_are_flat(tmp_path):
    process = psutil.Process()
    unsupported = networks.convert(networks.content_shapes(tmp_path))

    def cycle():
        with pytest.raises(mnnlite.UnsupportedModelError):
            mnnlite.Model(unsupported, shapes={"x": (4, 4)})
        with pytest.raises(mnnlite.ModelFormatError):
            mnnlite.Model(b"\0" * 1000)

    for _ in range(100):
        cycle()
    before = process.memory_info().rss
    for _ in range(400):
        cycle()
    assert process.memory_info().rss - before < 2 * 2**20


def test_a_process_ends_well_with_models_alive(family):
    run_python(
        """
        import sys, threading, mnnlite
        models = [mnnlite.Model(sys.argv[1]) for _ in range(2)]
        arena = mnnlite.Arena()
        kept = mnnlite.Model(sys.argv[1], arena=arena).run(borrow=True)
        models.append(mnnlite.Model(sys.argv[1], arena=arena))
        """,
        str(family[0][0]),
    )


REMOVAL = """
import sys
import numpy as np
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec, proc

small, *others = sys.argv[1:]
frame = Frame(np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8), "BGR")

def held():
    proc.trim()
    return proc.process().anonymous

def begin():
    runtime = Runtime()
    before = held()
    runtime.add("small", TaskSpec(small, ImageSpec()))
    runtime.process(frame)
    runtime.process(frame)
    return runtime, before

begin()[0].close()  # what only a first use leaves behind
runtime, before = begin()
alone = held() - before
runtime.close()
runtime, before = begin()
for turn in range(3):
    for index, path in enumerate(others):
        runtime.add(f"other {index}", TaskSpec(path, ImageSpec()))
    runtime.process(frame)
    full = held() - before
    for index in range(len(others)):
        runtime.remove(f"other {index}")
    runtime.process(frame)
    left = held() - before
    print(f"alone {alone >> 10} KiB, all {full >> 10}, left {left >> 10}")
    assert full > alone + 8 * 2**20
    assert left < alone + 2**20
"""


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
def test_a_lane_whose_tasks_go_holds_what_it_did_without_them(family, tmp_path):
    others = [networks.convert(networks.two_branches(tmp_path, size=64, width=96 + 4 * i)) for i in range(5)]
    run_python(REMOVAL, str(family[0][0]), *map(str, others))


def test_tasks_of_a_runtime_are_resized(family, spoiler, tmp_path):
    path = networks.convert(networks.two_branches(tmp_path, dynamic=True))
    image = ImageSpec(std=255)
    frame = Frame(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), "BGR")

    def spec(side):
        return TaskSpec(path, image, shapes={"image": (1, 3, side, side)})

    with Runtime() as runtime:
        runtime.add("net", spec(24), every=2)
        runtime.add("poison", TaskSpec(spoiler, ImageSpec(std=1e-29)))
        dynamic = {}
        for side in (24, 160, 16, 96):
            runtime.resize("net", {"image": (1, 3, side, side)})
            found = [runtime.process(frame) for _ in range(2)]
            assert sum("net" in each for each in found) == 1  # how it is scheduled stayed
            with Task(spec(side)) as alone:
                expected = alone(frame)
            for result in found:
                if "net" in result:
                    same(result["net"], expected)
            dynamic[side] = runtime.memory().tasks["net"].dynamic
        assert dynamic[16] < dynamic[24] < dynamic[96] < dynamic[160]
        runtime.resize("net", image=ImageSpec(std=127))
        assert runtime.tasks["net"].image.std == (127.0, 127.0, 127.0)
        assert runtime.tasks["net"].shapes == {"image": (1, 3, 96, 96)}
        for arguments, text in (
            ((), "neither"),
            (({"image": (1, 3, 0, 8)},), "got 0"),
            (({"picture": (1, 3, 8, 8)},), "picture"),
        ):
            with pytest.raises(mnnlite.MnnliteError, match=text):
                runtime.resize("net", *arguments)
        with pytest.raises(mnnlite.ArgumentError, match="no task 'x'"):
            runtime.resize("x", {"image": (1, 3, 8, 8)})
        assert {name for turn in range(2) for name in runtime.process(frame)} == {"net", "poison"}


@pytest.mark.parametrize("weights", ["heap", "mapped"])
def test_tasks_of_one_network_share_its_session(family, spoiler, weights):
    """Branches of one network, due on different frames, beside one that spoils shared memory."""
    path, image = family[0][2], ImageSpec(std=255)
    frames = [Frame(np.random.default_rng(i).integers(0, 256, (60, 80, 3), np.uint8), "BGR") for i in range(4)]
    with Task(TaskSpec(path, image)) as whole:
        expected = [whole(frame) for frame in frames]

    def check(runtime):
        ran = dict.fromkeys(runtime.tasks, 0)
        for frame, want in zip(frames, expected, strict=True):
            result = runtime.process(frame)
            for name in set(result) - {"poison"}:
                same(result[name], {output: want[output] for output in runtime.tasks[name].outputs})
            for name in result:
                ran[name] += 1
        return ran

    if weights == "mapped":
        disk()
    with Runtime(weights=weights) as runtime:
        runtime.add("poison", TaskSpec(spoiler, ImageSpec(std=1e-29)))
        runtime.add("heat", TaskSpec(path, image, outputs=["heat"]))
        narrow = runtime.memory().tasks["heat"].static
        runtime.add("points", TaskSpec(path, image, outputs=["points"]), every=2)
        assert check(runtime) == {"poison": 4, "heat": 4, "points": 2}
        tasks = runtime.memory().to_json()["tasks"]
        assert tasks["points"]["shares"] == "heat"
        assert tasks["points"]["static"] == tasks["points"]["inputs"] == 0
        with mnnlite.Model(path) as model:
            assert narrow < tasks["heat"]["static"] <= model.memory()["static"] + 8192
        # Another picture, and another file: sessions of their own.
        runtime.add("other picture", TaskSpec(path, ImageSpec(std=127), outputs=["points"]))
        runtime.add("other network", TaskSpec(family[0][1], image, outputs=["points"]))
        tasks = runtime.memory().to_json()["tasks"]
        assert tasks["other picture"]["shares"] is None
        assert tasks["other network"]["shares"] is None
        runtime.remove("other picture")
        runtime.remove("other network")
        runtime.remove("heat")
        assert check(runtime) == {"poison": 4, "points": 2}
        runtime.add("heat", TaskSpec(path, image, outputs=["heat"]))
        assert runtime.memory().tasks["heat"].shares == "points"
        assert check(runtime) == {"poison": 4, "points": 2, "heat": 4}
        runtime.remove("points")
        runtime.remove("heat")
        assert set(runtime.memory().tasks) == {"poison"}


@pytest.mark.parametrize("weights", ["heap", "mapped"])
@pytest.mark.parametrize("said", [False, True])
def test_a_runtime_takes_networks_with_external_weights(tmp_path, spoiler, weights, said):
    source = networks.two_branches(tmp_path, size=32, width=48)
    path = networks.convert(source, "--saveExternalData")
    outside = path.with_name(path.name + ".weight")
    assert outside.stat().st_size > path.stat().st_size
    external = None
    if said:
        external = tmp_path / "elsewhere.bin"
        outside.rename(external)
    spec = TaskSpec(path, ImageSpec(std=255), external=external)
    frame = Frame(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), "BGR")
    with Task(spec) as task:
        expected = task(frame)
    if weights == "mapped":
        disk()
    with Runtime(memory="1 GiB", weights=weights) as runtime:
        runtime.add("net", spec)
        runtime.add("poison", TaskSpec(spoiler, ImageSpec(std=1e-29)))
        for _ in range(2):
            same(runtime.process(frame)["net"], expected)


LOADING = """
import sys
import numpy as np
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec, proc

paths = sys.argv[1:]
frame = Frame(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), "BGR")
with Runtime() as runtime:  # what only a first use leaves behind
    runtime.add("first", TaskSpec(paths[0], ImageSpec()))
    runtime.process(frame)
proc.trim()
with Runtime() as runtime:
    start = proc.process()
    assert proc.reset_high_water()
    for index, path in enumerate(paths):
        runtime.add(f"t{index}", TaskSpec(path, ImageSpec()))
    peak = proc.high_water() - start.rss
    memory = runtime.memory().to_json()
    static = sum(lane["static"] for lane in memory["lanes"])
    assert all(task["model_buffer"] == 0 for task in memory["tasks"].values())
import os
sizes = [os.path.getsize(path) for path in paths]
print(f"files {sum(sizes) >> 10} KiB, weights {static >> 10}, peak of loading {peak >> 10}")
# Beside all weights the last one's file, buffer and weights once more (they are made from the file's), and not every one's.
largest = max(task["static"] for task in memory["tasks"].values())
assert peak < static + 2 * max(sizes) + largest + 2**20 < static + sum(sizes)
"""


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
def test_networks_are_loaded_one_after_the_other(tmp_path):
    needs_peaks()
    paths = [networks.convert(networks.two_branches(tmp_path, size=32, width=128 + 4 * i)) for i in range(10)]
    print(run_python(LOADING, *map(str, paths)).stdout)


def test_options__are_read_in_one_place_and_a_typo_is_an_error():
    """The engine room's table, which Python, pipelines and the command line ask, refuses what is not in it."""
    assert _core.ArenaOptions.names() == [
        *("backend", "precision", "memory_mode", "power"),
        *("winograd", "weights", "tuning", "gpu_memory"),
    ]
    for name in _core.ArenaOptions.names():
        for word in _core.ArenaOptions.words(name):
            _core.ArenaOptions(**{name: word})
        with pytest.raises(mnnlite.ArgumentError, match=f"{name} is 'nrmal'; it must be one of '"):
            _core.ArenaOptions(**{name: "nrmal"})
    with pytest.raises(mnnlite.ArgumentError, match="unknown option 'precison'; known are backend, precision"):
        _core.ArenaOptions(precison="low")
    with pytest.raises(mnnlite.ArgumentError, match="unknown option 'tiles'"):
        _core.ArenaOptions.words("tiles")


def test_image_hint__refuses_an_unknown_layout():
    hint = _core.ImageHint("x", 8, 6, 3, layout="NHWC")
    assert hint.to_dict() == {"input": "x", "width": 8, "height": 6, "channels": 3, "batch": 1, "layout": "NHWC"}
    with pytest.raises(mnnlite.LayoutError, match="layout is 'NWHC'; it must be one of 'NCHW', 'NHWC'"):
        _core.ImageHint(layout="NWHC")
