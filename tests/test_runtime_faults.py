"""Users' code, missing files, missing threads and missing memory cost what they concern, and nothing waits for itself."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.child import run_python
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec, decoders
from mnnlite.cli.figures import Figures
from mnnlite.cli.table import plain
from mnnlite.errors import about_task
from mnnlite.runtime import budget

FRAME = Frame(np.full((40, 60, 3), 90, np.uint8), "BGR")
SECONDS = 300  # a wait that takes so long never ends, on an emulated machine with other work neither


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = networks.convert(networks.two_branches(tmp_path_factory.mktemp("faults"), size=16, width=6))
    return TaskSpec(path, ImageSpec(), outputs=["heat"])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Networks of some MiB: a budget has room for one or two."""
    folder = tmp_path_factory.mktemp("large")
    return {
        name: TaskSpec(networks.convert(networks.two_branches(folder, size=64, width=width)), ImageSpec())
        for name, width in (("a", 96), ("b", 112), ("c", 128))
    }


def decoded(spec, function):
    """The same network with a decoder in Python."""
    return TaskSpec(spec.model, spec.image, decoders.Function(lambda outputs, items: function()))


def within(function, *args):
    """Call in another thread; a call that hangs fails the test instead of the suite."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(SECONDS)


# ---- decoders in Python


def test_nobody_waits_for_a_decoder_in_python(small):
    """While one works, the runtime answers, and a source that does not wait hands its frames over."""
    working, answered = threading.Event(), threading.Event()

    def decode():
        working.set()
        return answered.wait(SECONDS)

    given = []

    def source():
        for index in range(4):
            given.append(index)
            yield FRAME
        answered.set()  # all frames were taken while the first one was being decoded

    with Runtime() as runtime:
        runtime.add("slow", decoded(small, decode))
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(runtime.process, FRAME)
            assert working.wait(SECONDS)
            assert runtime.stats().frames == 1
            assert runtime.memory().total > 0
            assert "slow" in runtime.plan()
            assert runtime.tasks
            runtime.add("b", small)
            runtime.remove("b")
            answered.set()
            assert first.result(SECONDS)["slow"] is True
            answered.clear()
            assert all(result["slow"] for result in runtime.stream(source(), latest=True))
        assert given == [0, 1, 2, 3]


def test_a_failed_tasks_name_is_said_once(small, caplog, capsys):
    def broken():
        raise RuntimeError("boom")

    with Runtime(max_failures=2) as runtime:
        runtime.add("a", decoded(small, broken))
        result = runtime.process(FRAME)
        with pytest.raises(KeyError) as caught:
            result["a"]
        figures = Figures()
        figures.add(result)
        runtime.process(FRAME)
        assert figures.report_failures() == 1
        shown = capsys.readouterr().err.splitlines()
        said = [str(caught.value), *plain(runtime.stats()), *caplog.text.splitlines(), *shown]
    said = [line for line in said if "boom" in line]
    assert len(said) == 4
    for line in said:
        assert line.count("task 'a'") == 1, line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("task 'a': no room", "task 'a' rests: no room"),
        ("task 'a' would need 3 MiB", "task 'a' rests: it would need 3 MiB"),
        ("task 'b': no room", "task 'a' rests: task 'b': no room"),
        ("no room", "task 'a' rests: no room"),
    ],
)
def test_errors_of_a_task_in_a_sentence_about_it(error, said):
    assert about_task("a", "rests", mnnlite.EngineError(error)) == said


def test_a_decoder_may_ask_and_change_the_runtime(small):
    found = {}

    def decode():
        if "stats" not in found:
            found["stats"] = within(runtime.stats)
            found["nested"] = list(runtime.process(FRAME))
            found["other"] = list(within(runtime.process, FRAME))
            found["frames"] = [result.index for result in runtime.stream([FRAME, FRAME])]
            runtime.add("new", small)
            runtime.remove("new")
            runtime.on_lane("asking", lambda task: found.update(task=task.spec))
        return "asked"

    with Runtime() as runtime:
        runtime.add("asking", decoded(small, decode))
        results = list(runtime.stream(FRAME for _ in range(5)))
        assert [result["asking"] for result in results] == ["asked"] * 5
        assert found["nested"] == found["other"] == ["asking"]
        assert len(found["frames"]) == 2
        assert runtime.stats().tasks["asking"].runs == 9


@pytest.mark.parametrize("how", ["process", "submit", "stream"])
def test_a_decoder_may_close_the_runtime(small, how):
    runtime = Runtime(lanes=2, force=True)
    runtime.add("a", decoded(small, lambda: runtime.close()))
    runtime.add("b", small)
    if how == "process":
        assert set(runtime.process(FRAME)) == {"a", "b"}
    elif how == "submit":
        futures = [runtime.submit(FRAME) for _ in range(3)]
        assert set(futures[0].result(SECONDS)) == {"a", "b"}
    else:
        assert [set(result) for result in runtime.stream(FRAME for _ in range(9))] == [{"a", "b"}]
    with pytest.raises(mnnlite.ClosedError):
        runtime.process(FRAME)


def test_what_waits_for_its_own_thread_is_refused(small):
    refused = []

    def decode():
        try:
            runtime.submit(FRAME).result()
        except mnnlite.StateError as error:
            refused.append(str(error))

    with Runtime() as runtime:
        runtime.add("a", decoded(small, decode))
        future = runtime.submit(FRAME)
        future.add_done_callback(lambda _: runtime.submit(FRAME))  # giving more work is fine
        future.result(SECONDS)
    assert refused
    assert "another thread" in refused[0]


# ---- functions on a lane


def test_what_would_wait_for_its_own_lane_is_refused(small):
    with Runtime() as runtime:
        runtime.add("a", small)

        def call(task):
            refused = 0
            for function in (
                lambda: runtime.add("b", small),
                lambda: runtime.remove("a"),
                lambda: runtime.replace("a", small),
                lambda: runtime.on_lane("a", print),
                lambda: runtime.process(FRAME),
                lambda: runtime.submit(FRAME),
                lambda: next(runtime.stream([FRAME])),
                runtime.plan,
                runtime.close,
            ):
                with pytest.raises(mnnlite.StateError, match="on_lane"):
                    function()
                refused += 1
            return refused, runtime.stats().frames, within(runtime.memory).total > 0

        assert runtime.on_lane("a", call) == (9, 0, True)
        assert list(runtime.process(FRAME)) == ["a"]


# ---- threads that cannot be had


def without_threads(monkeypatch, *names):
    """What CPython does where the system gives no thread (ulimit -u, pids.max)."""
    start = threading.Thread.start

    def refuse(self):
        if self.name.endswith(names):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_lane_that_gets_no_thread_to_load_goes_on(small, monkeypatch):
    with Runtime() as runtime:
        runtime.add("a", small)
        with monkeypatch.context() as context:
            without_threads(context, "-call")
            with pytest.raises(mnnlite.StateError, match="lane 0 needs a thread"):
                runtime.add("b", small)
            runtime.remove("a")  # what closes a model runs all the same
        runtime.add("b", small)
        assert list(runtime.process(FRAME)) == ["b"]


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("lane-1", lambda runtime: Runtime(lanes=2, force=True).add("b", runtime.tasks["a"])),
        ("rebalancer", lambda runtime: Runtime(lanes=2, force=True, replan=True)),
        ("completion", lambda runtime: runtime.submit(FRAME)),
        ("source", lambda runtime: next(runtime.stream([FRAME]))),
    ],
)
def test_each_thread_that_cannot_be_had_is_an_error(small, monkeypatch, name, use):
    before = threading.enumerate()
    with Runtime() as runtime:
        runtime.add("a", small)
        with monkeypatch.context() as context:
            without_threads(context, name)
            with pytest.raises(mnnlite.StateError, match="the system gives none"):
                use(runtime)
        assert runtime.submit(FRAME).result(SECONDS)["a"]
        assert len(list(runtime.stream([FRAME, FRAME]))) == 2
    settled(before)


def until(holds):
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def settled(before):
    """Threads that came since, and were told to end, do so."""
    came = [each for each in threading.enumerate() if each not in before and each.name.startswith("mnnlite")]
    for thread in came:
        thread.join(SECONDS)
    assert not [each.name for each in came if each.is_alive()]


@pytest.mark.parametrize(
    "use",
    [
        lambda runtime: None,
        lambda runtime: runtime.process(FRAME),
        lambda runtime: runtime.submit(FRAME).result(SECONDS),
        lambda runtime: next(runtime.stream(FRAME for _ in range(1000))),
    ],
    ids=["nothing", "process", "submit", "stream"],
)
def test_a_runtime_that_is_dropped_leaves_no_threads(small, use):
    gc.collect()
    before = threading.enumerate()

    def drop():
        runtime = Runtime(lanes=2, force=True, replan=True)
        runtime.add("a", small)
        use(runtime)

    for _ in range(3):
        drop()
    settled(before)


# ---- processes


def test_a_forked_child_is_told_and_ends_though_every_lock_was_held(small):
    code = """
    import os, sys, threading
    import numpy as np, mnnlite
    frame = mnnlite.Frame(np.zeros((40, 40, 3), np.uint8), "BGR")
    runtime = mnnlite.Runtime()
    runtime.add("a", mnnlite.TaskSpec(sys.argv[1], mnnlite.ImageSpec()))
    stream = runtime.stream(frame for _ in range(10**6))
    next(stream)
    held, go = threading.Event(), threading.Event()
    def hold():
        with runtime._parts.change_lock, runtime._registry.lock:
            held.set()
            go.wait()
    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    child = os.fork()
    if child == 0:
        for call in (lambda: runtime.process(frame), lambda: next(stream), runtime.stats, runtime.memory,
                     lambda: runtime.remove("a"), lambda: runtime.submit(frame), runtime.plan):
            try:
                call()
                os._exit(1)
            except mnnlite.StateError:
                pass
        stream.close()
        runtime.close()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    go.set()
    """
    run_python(code, str(small.model), timeout=SECONDS)


def test_paths_are_made_absolute_when_a_task_is_added(small, tmp_path, monkeypatch):
    shutil.copy(small.model, tmp_path / "net.mnn")
    monkeypatch.chdir(tmp_path)
    with Runtime() as runtime:
        runtime.add("a", TaskSpec("net.mnn", small.image, outputs=["heat"]))
        assert runtime.tasks["a"].model == str(tmp_path / "net.mnn")
        monkeypatch.chdir("/")
        runtime.resize("a", image=ImageSpec(std=2))
        runtime.replace("a", TaskSpec(os.path.relpath(tmp_path / "net.mnn"), small.image, outputs=["heat"]))
        assert list(runtime.process(FRAME)) == ["a"]


# ---- memory


def room_for(runtime_specs, held):
    """A budget for the largest networks of which `held` are loaded, with one more on its way."""
    made = budget.Budget(1 << 40)
    demands = [made.demand_of(name, spec, 0) for name, spec in runtime_specs.items()]
    worst = max(budget.most([each for each in demands if each is not new][:held], new) for new in demands)
    return worst + 2**20


def test_a_task_that_comes_back_is_loaded_between_frames(large):
    specs = {name: large[name] for name in "ab"}
    with Runtime(memory=room_for(specs, 0)) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec, evictable=True, every=2)
        said, ran = set(), set()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:  # a frame that nothing is loaded for takes no time
            result = runtime.process(FRAME)
            assert set(result) | set(result.skipped) == {"a", "b"}
            assert not result.errors
            said |= set(result.skipped.values())
            ran |= set(result)
            if ran == {"a", "b"} and "loading" in said:
                break
        assert ran == {"a", "b"}
        assert "loading" in said


@pytest.mark.not_emulated("under qemu all memory is the emulator's, and the budget evicts by what the process holds")
def test_a_task_that_cannot_be_loaded_again_costs_its_own_results(large, small, tmp_path, caplog):
    """Must show: three tasks on a stream, one of which is evicted and has lost its file. The others lose nothing."""
    path = tmp_path / "b.mnn"
    shutil.copy(large["b"].model, path)
    fragile = TaskSpec(path, ImageSpec())
    specs = {"a": large["a"], "b": fragile}
    with Runtime(memory=room_for({**specs, "steady": small}, 1)) as runtime:
        runtime.add("steady", small)
        runtime.add("a", specs["a"], evictable=True)
        runtime.add("b", fragile, evictable=True, every=10)
        gone = tmp_path / "gone"
        seen, last = 0, None  # no list of them: what results hold counts in the budget

        def source():
            for index in range(200):
                if index == 100:
                    path.rename(gone)
                yield FRAME

        for result in runtime.stream(source()):
            assert set(result) | set(result.skipped) | set(result.errors) == {"steady", "a", "b"}
            assert set(result.errors) <= {"b"}
            assert "steady" in result
            seen, last = seen + 1, result
            if "b" in result.errors:
                break
            if result.index == 115:  # between two frames that "b" is due on: it is the least recently used one
                runtime.add("c", specs["a"])
                assert runtime.memory().budget.evicted == ("b",)
                runtime.remove("c")
        assert seen > 100
        assert last is not None
        assert isinstance(last.errors["b"], mnnlite.ModelNotFoundError)
        later = [runtime.process(FRAME) for _ in range(6)]
        assert all("steady" in result for result in later)
        assert sum("a" in result for result in later) >= 2
        task = runtime.stats().tasks["b"]
        assert "could not be loaded" in task.absent
        assert task.failed >= 1
        assert any(line.startswith("task 'b' does not run: could not be loaded: ") for line in plain(runtime.stats()))
        assert caplog.text.count("task 'b' does not run") == 1  # said once
        gone.rename(path)
        runtime.replace("b", fragile)
        assert "b" in runtime.process(FRAME)
        assert runtime.stats().tasks["b"].absent is None


def test_a_task_that_can_never_come_back_is_said_once_and_in_the_summary(large, caplog):
    with Runtime(memory=room_for({name: large[name] for name in "ab"}, 0)) as runtime:
        runtime.add("a", large["a"], evictable=True)
        runtime.add("b", large["b"])
        text = "task 'a' does not run: evicted, and it cannot come back: with the tasks that are not evictable it needs"
        assert text in caplog.text  # at once
        for _ in range(5):
            assert "cannot come back" in runtime.process(FRAME).skipped["a"]
        assert caplog.text.count("does not run") == 1
        assert "raise memory=" in runtime.stats().tasks["a"].absent
        assert "cannot come back" in runtime.plan()
        runtime.remove("b")
        until(lambda: "a" in runtime.process(FRAME))


@pytest.mark.not_emulated("under qemu all memory is the emulator's")
@pytest.mark.parametrize("seed", range(3))
def test_what_an_evicted_task_held_is_free_whatever_heaps_the_process_had(large, seed):
    """Tasks are loaded and closed in threads whose heaps are other ones each time, after a large block was freed.

    glibc keeps the free end of a thread's heap, the more of it the larger a block the process once freed.
    """
    code = """
    import random, sys, threading
    import numpy as np, mnnlite
    from mnnlite.runtime import Runtime
    choice = random.Random(int(sys.argv[1]))
    all_there, holding = threading.Barrier(8), []
    def use_a_heap():
        some = [bytes(1000) for _ in range(100)]
        all_there.wait()
    threads = [threading.Thread(target=use_a_heap) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    block = np.ones(20 << 20, np.uint8)
    del block
    def change_who_holds_a_heap():
        for _ in range(choice.randrange(4)):
            end = threading.Event()
            thread = threading.Thread(target=lambda end=end: [bytes(2000), end.wait()], daemon=True)
            thread.start()
            holding.append((thread, end))
        choice.shuffle(holding)
        while len(holding) > 5 or (holding and choice.random() < 0.4):
            thread, end = holding.pop()
            end.set()
            thread.join()
    frame = mnnlite.Frame(np.zeros((40, 40, 3), np.uint8), "BGR")
    with Runtime(memory="100 MiB") as runtime:
        runtime.process(frame)
        for _ in range(3):
            for path in sys.argv[2:]:
                change_who_holds_a_heap()
                runtime.add(path.replace(".", ""), mnnlite.TaskSpec(path, mnnlite.ImageSpec()))
            runtime.process(frame)
            held = runtime.memory().budget.grown
            for name in runtime.tasks:
                change_who_holds_a_heap()
                runtime.remove(name)
            left = runtime.memory().budget.grown
            assert left < 0.05 * held, (left, held)
    while holding:
        change_who_holds_a_heap()
    """
    run_python(code, str(seed), *[str(spec.model) for spec in large.values()], timeout=SECONDS)


def test_what_would_fit_is_looked_for_while_others_change_tasks(large, small, monkeypatch):
    """Finding it starts child processes: nobody waits for them but who asked."""
    looked = []
    cost_of = budget.cost_of

    with Runtime(memory=room_for({"a": large["a"]}, 0)) as runtime:
        runtime.add("a", small)

        def asked(spec, threads, options, outputs=None):
            if "winograd" in options and not looked:
                looked.append(within(runtime.add, "meanwhile", small))
            return cost_of(spec, threads, options, outputs)

        monkeypatch.setattr(budget, "cost_of", asked)

        def fill():
            for index in range(9):
                runtime.add(f"c{index}", large["c"])

        with pytest.raises(mnnlite.MemoryBudgetError, match="too many"):
            fill()
        assert looked
        assert "meanwhile" in runtime.tasks


def test_a_placement_that_fails_at_the_first_frame_costs_the_tasks_it_moved(large, small, tmp_path, caplog):
    """Both lanes' files are gone when the first frame settles where tasks are: what was to move fails, the rest runs."""
    caplog.set_level(logging.WARNING)
    paths = []
    with Runtime(lanes=2, force=True) as runtime:
        for index, name in enumerate("abc"):
            paths.append(tmp_path / f"{index}.mnn")
            shutil.copy(large[name].model, paths[-1])
            runtime.add(f"t{index}", TaskSpec(paths[-1], ImageSpec()))
        group = runtime._registry.tasks["t0"]
        for path in paths:
            path.unlink()
        with runtime._parts.change_lock:
            runtime._parts.residency.unload(group)
            runtime._parts.rebalancer._load_anew([group], runtime._parts.lanes[1 - group.lane.index])
        runtime._parts.rebalancer.settled = True
        result = runtime.process(FRAME)
        assert set(result) == {"t1", "t2"}
        assert isinstance(result.errors["t0"], mnnlite.ModelNotFoundError)
        assert "stays in its lane" in caplog.text
