"""Options by measurement: what is stored, what is chosen from it for all tasks together, and what says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.comparing import same
from helpers.pictures import noisy_frame
from mnnlite import EngineOptions, ImageSpec, Runtime, Task, TaskSpec, observe, pipeline, tune_child
from mnnlite.alternatives import choice, stored
from mnnlite.alternatives.stored import Alternative, Front
from mnnlite.cli import main
from mnnlite.cost import Cost
from mnnlite.engine_options import SESSION_WORDS
from mnnlite.pipeline import Pipeline
from mnnlite.runtime import tuned
from mnnlite.runtime.budget import A_LANE, Budget, MemoryDemand, NoRoomError, most
from mnnlite.runtime.schedule import Schedule
from mnnlite.tune import tune

IMAGE = ImageSpec(std=255)
MIB = 1 << 20
USUAL = {name: words[0] for name, words in SESSION_WORDS.items()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MNNLITE_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    return networks.convert(networks.two_branches(tmp_path_factory.mktemp("tune"), size=24, width=24))


def cost_of(static: float, dynamic: float = 0.5, loading: float = 0.2) -> Cost:
    return Cost(MIB // 4, int(static * MIB), int(dynamic * MIB), 4096, 8192, int(loading * MIB))


def keep(spec: TaskSpec, rows: dict[str, tuple[float, float]], threads: int = 1, agreement: float = 1.0) -> None:
    """Store a front of levels of Winograd: milliseconds and MiB."""
    found = tuple(
        Alternative(
            EngineOptions(**{**USUAL, "winograd": word}), ms, 0.0, 0.01, agreement if index else 1.0, cost_of(mib)
        )
        for index, (word, (ms, mib)) in enumerate(rows.items())
    )
    assert stored.store(spec, threads, Front(found, True, "made up"))


ROWS = {"large": (10.0, 8.0), "small": (11.0, 4.0), "none": (14.0, 2.0)}


def test_tune__measures_once_and_a_runtime_takes_what_is_stored(network):
    what = Pipeline({"a": TaskSpec(network, IMAGE), "b": TaskSpec(network, IMAGE, winograd="small")})
    said = []
    found = tune(what, rounds=7, on_task=said.append)
    assert said == ["a"]  # the other one has its network
    assert found.measured == ("a",)
    front = found.fronts["a"]
    assert front.reference.options == EngineOptions(**USUAL)
    assert {each.options.winograd for each in front.alternatives} == set(SESSION_WORDS["winograd"])
    for each in front.alternatives:
        assert each.ms > 0
        assert 0.99 <= each.agreement <= 1
        assert each.cost.static > 0
    statics = {each.options.winograd: each.cost.static for each in front.alternatives}
    assert statics["none"] < statics["large"]
    assert {found.before.tasks[name].options.winograd for name in "ab"} == {"large", "small"}
    again = tune(what, rounds=7, on_task=said.append)
    assert said == ["a"]
    assert (again.measured, again.choice, again.fronts) == ((), found.choice, found.fronts)
    with replace(what, runtime={"tune": "auto"}).open() as runtime:
        specs = runtime.tasks
        result = runtime.process(noisy_frame())
    assert specs["a"].engine == found.choice.tasks["a"].options
    assert specs["b"].winograd == "small"  # it says so itself
    for name, spec in specs.items():
        with Task(spec) as alone:
            same(result[name], alone(noisy_frame()))


def test_runtime__tune_auto_never_measures(network, tmp_path, monkeypatch):
    monkeypatch.setattr("mnnlite.children.ask", lambda *_, **__: pytest.fail("a child was asked"))
    path = tmp_path / "net.mnn"
    shutil.copy(network, path)
    spec = TaskSpec(path, IMAGE)
    keep(spec, ROWS)
    with Runtime(tune="auto") as runtime:
        runtime.add("a", spec)
        runtime.add("said", replace(spec, winograd="none"))
        assert [each.winograd for each in runtime.tasks.values()] == ["large", "none"]
        with pytest.raises(mnnlite.StateError, match=r"nothing was measured of task 'threads' .* run mnnlite tune"):
            runtime.add("threads", replace(spec, threads=2))
        with pytest.raises(mnnlite.StateError, match="task 'half' says options that were not measured"):
            runtime.add("half", replace(spec, precision="low"))
        other = networks.convert(networks.two_branches(tmp_path, size=32))
        shutil.copy(other, path)
        with pytest.raises(mnnlite.StateError, match="network or engine is newer than its tuning"):
            runtime.add("newer", spec)
    with pytest.raises(mnnlite.ArgumentError, match="tune is 'yes'"):
        Runtime(tune="yes")


def test_pipeline__tune_auto_is_chosen_for_all_together(network):
    """Of two tasks the one gets smaller to which it matters less: 1 ms for 4 MiB, before 4 ms for 2 MiB."""
    first, second = TaskSpec(network, IMAGE), TaskSpec(network, IMAGE, outputs=["heat"])
    keep(first, ROWS)
    keep(second, {"large": (10.0, 8.0), "small": (10.5, 6.0), "none": (30.0, 5.9)})

    def chosen(memory):
        specs, lanes = tuned.tuned({"a": first, "b": second}, {}, lanes=1, threads=1, memory=memory)
        assert lanes == {"a": 0, "b": 0}
        return specs["a"].winograd, specs["b"].winograd

    def peak(a, b):
        fronts = {
            name: [each for each in stored.load(spec, 1).alternatives if each.options.winograd == word]
            for name, spec, word in (("a", first, a), ("b", second, b))
        }
        return tuned.choose_options({"a": first, "b": second}, {}, fronts).peak

    assert chosen(None) == ("large", "large")
    for a, b in (("large", "large"), ("small", "large"), ("small", "small"), ("none", "small")):
        assert chosen(peak(a, b)) == (a, b)
    with pytest.raises(
        mnnlite.MemoryBudgetError, match=r"no choice .* fits 3\.0 MiB; the least possible is .*a: winograd='none'; b"
    ):
        chosen(3 * MIB)


def test_choice__reckons_as_the_budget_does():
    """What is chosen within is the worst moment of loading the tasks one after the other, as a runtime foretells it."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        tasks, schedules, lanes, fronts, demands = {}, {}, {}, {}, []
        peak = 0
        for number in range(int(rng.integers(1, 6))):
            name, lane, threads = f"t{number}", int(rng.integers(2)), int(rng.integers(1, 3))
            found = Cost(*(int(rng.integers(0, 1 << 22)) for _ in range(8)))
            image = IMAGE if rng.random() < 0.7 else None
            tasks[name], lanes[name] = TaskSpec("x.mnn", image, threads=threads), lane
            schedules[name] = Schedule(preempts=bool(rng.random() < 0.2))
            fronts[name] = [Alternative(EngineOptions(), 1.0, 0.0, 0.0, 1.0, found)]
            new = MemoryDemand(name, tasks[name], found, lane, threads, image is not None, schedules[name].preempts)
            peak = max(peak, most(demands, new))
            demands.append(new)
        groups = tuned.groups_of(tasks, schedules, 1, lanes, fronts)
        assert choice.peak_of(groups, [0] * len(groups), A_LANE) == peak


