"""A trial in a child process: what the engine dies of is an error here."""

from __future__ import annotations

import os
import signal
import textwrap
from pathlib import Path

import pytest

import mnnlite
from helpers.cli import mnnlite as run
from mnnlite import trial


def test_trial__a_good_model__loads_as_without(models: Path) -> None:
    with mnnlite.Model(models / "tiny.mnn", trial=True) as tried, mnnlite.Model(models / "tiny.mnn") as plain:
        assert tried.inputs == plain.inputs
    before = len(os.listdir("/proc/self/fd"))
    mnnlite.Model((models / "branches.mnn").read_bytes(), trial=True).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_trial__passed__is_not_made_twice(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnnlite.Model(models / "tiny.mnn", trial=True).close()
    monkeypatch.setattr(trial, "ask", lambda *_: pytest.fail("a second child"))
    mnnlite.Model((models / "tiny.mnn").read_bytes(), trial=30).close()  # the same bytes
    with pytest.raises(pytest.fail.Exception, match="a second child"):
        mnnlite.Model(models / "tiny.mnn", trial=True, threads=2)  # other options


def fake_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """What stands in for the engine's death: the child's own code is replaced, everything around it is real."""
    monkeypatch.setattr(trial, "_CHILD", textwrap.dedent(body))
    monkeypatch.setattr(trial, "_passed", set())


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGBUS])
def test_trial__a_crash__is_an_error_here(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    fake_child(tmp_path, monkeypatch, f"import os; os.kill(os.getpid(), {int(number)})")
    with pytest.raises(
        mnnlite.ModelFormatError, match=rf"the engine crashed on .*tiny\.mnn \({number.name}\)"
    ) as caught:
        mnnlite.Model(models / "tiny.mnn", trial=True)
    assert caught.value.op == "trial"


def test_trial__a_hang__ends_in_time(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_child(tmp_path, monkeypatch, "import time; time.sleep(600)")
    with pytest.raises(mnnlite.ModelFormatError, match=r"did not load and run within 0.5 s"):
        mnnlite.Model(models / "tiny.mnn", trial=0.5)


def test_trial__what_the_child_raises__is_raised_here(models: Path, tmp_path: Path) -> None:
    with pytest.raises(mnnlite.UnsupportedModelError):
        mnnlite.Model(models / "unrunnable.mnn", trial=True)
    path = tmp_path / "open.mnn"
    path.write_bytes(b"no model")
    with pytest.raises(mnnlite.ModelFormatError, match=r"open\.mnn|not an MNN model"):
        mnnlite.Model(path, trial=True)


@pytest.mark.parametrize("bad", [0, -1, "yes", float("nan"), [1]])
def test_trial__a_wrong_word__is_refused(models: Path, bad: object) -> None:
    with pytest.raises(mnnlite.ArgumentError, match="trial is"):
        mnnlite.Model(models / "tiny.mnn", trial=bad)  # type: ignore[arg-type]
    with pytest.raises(mnnlite.ArgumentError, match="trial is"):
        mnnlite.TaskSpec(models / "tiny.mnn", trial=bad)  # type: ignore[arg-type]


def test_runtime__trial__keeps_others_running(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mnnlite.Runtime(trial=True) as runtime:
        runtime.add("good", mnnlite.TaskSpec(models / "tiny.mnn"))
        fake_child(tmp_path, monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
        with pytest.raises(mnnlite.ModelFormatError, match="crashed"):
            runtime.add("bad", mnnlite.TaskSpec(models / "branches.mnn"))
        assert list(runtime.tasks) == ["good"]


def test_task_spec__trial__is_made_before_the_lane_is_asked(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    asked = []
    ask = trial.ask
    monkeypatch.setattr(trial, "_passed", set())
    monkeypatch.setattr(trial, "ask", lambda *words: (asked.append(threading.current_thread()), ask(*words)))
    with mnnlite.Runtime() as runtime:
        runtime.add("tried", mnnlite.TaskSpec(models / "tiny.mnn", trial=True))
    assert asked == [threading.main_thread()]


def test_commands__look_into_models_in_a_child(models: Path) -> None:
    for words in (["inspect"], ["inspect", "--no-trial"], ["profile", "--runs", "1"]):
        done = run(words[0], str(models / "tiny.mnn"), *words[1:])
        assert done.code == 0, done.err
