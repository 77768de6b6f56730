"""How the program ends when it is told to, and what it does where the shell closed a stream or Python is somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import mnnlite
from helpers import models, networks
from helpers.child import run_python
from mnnlite import children, extras, video

PIPELINE = f"""
[[task]]
name = "a"
model = "{models.path("classes")}"
image = {{ size = [16, 16] }}
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_camera_is_quiet(number, code, tmp_path):
    out = tmp_path / "o.jsonl"
    (tmp_path / "p.toml").write_text(PIPELINE)
    command = [sys.executable, "-m", "mnnlite", "run", "p.toml", "-", "--raw", "RGB:32x24", "--out", str(out)]
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, **piped) as child:
        child.stdin.write(bytes(2 * 32 * 24 * 3))  # two frames, and then none
        child.stdin.flush()
        end = time.monotonic() + 300
        while time.monotonic() < end and not (out.exists() and out.read_bytes().count(b"\n") == 2):
            time.sleep(0.01)
        child.send_signal(number)
        said = child.stderr.read().decode()
        assert child.wait(300) == code, said
    assert "2 frames in" in said
    assert "Traceback" not in said
    assert [json.loads(line)["frame"] for line in out.read_text().splitlines()] == [0, 1]
    child.stdin.close()
    child.stdout.close()
    child.stderr.close()


@pytest.mark.parametrize(
    ("shell", "code", "says"),
    [
        ('"$0" -m mnnlite info >&-', 2, "standard output: it is closed"),
        ('"$0" -m mnnlite run p.toml - --raw RGB:32x24 --out o.jsonl <&-', 2, "standard input is closed"),
        ('head -c 4608 /dev/zero | "$0" -m mnnlite run p.toml - --raw RGB:32x24 --out o.jsonl >&-', 0, ""),
        ('head -c 4608 /dev/zero | "$0" -m mnnlite run p.toml - --raw RGB:32x24 --out o.jsonl 2>&-', 0, ""),
        ('{ "$0" -m mnnlite --help; echo ended $? >&2; } | true', 0, "ended 0\n"),
        ('{ PYTHONUNBUFFERED=1 "$0" -m mnnlite tune --help; echo ended $? >&2; } | true', 0, "ended 0\n"),
    ],
)
def test_closed_streams(shell, code, says, tmp_path):
    (tmp_path / "p.toml").write_text(PIPELINE)
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable], cwd=tmp_path, capture_output=True, text=True, timeout=3000
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    out = tmp_path / "o.jsonl"
    if out.exists():  # a file must not take the place of a closed stream, and then what is printed there
        assert all(json.loads(line) for line in out.read_text().splitlines())


def test_a_waiting_reader_is_woken():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb"):
        source = video.raw.Raw(stream, "RGB", 8, 8)
        found = []
        thread = threading.Thread(target=lambda: found.extend(source), daemon=True)
        thread.start()
        time.sleep(0.05)
        source.stop()
        thread.join(300)
        assert not thread.is_alive()
        assert found == []


@pytest.mark.not_emulated("the target's Python starts through the emulator alone, which is what sys.executable names")
@pytest.mark.parametrize("executable", ["", None, "/opt/app/bin/app"])
def test_python_of_child_processes(executable, monkeypatch):
    monkeypatch.setattr(sys, "executable", executable)
    found = children.interpreter()
    done = subprocess.run(
        [found, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(sys.version_info[:2])
    monkeypatch.setenv("MNNLITE_PYTHON", "/some/python")
    assert children.interpreter() == "/some/python"


def test_no_python_for_child_processes(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/app/bin/app")
    for name in ("prefix", "exec_prefix", "base_prefix"):
        monkeypatch.setattr(sys, name, "/nowhere")
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: None)
    with pytest.raises(mnnlite.StateError, match="MNNLITE_PYTHON"):
        children.interpreter()


def test_a_package_that_is_missing_and_one_that_is_broken(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_one.py").write_text(
        "raise ImportError('libgomp.so.1: cannot allocate memory in static TLS block')"
    )
    (tmp_path / "needs_more.py").write_text("import not_there_at_all")
    with pytest.raises(mnnlite.MissingExtraError, match=r"install it with: pip install .mnnlite\[x\]"):
        extras.need("this needs it", "x", "not_there_at_all")
    for name, says in (("broken_one", "static TLS"), ("needs_more", "not_there_at_all")):
        with pytest.raises(mnnlite.MissingExtraError, match=says) as caught:
            extras.need("this needs it", "x", name)
        assert "install it with" not in str(caught.value)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_while_it_imports__is_one_line(tmp_path: Path, number: int, code: int) -> None:
    """The program is still importing what its command needs: a module that never ends."""
    (tmp_path / "rich.py").write_text("")
    (tmp_path / "argparse.py").write_text("print('here', flush=True)\nimport time\ntime.sleep(60)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "mnnlite", "info"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    child.send_signal(number)
    _, said = child.communicate(timeout=300)
    assert child.returncode == code
    assert said.splitlines() == [f"mnnlite: {'interrupted' if code == 130 else 'terminated'}"]


def test_library__sets_no_handlers() -> None:
    done = run_python(
        "import signal; import mnnlite.cli; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    assert done.stdout.strip() in ("True", "False" if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else "True")


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "a.mnn"),
        ("memory", "a.mnn"),
        ("profile", "a.mnn"),
        ("dump", "a.mnn", "-o", "d.npz"),
        ("compare", "a.mnn", "a.mnn"),
        ("convert", "a.onnx", "-o", "b.mnn"),
    ],
    ids=lambda command: command[0],
)
def test_ctrl_c_while_a_child_works__is_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As a terminal sends it: to the child, too, which here never ends by itself."""
    started, python = tmp_path / "started", tmp_path / "python"
    python.write_text(f"#!/bin/sh\n: > {started}\nexec sleep 60\n")
    python.chmod(0o755)
    (tmp_path / "a.mnn").write_bytes(Path(models.path("classes")).read_bytes())
    networks.two_branches(tmp_path, size=16, width=8).rename(tmp_path / "a.onnx")
    child = subprocess.Popen(
        [sys.executable, "-m", "mnnlite", *command],
        cwd=tmp_path,
        env={**os.environ, "MNNLITE_PYTHON": str(python)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    end = time.monotonic() + 300
    while not started.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    out, said = child.communicate(timeout=300)
    assert (child.returncode, out, said) == (130, "", "mnnlite: interrupted\n")
    assert not (tmp_path / "b.mnn").exists()
