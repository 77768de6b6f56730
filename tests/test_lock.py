"""``mnnlite lock``: hashes into a pipeline file, nothing else changed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

import mnnlite
from helpers.cli import mnnlite as run
from mnnlite import _toml, pipeline
from mnnlite.cli.lock import locked

TEXT = """# a camera's networks
[runtime]
lanes = 1  # one is enough

  [[task]]   # the first
  name = "a"
  model = "tiny.mnn"    # exchanged in June
  every = 2

[[task]]
name = "b"
sha256 = "{old}"
model = 'branches.mnn'
threads = 1 # its own
"""


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    for name in ("tiny.mnn", "branches.mnn"):
        shutil.copy(models / name, tmp_path)
    (tmp_path / "p.toml").write_text(TEXT.format(old="0" * 64))
    return tmp_path


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_lock__writes_hashes_and_keeps_the_rest(folder: Path) -> None:
    done = run("lock", folder / "p.toml")
    assert done.code == 0, done.err
    text = (folder / "p.toml").read_text()
    found = _toml.loads(text)[0]
    assert [task["sha256"] for task in found["task"]] == [
        hash_of(folder / "tiny.mnn"),
        hash_of(folder / "branches.mnn"),
    ]
    kept = [line for line in text.splitlines() if "sha256" not in line]
    assert kept == [line for line in TEXT.splitlines() if "sha256" not in line]
    assert f'  sha256 = "{hash_of(folder / "tiny.mnn")}"' in text.splitlines()  # below the model, indented alike
    assert pipeline.load(folder / "p.toml").tasks["a"].sha256 == hash_of(folder / "tiny.mnn")
    once = text
    assert run("lock", folder / "p.toml").code == 0
    assert (folder / "p.toml").read_text() == once


def test_lock__check__says_what_differs_and_writes_nothing(folder: Path) -> None:
    before = (folder / "p.toml").read_text()
    done = run("lock", folder / "p.toml", "--check", "--json")
    assert done.code == 1
    assert {name: task["sha256"]["was"] for name, task in done.lines[0]["tasks"].items()} == {
        "a": "new",
        "b": "changed",
    }
    assert (folder / "p.toml").read_text() == before
    assert run("lock", folder / "p.toml").code == 0
    assert run("lock", folder / "p.toml", "--check").code == 0


def test_lock__an_exchanged_model__is_refused(folder: Path) -> None:
    assert run("lock", folder / "p.toml").code == 0
    shutil.copy(folder / "branches.mnn", folder / "tiny.mnn")
    with pytest.raises(mnnlite.ModelFormatError, match=r"task 'a'.*not the one that was written down"):
        pipeline.load(folder / "p.toml").open()


def test_lock__weights__are_locked_too(folder: Path) -> None:
    (folder / "tiny.mnn.weight").write_bytes(b"weights")
    assert run("lock", folder / "p.toml").code == 0
    found = _toml.loads((folder / "p.toml").read_text())[0]["task"]
    assert found[0]["weights_sha256"] == hash_of(folder / "tiny.mnn.weight")
    assert "weights_sha256" not in found[1]
    (folder / "tiny.mnn.weight").unlink()
    assert run("lock", folder / "p.toml").code == 0
    assert "weights_sha256" not in (folder / "p.toml").read_text()


def test_locked__windows_line_ends__stay() -> None:
    text = '[[task]]\r\nname = "a"\r\nmodel = "a.mnn"\r\n'
    made = locked(text, [{"sha256": "1" * 64}])
    assert made == text + f'sha256 = "{"1" * 64}"\r\n'


@pytest.mark.parametrize(
    "text", ['task = [{ name = "a", model = "a.mnn" }]', '[[task]]\nname = "a"\nmodel = """\\\n  a.mnn"""']
)
def test_locked__no_line_to_put_it_in__is_refused(text: str) -> None:
    with pytest.raises(mnnlite.PipelineError, match="one key a line"):
        locked(text, [{"sha256": "1" * 64}])


def test_pipeline__a_wrong_hash__is_refused_with_its_line(folder: Path) -> None:
    (folder / "p.toml").write_text(TEXT.format(old="12"))
    with pytest.raises(mnnlite.PipelineError, match=r"p\.toml:12.*64 hexadecimal digits"):
        pipeline.load(folder / "p.toml")


def test_locked__comments_behind_a_value_stay() -> None:
    text = '[[task]]\nmodel = "a.mnn"\nsha256 = "old" # of August\nname = "a"\n'
    made = locked(text, [{"sha256": "1" * 64}])
    assert made == text.replace('"old"', f'"{"1" * 64}"')


def test_locked__a_byte_order_mark_stays() -> None:
    text = '\ufeff[[task]]\nmodel = "a.mnn"\nname = "a"\n'
    assert locked(text, [{"sha256": "1" * 64}]) == text.replace("name", f'sha256 = "{"1" * 64}"\nname')
