"""A backend for each task: what can be shown with an engine that has the CPU alone. The rest is in tests/gpu."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest

import mnnlite
from helpers import networks
from helpers.comparing import same
from helpers.pictures import noisy_frame
from mnnlite import ImageSpec, Runtime, Task, TaskSpec, _core, cache, engine_options, pipeline, tuning_cache
from mnnlite.engine_options import BACKEND_WORDS, GPUS, EngineOptions, check_backend
from mnnlite.observe.pipelines import predict_pipeline
from mnnlite.tune import tune

IMAGE = ImageSpec(std=255)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(networks.convert(networks.two_branches(tmp_path_factory.mktemp("backends"))))


needs_cpu_alone = pytest.mark.skipif(not _core.gpu_devices("opencl")[1], reason="there is a GPU here: see make gpu")


def refusal(call) -> str | None:
    try:
        call()
    except mnnlite.ArgumentError as error:
        return str(error)
    return None


def test_what_a_backend_does_not_know__is_refused_in_python_as_in_the_engine_room(path):
    """Pure, over all words: a spec is refused exactly where an arena of the same options is."""
    others = {"winograd": ("large", "small"), "weights": ("heap", "mapped"), "threads": (1, 2)}
    axes = {**BACKEND_WORDS, **others}
    seen = set()
    for values in itertools.product(*axes.values()):
        options = dict(zip(axes, values, strict=True))
        found = refusal(lambda options=options: check_backend(options))
        native = {**options, "weights_dir": "/var/tmp"} if options["weights"] == "mapped" else options
        try:
            wanted = refusal(lambda native=native: mnnlite.Arena(**native).close())
        except mnnlite.BackendUnavailableError:
            wanted = None
        assert found == wanted, options
        seen.add(found is None)
    assert seen == {True, False}
    with pytest.raises(mnnlite.ArgumentError, match="threads is 2, but backend 'opencl' has none"):
        TaskSpec(path, backend="opencl", threads=2)


@pytest.mark.parametrize("name", [*BACKEND_WORDS, "fallback"])
def test_words_that_are_none__are_refused_everywhere(name, path, tmp_path):
    with pytest.raises(mnnlite.ArgumentError, match=f"^{name}: got 'gpu', wanted "):
        TaskSpec(path, **{name: "gpu"})
    file = tmp_path / "p.toml"
    file.write_text(f"[[task]]\nname = 'a'\nmodel = '{path}'\n{name} = 'gpu'\n")
    with pytest.raises(mnnlite.PipelineError, match=rf"p\.toml:4: task\.a\.{name}: got 'gpu', wanted "):
        pipeline.load(file)
    with pytest.raises(mnnlite.ArgumentError, match=f"{name} is 'gpu'; it must be "):
        Runtime(**{name: "gpu"})


def test_defaults_of_a_runtime__are_for_those_that_they_fit():
    """Pure: a GPU takes nothing of what is the CPU's, and the other way round."""
    defaults = {"backend": "opencl", "tuning": "fast", "winograd": "small", "precision": "high"}
    assert EngineOptions().unusual(defaults) == {"backend": "opencl", "tuning": "fast", "precision": "high"}
    assert EngineOptions(backend="cpu").unusual(defaults) == {"winograd": "small", "precision": "high"}
    assert EngineOptions(backend="cpu", threads=2).unusual(defaults) == {"winograd": "small", "precision": "high"}
    with pytest.raises(mnnlite.ArgumentError, match="threads is 2"):
        EngineOptions(threads=2).unusual(defaults)
    assert EngineOptions().backend_in({}) == "cpu"
    assert GPUS == ("opencl", "opengl", "vulkan")


@needs_cpu_alone
def test_a_backend_that_is_not_there__is_an_error_or_falls_back_aloud(path, caplog):
    spec = TaskSpec(path, IMAGE, backend="opencl", tuning="wide", gpu_memory="buffer")
    with Task(TaskSpec(path, IMAGE, threads=2)) as task:
        wanted = task(noisy_frame())
    with Runtime(force=True, threads=2) as runtime:
        with pytest.raises(mnnlite.BackendUnavailableError, match=r'the engine has .*backend "opencl"'):
            runtime.add("seg", spec)
        runtime.add("det", TaskSpec(path, IMAGE, backend="cpu"))
        with caplog.at_level(logging.WARNING, "mnnlite.runtime"):
            runtime.add("seg", mnnlite.TaskSpec(**{**vars(spec), "fallback": "cpu"}))
        (said,) = [each.getMessage() for each in caplog.records]
        assert said.startswith("task 'seg' runs on 'cpu' in place of 'opencl': ")
        result = runtime.process(noisy_frame())
        same(result["seg"], wanted)
        same(result["det"], wanted)
        plan = runtime.plan()
        assert "backend cpu in place of opencl" in plan
        assert "threads 2" in plan  # the runtime's, once it is on the CPU
        assert len(runtime.stats().lanes) == 1
        assert runtime.memory().tasks["seg"].shares == "det"  # the same network with the same options, as it became


