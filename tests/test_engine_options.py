"""How the engine computes is each task's own: whoever it shares an arena with, it is computed as if it were alone."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import fields, replace

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.comparing import same
from helpers.disks import disk
from helpers.pictures import noisy_frame
from mnnlite import EngineOptions, ImageSpec, Runtime, Task, TaskSpec, _core, cost, engine_options, observe, pipeline
from mnnlite.runtime.budget import Budget, cost_of, most

IMAGE = ImageSpec(std=255)
WORDS = engine_options.SESSION_WORDS
LEVELS = WORDS["winograd"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    made = tmp_path_factory.mktemp("options")
    return [
        networks.convert(networks.two_branches(made, size=size, width=width))
        for size, width in ((16, 8), (64, 32), (32, 48), (48, 24))
    ]


@pytest.fixture(scope="module")
def spoiler(tmp_path_factory):
    """Fills the shared buffer with what is no number."""
    path = networks.convert(networks.poison(tmp_path_factory.mktemp("poison")))
    return TaskSpec(path, ImageSpec(std=1e-29))


def alone(spec: TaskSpec, count: int = 3):
    with Task(spec) as task:
        return [task(noisy_frame(seed)) for seed in range(count)], task.model.memory()


def test_words__are_those_of_the_engine_room():
    assert {*WORDS, *engine_options.BACKEND_WORDS, "power"} == set(_core.ArenaOptions.names())
    assert [each.name for each in fields(EngineOptions)] == [
        *WORDS,
        "threads",
        *("backend", "fallback", "tuning", "gpu_memory"),
    ]


def test_options__are_a_value_of_a_spec():
    options = EngineOptions(winograd="small", threads=2)
    spec = replace(TaskSpec("net.mnn"), **options.given())
    assert spec == TaskSpec("net.mnn", winograd="small", threads=2)
    assert spec.engine == options
    assert options.given() == {"winograd": "small", "threads": 2}
    assert TaskSpec("net.mnn").engine == EngineOptions()


@pytest.mark.parametrize("name", [*WORDS, "threads"])
def test_options__that_are_none_are_refused_everywhere(name, paths, tmp_path):
    """A task, a pipeline file, a runtime, a model in an arena: one line that names the option."""
    bad = 0 if name == "threads" else "smal"
    with pytest.raises(mnnlite.ArgumentError, match=f"^{name}: got {bad!r}, wanted "):
        TaskSpec(paths[0], **{name: bad})
    file = tmp_path / "p.toml"
    file.write_text(f"[[task]]\nname = 'a'\nmodel = '{paths[0]}'\n{name} = {bad!r}\n")
    with pytest.raises(mnnlite.PipelineError, match=rf"p\.toml:4: task\.a\.{name}: got {bad!r}, wanted "):
        pipeline.load(file)
    with pytest.raises(mnnlite.ArgumentError, match=f"{name} is {bad!r}; it must be "):
        Runtime(**{name: bad})
    with mnnlite.Arena() as arena, pytest.raises(mnnlite.ArgumentError, match=f"{name} is {bad!r}"):
        mnnlite.Model(paths[0], arena=arena, **{name: bad})


def test_tasks__with_all_levels_in_one_runtime_are_computed_as_alone(paths, spoiler):
    """Each at its own size and with its own results, in any order of loading, beside one that spoils what they share."""
    specs = {
        f"{level} {number}": TaskSpec(path, IMAGE, winograd=level)
        for level in LEVELS
        for number, path in enumerate(paths)
    }
    wanted = {name: alone(spec) for name, spec in specs.items()}
    assert any(
        not np.array_equal(wanted["large 1"][0][0][key], wanted["none 1"][0][0][key]) for key in ("heat", "points")
    )
    names = list(specs)
    for order in (names, names[::-1], sorted(names, key=lambda name: name[-1]), names[5:] + names[:5]):
        with Runtime() as runtime:
            for name in order:
                runtime.add(name, specs[name])
            runtime.add("spoiler", spoiler)
            for seed in (0, 1, 2, 0):
                result = runtime.process(noisy_frame(seed))
                for name in names:
                    same(result[name], wanted[name][0][seed])
            memory = runtime.memory()
            # The engine fits some tensors of one network into what another left over, so each holds at most what it does alone.
            for name in names:
                assert memory.tasks[name].static <= wanted[name][1]["static"] + 4096
            assert memory.tasks["large 2"].static > 1.5 * memory.tasks["none 2"].static
            assert {memory.tasks[name].shares for name in names} == {None}
            assert len(runtime._parts.lanes[0].arenas) == 1
            largest = max(each[1]["dynamic"] for each in wanted.values())
            assert memory.lanes[0].dynamic <= max(largest, memory.tasks["spoiler"].dynamic)


def test_planning_anew__keeps_the_models_own_level(tmp_path):
    """The engine's runtime holds one level, that of the session that was created last."""
    path = networks.convert(networks.two_branches(tmp_path, width=64, dynamic=True))

    def run(model, size):
        model.resize({"image": (1, 3, size, size)})
        x = np.random.default_rng(size).random((1, 3, size, size), np.float32)
        return model.run({"image": x})

    sizes, first = (48, 16, 80, 24), {"image": (1, 3, 16, 16)}
    wanted = {}
    for level in LEVELS:
        with mnnlite.Model(path, winograd=level, shapes=first, resizable=True) as model:
            wanted[level] = [run(model, size) for size in sizes]
    for a, b in itertools.combinations(LEVELS, 2):
        assert not np.array_equal(wanted[a][0]["heat"], wanted[b][0]["heat"])
    for order in itertools.permutations(LEVELS):
        with mnnlite.Arena() as arena:
            models = {
                level: mnnlite.Model(path, winograd=level, arena=arena, shapes=first, resizable=True) for level in order
            }
            for turn, size in enumerate(sizes):
                for level, model in models.items():
                    same(run(model, size), wanted[level][turn])
            for level, model in models.items():  # and no later plan of another has changed it
                same(run(model, sizes[0]), wanted[level][0])
            del models, model