def test_budget__names_the_change_that_costs_least_time(network, monkeypatch):
    """Two tasks that are too large together: small tiles are 3 ms of the first, and 1 ms of the second."""
    first, second = TaskSpec(network, IMAGE), TaskSpec(network, IMAGE, outputs=["heat"])
    for spec, ms in ((first, 3.0), (second, 1.0)):
        found = tuple(
            Alternative(EngineOptions(**{**USUAL, "winograd": word}), took, 0.0, 0.0, 1.0, size)
            for word, took, size in (("large", 10.0, cost_of(8.0)), ("small", 10.0 + ms, cost_of(1.0)))
        )
        stored.store(spec, 1, Front(found, True, ""))
    budget = Budget(14 * MIB)
    monkeypatch.setattr(budget, "grown", lambda: 0)
    monkeypatch.setattr("mnnlite.runtime.budget.cost_of", lambda *_: cost_of(8.0))
    there = [budget.demand_with("a", first, 0, cost_of(8.0))]
    new = budget.demand_with("b", second, 0, cost_of(8.0))
    error = budget.refusal(NoRoomError(there, new, budget.needed(there, new), budget.limit))
    assert "what would fit: winograd='small' of task 'b' (+1.0 ms a frame), or removing 'a'" in str(error)
    assert error.details["choices"][0] == "winograd='small' of task 'b' (+1.0 ms a frame)"


