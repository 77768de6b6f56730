"""The table of ``mnnlite run``: what it says, as rich and as plain text."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from helpers import networks
from helpers.videos import make_video
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec, decoders, pipeline
from mnnlite.cli.table import HEAD, LiveTable, plain, table
from mnnlite.runtime.stats import HungRun


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    good = TaskSpec(networks.convert(networks.two_branches(folder, size=16, width=8)), ImageSpec())
    fragile = TaskSpec(networks.convert(networks.inverse(folder)), ImageSpec(), decoders.Classification())
    with Runtime(max_failures=2) as made:
        made.add("late [bold]", good, deadline_ms=1e-6)
        made.add("seldom", good, every=3)
        made.add("broken", fragile)
        for _ in range(6):
            made.process(Frame(np.zeros((20, 20, 3), np.uint8), "BGR"))
        yield made


def cells(lines):
    """The words of each task's row, names without their blanks."""
    return {line.split()[0]: line.split() for line in lines}


def test_what_it_says_in_plain_text(runtime):
    head, *rows, why, last = plain(runtime.stats())
    assert why.startswith("task 'broken' does not run: quarantined after 2 failures in a row, the last: ")
    assert head.split() == " ".join(HEAD).split()
    found = cells(row.replace("late [bold]", "late") for row in rows)
    assert found["late"][1:3] == ["0", "6"]  # lane, runs
    assert found["late"][5:] == ["6", "0", "0"]  # late, skipped, failed
    assert float(found["late"][3]) <= float(found["late"][4])
    assert found["seldom"][2] == "2"
    assert found["seldom"][6] == "0"  # it was not due on the others
    assert found["broken"][-2:] == ["2", "quarantined"]  # it never ran, so it has no times
    assert "6 frames worked on, 0 dropped; lane 0 " in last
    assert last.endswith("% busy")


def test_what_rich_shows(runtime):
    console = Console(record=True, width=100, file=io.StringIO())
    live = LiveTable(runtime, 40)
    live.step()
    console.print(live._render())
    shown = console.export_text()
    assert shown.startswith("frame 1/40")
    assert "late [bold]" in shown  # a name, not markup
    assert "quarantined" in shown
    assert "lane 0" in shown
    assert "MiB anonymous" in shown
    assert [line.split()[:2] for line in shown.splitlines() if "seldom" in line] == [["seldom", "0"]]


def test_a_run_that_hangs_is_said(runtime):
    stats = replace(runtime.stats(), hung=(HungRun("seldom", 12.3),))
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(table(stats))
    assert "task 'seldom' has been running for 12 s" in console.export_text()


def test_a_run_with_a_table(tmp_path):
    spec = TaskSpec(networks.convert(networks.two_branches(tmp_path, size=16, width=8)), ImageSpec())
    pipeline.save(pipeline.Pipeline({"heat": spec}), tmp_path / "p.toml")
    make_video(tmp_path / "v.mp4", 12)
    reader, terminal = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "mnnlite", "run", str(tmp_path / "p.toml"), str(tmp_path / "v.mp4"), "--table"],
        stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            part = os.read(reader, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert done.wait(300) == 0
    os.close(reader)
    text = shown.decode()
    assert "frames/s" in text
    assert "p99 ms" in text
    assert "12 frames in" in text
    assert "12 frames worked on, 0 dropped; lane 0" in text
    assert "\n{" not in text