def test_resize__to_the_shapes_that_a_model_has_keeps_its_terms(tmp_path):
    path = networks.convert(networks.two_branches(tmp_path, dynamic=True))
    with mnnlite.Model(path, shapes={"image": (1, 3, 32, 32)}, resizable=True) as model:
        before = model.memory()
        model.resize({"image": (1, 3, 32, 32)})
        assert model.memory() == before


def test_resize__of_a_task_keeps_its_options(tmp_path):
    path = networks.convert(networks.two_branches(tmp_path, width=48, dynamic=True))
    image = replace(IMAGE, size=(32, 32))
    other = replace(IMAGE, size=(48, 48))
    with Runtime(winograd="none") as runtime:
        for level in LEVELS:
            runtime.add(level, TaskSpec(path, image, winograd=level))
        for level in LEVELS:
            runtime.resize(level, image=other)
        result = runtime.process(noisy_frame())
        for level in LEVELS:
            same(result[level], alone(TaskSpec(path, other, winograd=level), 1)[0][0])


def test_precision_and_memory_mode__are_each_tasks_own(paths):
    """On a CPU with half floats "low" computes in these: beside tasks that do not, in one arena."""
    specs = {
        f"{precision} {mode} {number}": TaskSpec(path, IMAGE, precision=precision, memory_mode=mode)
        for precision in ("normal", "low")
        for mode in ("normal", "low")
        for number, path in enumerate(paths[:2])
    }
    wanted = {name: alone(spec)[0] for name, spec in specs.items()}
    with Runtime() as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec)
        for seed in range(3):
            result = runtime.process(noisy_frame(seed))
            for name in specs:
                same(result[name], wanted[name][seed])
                half = runtime.on_lane(name, lambda task: task.model.facts()["computes_in_half"])
                dtypes = {each.dtype for each in runtime.on_lane(name, lambda task: task.model.outputs).values()}
                assert dtypes == ({"float16"} if half else {"float32"})
                assert not (half and name.startswith("normal"))
        assert len(runtime._parts.lanes[0].arenas) == 1


def test_weights__are_mapped_for_the_tasks_that_say_so(paths, tmp_path):
    folder = disk()
    spec = TaskSpec(paths[2], IMAGE)
    with Runtime(weights_dir=folder) as runtime:
        runtime.add("heap", spec)
        runtime.add("mapped", replace(spec, weights="mapped"))
        runtime.add("again", replace(spec, weights="heap"))  # what the runtime says too: the session of "heap"
        memory = runtime.memory().tasks
        assert memory["heap"].mapped == 0 < memory["mapped"].mapped <= memory["mapped"].static
        assert memory["again"].shares == "heap"
        wanted = alone(spec, 1)[0][0]
        for found in runtime.process(noisy_frame()).items():
            same(found[1], wanted)
        runtime.remove("mapped")
        assert not runtime.memory().weight_files
    assert not [name for name in os.listdir(folder) if name.startswith("mnnlite-weights")]


def test_sharing__needs_equal_options_said_or_not(paths):
    spec = TaskSpec(paths[1], IMAGE)
    with Runtime(winograd="small") as runtime:
        runtime.add("said by the runtime", spec)
        runtime.add("said by the task", replace(spec, winograd="small"))
        runtime.add("another", replace(spec, winograd="large"))
        shares = {name: each.shares for name, each in runtime.memory().tasks.items()}
    assert shares == {"said by the runtime": None, "said by the task": "said by the runtime", "another": None}