@pytest.mark.slow
@pytest.mark.not_emulated("under qemu all memory is the emulator's, and the choice is loaded once to see what it takes")
def test_command__writes_the_choice_and_keeps_comments(network, tmp_path, capsys):
    shutil.copy(network, tmp_path / "net.mnn")
    spec = TaskSpec(tmp_path / "net.mnn", IMAGE)
    keep(spec, ROWS)
    file = tmp_path / "p.toml"
    file.write_text(
        '# the camera\n[[task]]\nname = "a"\nmodel = "net.mnn"  # from the shop\nwinograd = "none"\nimage = { std = 255 }\n'
    )
    assert main(["tune", str(file), "--memory", "7MiB", "-o", str(file), "--plot", str(tmp_path / "f.png")]) == 0
    out = capsys.readouterr().out
    assert "winograd small" in out
    assert "chosen" in out
    assert "no gain" not in out
    text = file.read_text()
    assert text.startswith(
        '# the camera\n[[task]]\nname = "a"\nmodel = "net.mnn"  # from the shop\nwinograd = "small"\nimage'
    )
    assert (tmp_path / "f.png").stat().st_size > 1000
    assert main(["tune", str(file), "--frame-ms", "20", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tasks"]["a"]["chosen"]["winograd"] == "none"
    assert said["tasks"]["a"]["before"]["winograd"] == "small"
    assert said["chosen"]["frame_ms"] == 14.0
    assert main(["tune", str(file), "-o", str(file)]) == 0  # the usual words need not be said
    assert "winograd" not in file.read_text()


def test_command__writes_lanes_and_takes_comments_to_another_folder(network, tmp_path, capsys):
    (tmp_path / "nets").mkdir()
    (tmp_path / "out").mkdir()
    shutil.copy(network, tmp_path / "nets" / "net.mnn")
    (tmp_path / "nets" / "words.txt").write_text("\n".join(f"class {number}" for number in range(576)))
    spec = TaskSpec(tmp_path / "nets" / "net.mnn", IMAGE)
    keep(spec, ROWS)
    keep(replace(spec, outputs=["heat"]), ROWS)
    file, target = tmp_path / "nets" / "p.toml", tmp_path / "out" / "q.toml"
    file.write_text(
        "# the camera\n[runtime]\nlanes = 2\nforce = true\n\n[[task]]  # first\nname = 'a'\nmodel = \"net.mnn\"  # from the shop\n"
        "image = { std = 255 }\n\n[[task]]\nname = 'b'\nlane = 0  # as ever\nmodel = './net.mnn'\noutputs = ['heat']\n"
        "image = { std = 255 }\n[task.decoder]\nfamily = 'classification'\nclasses = 'words.txt'  # in order\n"
    )
    keep(pipeline.load(file).tasks["b"], ROWS)
    assert main(["tune", str(file), "-o", str(target)]) == 0
    capsys.readouterr()
    text = target.read_text()
    assert "[[task]]  # first\nname = 'a'\nmodel = \"../nets/net.mnn\"  # from the shop\nlane = 1\n" in text
    assert "lane = 0  # as ever\n" in text
    assert 'classes = "../nets/words.txt"  # in order\n' in text
    made = pipeline.load(target)
    assert all(Path(each.model).samefile(spec.model) for each in made.tasks.values())
    assert {name: each.lane for name, each in made.schedules.items()} == {"a": 1, "b": 0}


def test_command__says_what_cannot_be(network, tmp_path, capsys):
    spec = TaskSpec(network, IMAGE)
    keep(spec, ROWS)
    file = tmp_path / "p.toml"
    pipeline.save(Pipeline({"a": spec}), file)
    for words, text in (
        (["--memory", "1MiB"], "no choice of options fits 1.0 MiB; the least possible is "),
        (["--frame-ms", "2"], "no choice of options takes at most 2 ms a frame; the least is 10.0 ms"),
        (["--frame-ms", "0"], "frame_ms is 0.0; wanted a number above 0"),
        (["--accuracy", "2"], "accuracy is 2.0; wanted a number from 0 to 1"),
        (["--memory", "much"], "memory is 'much'"),
        (["--rounds", "1"], "rounds is 1"),
        (["--plot", "x.txt"], "wanted .png"),
    ):
        assert main(["tune", str(file), *words]) == 2, words
        error = capsys.readouterr().err
        assert text in error
        assert error.count("\n") == 1
    with pytest.raises(mnnlite.ArgumentError, match="memory and frame_ms are both given"):
        tune(Pipeline({"a": spec}), memory="1 MiB", frame_ms=1)
    with pytest.raises(mnnlite.ArgumentError, match="only files can be tuned"):
        tune(Pipeline({"a": TaskSpec(network.read_bytes(), IMAGE)}))


@pytest.mark.parametrize(
    ("count", "said", "message"),
    [
        (2, {"a": 2}, "task 'a' says lane 2; there are lanes 0 to 1; say one of them"),
        (1, {"a": 1}, "task 'a' says lane 1; there is lane 0 alone"),
        (2, {"a": 0, "b": 1}, "task 'b' says lane 1, but belongs together with one that says lane 0"),
    ],
)
def test_tune__lanes_that_cannot_be_are_refused_before_it_measures(network, monkeypatch, count, said, message):
    monkeypatch.setattr("mnnlite.tune._measure", None)
    tasks = {"a": TaskSpec(network), "b": TaskSpec(network)}
    schedules = {"a": Schedule(lane=said["a"]), "b": Schedule(after="a", lane=said.get("b"))}
    with pytest.raises(mnnlite.ArgumentError, match=message):
        tune(Pipeline(tasks, schedules=schedules, runtime={"lanes": count}))


def test_worth_having__what_agrees_too_little_is_left_out_and_equal_times_are_the_smaller_ones(network):
    spec = TaskSpec(network, IMAGE)
    keep(spec, {"large": (10.0, 8.0), "small": (10.05, 4.0), "none": (14.0, 2.0)})
    found = stored.load(spec, 1).alternatives
    assert [each.options.winograd for each in tuned.worth_having(found, 0.99)] == ["small", "none"]
    keep(spec, ROWS, agreement=0.9)
    assert [each.options.winograd for each in tuned.worth_having(stored.load(spec, 1).alternatives, 0.99)] == ["large"]


def test_stored__what_is_damaged_is_not_there(network, cache):
    spec = TaskSpec(network, IMAGE)
    assert stored.load(spec, 1) is None
    keep(spec, ROWS)
    (file,) = cache.glob("tune/*.json")
    whole = json.loads(file.read_text())
    for value in (
        None,
        {},
        {"alternatives": [], "stable": True, "pictures": ""},
        {"alternatives": [{"options": {"winograd": "x"}}]},
    ):
        file.write_text(json.dumps({**whole, "value": value}))
        assert stored.load(spec, 1) is None


def test_measuring__that_drifts_or_is_throttled_is_tried_again_and_said(network, tmp_path, monkeypatch):
    file = tmp_path / "task.toml"
    pipeline.save(Pipeline({"a": TaskSpec(network, IMAGE)}), file)
    request = {
        "task": str(file),
        "threads": 1,
        "candidates": [{}, {"winograd": "none"}],
        "rounds": 8,
        "pictures": None,
        "most": 1,
    }
    ((_, spec),) = pipeline.load(file).tasks.items()
    states = iter(range(100))
    monkeypatch.setattr(tune_child, "throttled", lambda: [str(next(states))])
    answer = tune_child._measured(request, spec)
    assert (answer["stable"], answer["attempts"], len(answer["rows"])) == (False, 3, 2)
    monkeypatch.setattr(tune_child, "throttled", list)
    monkeypatch.setattr(tune_child, "_DRIFT", 100.0)
    answer = tune_child._measured(request, spec)
    assert (answer["stable"], answer["attempts"]) == (True, 1)
    assert answer["rows"][0]["agreement"] == 1.0


def test_picture_of_fronts__needs_a_known_format(tmp_path):
    with pytest.raises(mnnlite.ArgumentError, match=r"wanted \.png"):
        observe.plot_fronts({}, tmp_path / "x.bmp")


@pytest.mark.parametrize("name", ["ms", "noise", "spread", "agreement", "cost"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -1, 1e300])
def test_stored__damage_is_as_if_nothing_was_measured(network, cache, name, value):
    spec = TaskSpec(network, IMAGE)
    keep(spec, ROWS)
    (path,) = cache.glob("tune/*")
    kept = json.loads(path.read_text())
    row = kept["value"]["alternatives"][1]
    row[name] = dict.fromkeys(row["cost"], value) if name == "cost" else value
    path.write_text(json.dumps(kept))
    assert stored.load(spec, 1) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 0, -1])