@needs_cpu_alone
def test_a_pipeline__says_the_backend_for_all_and_for_one(path, tmp_path, caplog):
    file = tmp_path / "p.toml"
    tasks = "".join(
        f"[[task]]\nname = '{name}'\nmodel = '{path}'\nimage = {{std = 255}}\n{more}"
        for name, more in (("seg", ""), ("det", "backend = 'cpu'\nwinograd = 'small'\n"))
    )
    file.write_text(f"[runtime]\nbackend = 'opencl'\nfallback = 'cpu'\ntuning = 'fast'\n{tasks}")
    found = pipeline.load(file)
    assert found.tasks["det"].engine == EngineOptions(winograd="small", backend="cpu")
    again = tmp_path / "again.toml"
    pipeline.save(found, again)
    assert pipeline.load(again).tasks["det"].engine == found.tasks["det"].engine
    with caplog.at_level(logging.WARNING, "mnnlite.runtime"), found.open() as runtime:
        plan = runtime.plan().splitlines()
        assert runtime.process(noisy_frame())["det"] is not None
    assert [each.getMessage().split(":")[0] for each in caplog.records] == [
        "task 'seg' runs on 'cpu' in place of 'opencl'"
    ]
    assert "backend cpu in place of opencl" in next(line for line in plan if line.startswith("  seg"))
    assert "in place of" not in next(line for line in plan if line.startswith("  det"))


@needs_cpu_alone
def test_an_arena_that_fell_back__is_what_it_became(path, caplog):
    with caplog.at_level(logging.WARNING, "mnnlite.model"):
        arena = mnnlite.Arena(backend="opencl", tuning="heavy", fallback="cpu")
    assert "backend 'cpu' in place of 'opencl': " in caplog.text
    with arena, mnnlite.Arena(**arena.options()) as another:
        assert (another.backend, another.tuning, another.computes_in_half) == ("cpu", "none", False)


def test_opengl__is_said_to_be_unusable_and_opencl_offered():
    with pytest.raises(mnnlite.BackendUnavailableError, match=r'"opengl" is not usable .* use backend="opencl"'):
        mnnlite.Arena(backend="opengl")


def test_what_is_not_yet_there_for_gpus__says_so(path):
    spec = TaskSpec(path, IMAGE, backend="opencl")
    with pytest.raises(mnnlite.ArgumentError, match="tune with backend='opencl': not yet"):
        Runtime(tune="auto", backend="opencl")
    with pytest.raises(mnnlite.ArgumentError, match="memory of a network on backend 'opencl' is not known"):
        predict_pipeline(pipeline.Pipeline({"a": spec}))
    with pytest.raises(mnnlite.ArgumentError, match="task 'a' is on backend 'opencl': not yet"):
        tune(pipeline.Pipeline({"a": spec}))
    assert engine_options.OPTION_NAMES[0] == "winograd"


# ---- what is kept of a GPU's kernels, with a driver and an engine that are made up


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path))
    monkeypatch.setattr(_core, "gpu_devices", lambda backend: ([("device", "OpenCL 1.2", "driver 1")], ""))
    return tmp_path


OPTIONS = {
    **{name: words[0] for name, words in BACKEND_WORDS.items()},
    "backend": "opencl",
    "precision": "normal",
    "memory_mode": "normal",
}


def load_with(content: bytes | None, model: bytes = b"network", **options: str) -> bytes:
    """As the engine does: read the file, and write it anew if there is something to write."""
    with tuning_cache.engine_file(model, {**OPTIONS, **options}) as name:
        found = Path(name).read_bytes()
        if content is not None:
            Path(name).write_bytes(content)
    return found


def test_kernels__are_found_again_for_the_same_and_nothing_else(kept, monkeypatch):
    nothing = load_with(b"compiled" * 1000)
    assert nothing == bytes(8)
    assert load_with(None) == b"compiled" * 1000
    assert load_with(None, b"another network") == nothing
    for name, words in {**BACKEND_WORDS, "precision": ("high",), "memory_mode": ("low",)}.items():
        if name != "backend":
            assert load_with(None, **{name: words[-1]}) == nothing
    for device in (("other", "OpenCL 1.2", "driver 1"), ("device", "OpenCL 1.2", "driver 2")):
        with monkeypatch.context() as patched:
            patched.setattr(_core, "gpu_devices", lambda backend, device=device: ([device], ""))
            assert load_with(None) == nothing
    assert [each.kind for each in cache.entries()] == ["kernels"]


def test_kernels__that_are_damaged_or_foreign_are_made_anew(kept):
    load_with(b"compiled" * 1000)
    (file,) = kept.rglob("*.bin")
    good = file.read_bytes()
    load_with(b"another", b"other network")
    foreign = next(each for each in kept.rglob("*.bin") if each != file).read_bytes()
    for content in (b"", b"x", good[:-1], good + b"x", good[:40] + b"?" + good[41:], foreign):
        file.write_bytes(content)
        assert load_with(b"compiled" * 1000) == bytes(8)
        assert file.read_bytes() == good


def test_kernels__are_kept_whole_or_not_at_all(kept, monkeypatch):
    load_with(b"compiled" * 1000)
    (file,) = kept.rglob("*.bin")
    before = file.read_bytes()

    def fail() -> None:
        with tuning_cache.engine_file(b"network", OPTIONS) as name:
            Path(name).write_bytes(b"half")
            raise RuntimeError("the load failed")

    with pytest.raises(RuntimeError, match="the load failed"):
        fail()
    assert file.read_bytes() == before
    assert [each for each in kept.rglob("*") if each.is_file()] == [file]
    monkeypatch.setenv("MNNLITE_CACHE", "")
    with tuning_cache.engine_file(b"network", OPTIONS) as name:
        assert name == ""


def test_kernels__read_again_are_not_written_again(kept):
    load_with(b"compiled" * 1000)
    (file,) = kept.rglob("*.bin")
    inode = file.stat().st_ino
    assert load_with(None) == b"compiled" * 1000
    assert file.stat().st_ino == inode