def test_threads__are_an_arenas_and_the_plan_says_what_that_costs(paths):
    # force: how many cores there are is not what this is about
    with Runtime(force=True) as runtime:
        runtime.add("one", TaskSpec(paths[1], IMAGE, winograd="small"))
        assert "arenas" not in runtime.plan()
        runtime.add("two", TaskSpec(paths[0], IMAGE, threads=2))
        plan = runtime.plan()
        tasks = runtime.memory().tasks
        least = min(each.dynamic for each in tasks.values())
        assert runtime.memory().lanes[0].dynamic == sum(each.dynamic for each in tasks.values())
        same(runtime.process(noisy_frame())["one"], alone(TaskSpec(paths[1], IMAGE, winograd="small"), 1)[0][0])
    assert re.search(r"threads 1 and 2; 2 arenas, .* (\d+\.\d) MiB of feature maps more than one", plan), plan
    assert f" {least / 2**20:.1f} MiB of feature maps more" in plan
    assert "winograd small" in plan
    assert "threads 2" in plan


def test_what_an_arena_cannot_mix__is_one_error(paths):
    with mnnlite.Arena() as arena:
        for options in ({"threads": 2}, {"power": "high"}):
            (name, value), *_ = options.items()
            with pytest.raises(mnnlite.ArgumentError, match=f"{name} is {value!r} but the arena has .*another Arena"):
                mnnlite.Model(paths[0], arena=arena, **options)
        with pytest.raises(mnnlite.ArgumentError, match="threads is 2 but the arena has 1"):
            Task(TaskSpec(paths[0], IMAGE, threads=2), arena=arena)
        with pytest.raises(mnnlite.ArgumentError, match="weights_dir is for weights='mapped'"):
            mnnlite.Model(paths[0], arena=arena, weights_dir="/var/tmp")
        with mnnlite.Model(paths[0], arena=arena, winograd="none"):
            pass


def test_costs_budgets_and_predictions__know_the_options_of_tasks(paths):
    spec = TaskSpec(paths[2], IMAGE)
    sizes = [_core.ImageHint("", 0, 0, 3, 1)]
    large, none = (cost.of(paths[2], images=sizes, winograd=level) for level in ("large", "none"))
    assert large.peak - none.peak > 1 << 17
    said = {}
    for level in ("large", "none"):
        own = pipeline.Pipeline({"a": replace(spec, winograd=level)})
        whole = pipeline.Pipeline({"a": spec}, runtime={"winograd": level})
        said[level] = observe.predict(own).peak_mib
        assert observe.predict(whole).peak_mib == said[level]
    assert said["large"] - said["none"] > (large.dynamic - none.dynamic) / 2**20 / 2
    # Overheads are measured, so what the runtime expects is compared with the costs that it asked for itself.
    expected, known = {}, {}
    for level in ("large", "none"):
        with Runtime(memory="1 GiB", winograd="large") as runtime:
            runtime.add("a", replace(spec, winograd=level))
            expected[level] = runtime.memory().budget.expected
        known[level] = cost_of(replace(spec, winograd=level), 1, {"winograd": "large"})
    assert known["large"].dynamic - known["none"].dynamic == large.dynamic - none.dynamic > 1 << 17
    assert expected["large"] - expected["none"] == known["large"].running - known["none"].running


def test_pipelines__hold_the_options_of_tasks_and_the_runtimes(paths, tmp_path):
    file = tmp_path / "p.toml"
    spec = TaskSpec(
        str(paths[0]), IMAGE, winograd="none", memory_mode="low", precision="high", weights="heap", threads=1
    )
    made = pipeline.Pipeline(
        {"a": spec, "b": TaskSpec(str(paths[0]), IMAGE)},
        runtime={"winograd": "small", "precision": "high", "memory_mode": "high"},
    )
    pipeline.save(made, file)
    found = pipeline.load(file)
    assert found.runtime == made.runtime
    assert {name: each.engine for name, each in found.tasks.items()} == {"a": spec.engine, "b": EngineOptions()}
    with found.open() as runtime:
        result = runtime.process(noisy_frame())
    same(result["a"], alone(spec, 1)[0][0])
    same(result["b"], alone(replace(spec, winograd="small", memory_mode="high"), 1)[0][0])


def test_a_trial__loads_with_the_options_of_the_task(paths):
    with Runtime(trial=True, winograd="small") as runtime:
        runtime.add("a", TaskSpec(paths[0], IMAGE, winograd="none", precision="low"))
        assert list(runtime.process(noisy_frame())) == ["a"]


def test_a_lane_with_room__is_taken_where_the_idlest_has_none(tmp_path):
    """In the lane of another task a second one needs no feature maps of its own."""
    path = networks.convert(networks.two_branches(tmp_path, size=160, width=32))
    spec = TaskSpec(path, IMAGE)
    terms = Budget(1 << 40, lanes=2)
    one = terms.demand_of("one", spec, 0)
    assert one.cost.dynamic > 2 << 20
    shared, apart = (most([one], terms.demand_of("two", spec, lane)) for lane in (0, 1))
    assert apart - shared > 2 << 20
    with Runtime(lanes=2, memory=(shared + apart) // 2, force=True) as runtime:
        for name in ("one", "two"):
            runtime.add(name, spec)
        assert {name: each.lane for name, each in runtime.memory().tasks.items()} == {"one": 0, "two": 0}