def test_tune__frame_ms_is_a_time(network, value):
    with pytest.raises(mnnlite.ArgumentError, match="wanted a number above 0"):
        tune(Pipeline({"a": TaskSpec(network, IMAGE)}), frame_ms=value)


def test_tune__writes_only_pipelines(network, tmp_path, capsys):
    path = tmp_path / "net.mnn"
    shutil.copy(network, path)
    assert main(["tune", str(path), "-o", str(path)]) == 2
    assert "ends in '.mnn'; wanted .toml" in capsys.readouterr().err
    assert path.read_bytes() == network.read_bytes()


def test_stored__is_of_a_picture_and_a_decoder(network):
    """Agreement is of what is decoded; names of classes make no difference to it."""
    spec = TaskSpec(network, IMAGE)
    keep(spec, ROWS)
    assert stored.load(spec, 1) is not None
    for other in (
        replace(spec, image=ImageSpec(std=128)),
        replace(spec, decoder={"family": "segmentation", "tensors": ["heat"]}),
        replace(spec, decoder=lambda *_: None),
    ):
        assert stored.load(other, 1) is None
    named = replace(spec, decoder={"heat": {"family": "segmentation", "classes": ["a", "b"]}})
    keep(named, ROWS)
    assert (
        stored.load(replace(spec, decoder={"heat": {"family": "segmentation", "classes": ["c", "d"]}}), 1) is not None
    )
    assert stored.load(replace(spec, decoder={"line": {"family": "segmentation", "classes": ["a", "b"]}}), 1) is None


