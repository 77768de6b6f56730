"""What the command line says: once, and so that a stranger understands it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers import networks
from helpers.cli import mnnlite
from helpers.videos import make_video, noisy_picture
from mnnlite import video
from mnnlite.cli.output import columns, short

if TYPE_CHECKING:
    from pathlib import Path

TASK = """\
[[task]]
name = "heat"
model = "net.mnn"
image = { size = [32, 32], std = [255, 255, 255] }
decoder = { family = "segmentation", threshold = 0.0, tensors = ["heat"] }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    networks.convert(networks.two_branches(folder)).rename(folder / "net.mnn")
    (folder / "p.toml").write_text(TASK)
    make_video(folder / "v.mp4", 6)
    return folder


def test_a_budget_is_shown_beside_what_is_used(folder: Path) -> None:
    (folder / "budget.toml").write_text('[runtime]\nmemory = "64 MiB"\n\n' + TASK)
    ran = mnnlite("run", folder / "budget.toml", folder / "v.mp4", "--frames", 2)
    (line,) = [line for line in ran.err.splitlines() if line.startswith("budget: ")]
    used = int(line.removeprefix("budget: ").removesuffix(" of 64 MiB used"))
    assert 0 < used <= 64
    assert "resident" in ran.err
    (folder / "bytes.toml").write_text('[runtime]\nmemory = "64"\n\n' + TASK)
    assert "a text with a unit such as '64 MiB'" in mnnlite("run", folder / "bytes.toml", folder / "v.mp4").error()


def test_frames_on_which_a_task_is_not_due_are_not_skipped(folder: Path) -> None:
    (folder / "every.toml").write_text(TASK + "every = 3\n")
    ran = mnnlite("run", folder / "every.toml", folder / "v.mp4")
    lines = [line.split() for line in ran.err.splitlines()]
    at = next(index for index, words in enumerate(lines) if words[:2] == ["task", "lane"])
    assert lines[at][2] == "runs"
    assert lines[at][-2:] == ["skipped", "failed"]
    assert (lines[at + 1][2], lines[at + 1][-2]) == ("2", "0")


def test_areas_without_names_are_areas(folder: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--frames", 1)
    assert ran.out == "frame 0 at 0.00 s: heat: 1 mask\n"
    (line,) = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--frames", 1, "--json").lines
    (mask,) = line["results"]["heat"]
    assert "label" not in mask
    assert mask["class_id"] == 1


def test_an_error_says_its_task_once(folder: Path) -> None:
    (folder / "wrong.toml").write_text(TASK.replace("[32, 32]", "[16, 32]"))
    error = mnnlite("run", folder / "wrong.toml", folder / "v.mp4").error()
    assert error.count("task 'heat'") == 1
    (folder / "names.toml").write_text(TASK.replace('["heat"] }', '["heat"], classes = ["a", "b", "c"] }'))
    error = mnnlite("run", folder / "names.toml", folder / "v.mp4").error()
    assert error.count("task 'heat'") == 1
    assert "has 2 classes, but 3 names" in error


def test_the_profile_of_a_pipeline_begins_with_a_line_a_task(folder: Path) -> None:
    (folder / "two.toml").write_text(TASK + TASK.replace('"heat"\nmodel', '"again"\nmodel'))
    lines = mnnlite("profile", folder / "two.toml", folder / "v.mp4", "--runs", 5).out.splitlines()
    assert lines[0].startswith("2 tasks, ")
    assert lines[1].split()[:2] == ["task", "preprocess"]
    assert {lines[2].split()[0], lines[3].split()[0]} == {"heat", "again"}
    assert lines[4] == ""


def test_long_names_keep_their_end() -> None:
    name = "model/" + "block/" * 40 + "conv_17/BiasAdd"
    assert short("conv", 20) == "conv"
    assert len(short(name, 48)) == 48
    assert short(name, 48).startswith("model/")
    assert short(name, 48).endswith("conv_17/BiasAdd")
    assert max(map(len, columns([("name", "ms"), (short(name, 48), "1")]))) < 60


def test_cameras_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    import mnnlite as package

    for source in (97, "97"):
        with pytest.raises(package.SourceError, match=r"no camera 97 \(/dev/video97\)"):
            video.open_source(source)
    video.write_picture(tmp_path / "97.png", noisy_picture(8, 8))
    (tmp_path / "97.png").rename(tmp_path / "97")
    (frame,) = video.open_source("97")  # a file of that name
    np.testing.assert_array_equal(video.to_rgb(frame), noisy_picture(8, 8))