@pytest.mark.parametrize(
    ("folder", "said"), [("", "there is no cache"), ("/dev/null", "the cache /dev/null cannot be written")]
)
def test_tune__says_that_nothing_is_kept(network, tmp_path, monkeypatch, capsys, folder, said):
    monkeypatch.setenv("MNNLITE_CACHE", folder)
    path = tmp_path / "p.toml"
    path.write_text(pipeline.dumps(Pipeline({"a": TaskSpec(network, IMAGE)})))
    assert main(["tune", str(path), "--rounds", "7"]) == 0
    assert f'nothing is kept, because {said}: tune = "auto" will not find it' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "said"),
    [('lanes = "two"', "lanes is 'two'"), ("threads = 0", "threads is 0"), ('winograd = "x"', "winograd is 'x'")],
)
def test_tune__what_the_runtime_says_wrongly_has_file_and_line(network, tmp_path, capsys, key, said):
    path = tmp_path / "p.toml"
    path.write_text(f"[runtime]\n{key}\n" + pipeline.dumps(Pipeline({"a": TaskSpec(network, IMAGE)})))
    assert main(["tune", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}:" in line
    assert said in line


def test_tune__writes_no_pipeline_that_has_changed_meanwhile(network, tmp_path, monkeypatch, capsys):
    spec = TaskSpec(network, IMAGE)
    keep(spec, ROWS)
    path = tmp_path / "p.toml"
    path.write_text(pipeline.dumps(Pipeline({"a": spec})))

    def slow(what, **options):
        path.write_text(path.read_text() + "# saved by an editor\n")
        return tune(what, **options)

    monkeypatch.setattr("mnnlite.cli.tune.tune", slow)
    assert main(["tune", str(path), "-o", str(path)]) == 2
    assert "it has changed while it was measured, so nothing is written; run the same again" in capsys.readouterr().err
    assert path.read_text().endswith("# saved by an editor\n")


def test_runtime__tune_auto_of_a_file_that_is_not_there(tmp_path):
    with Runtime(tune="auto") as runtime, pytest.raises(mnnlite.ModelNotFoundError, match=r"cannot read .*none\.mnn"):
        runtime.add("a", TaskSpec(tmp_path / "none.mnn"))


@pytest.mark.parametrize("options", [{"frame_ms": "40"}, {"accuracy": "high"}, {"rounds": True}])
def test_tune__texts_are_no_numbers(network, options):
    with pytest.raises(mnnlite.ArgumentError, match=f"{next(iter(options))} is .*; wanted a number"):
        tune(Pipeline({"a": TaskSpec(network, IMAGE)}), **options)


def test_measuring__ends_with_the_process_that_wants_it(tmp_path):
    file = tmp_path / "pid"
    child = (
        "import json, os, sys, time\nrequest, sys.path[:] = json.loads(sys.stdin.read())\n"
        "from mnnlite.children import end_with\nend_with(request['parent'])\n"
        "with open(request['file'] + '.new', 'w') as new:\n    new.write(str(os.getpid()))\n"
        "os.rename(request['file'] + '.new', request['file'])\n"
        "time.sleep(60)"
    )
    parent = (
        "import os, sys\nfrom mnnlite import children\n"
        f"children.ask({child!r}, {{'parent': os.getpid(), 'file': sys.argv[1]}}, seconds=None)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent, str(file)], cwd="/")
    try:
        wait_until(lambda: file.exists() or process.poll() is not None)
        pid = int(file.read_text())
    finally:
        process.kill()
        process.wait()

    def ended():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(ended)
    assert ended()


def wait_until(met, seconds=30):
    until = time.monotonic() + seconds
    while not met() and time.monotonic() < until:
        time.sleep(0.02)
