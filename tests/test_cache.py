"""What is kept between runs: its place, its limit, and that nothing of it is believed or needed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mnnlite
from helpers import networks
from helpers.cli import mnnlite as command
from mnnlite import cache, cost, memory_probe

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    cost.forget()


def test_the_place_is_that_of_the_xdg_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNNLITE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for xdg, wanted in (
        (None, ".cache/mnnlite"),
        ("", ".cache/mnnlite"),
        ("relative", ".cache/mnnlite"),
        ("x", "x/mnnlite"),
    ):
        if xdg is None:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / xdg) if xdg == "x" else xdg)
        assert cache.folder() == tmp_path / wanted
    monkeypatch.setenv("MNNLITE_CACHE", "")
    assert cache.folder() is None
    assert cache.store("a", "key", 1) is False
    assert cache.load("a", "key") is None
    assert cache.entries() == []


def test_a_key_that_is_a_plain_word_names_its_file(place: Path) -> None:
    """Who only reads needs no hash, whose library takes memory."""
    for key, plain in (("3.6.1-aarch64-dash", True), ("a/b", False), ("..", False), ("x" * 100, False), ("a\n", False)):
        assert cache.store("times", key, key)
        assert cache.load("times", key) == key
        assert (place / "times" / f"{key}.json").is_file() == plain
    assert len(cache.entries()) == 5


def test_what_is_stored_is_given_back(place: Path) -> None:
    assert cache.load("a", "key") is None
    assert cache.store("a", "key", {"x": [1, 2.5, "ä"]})
    assert cache.load("a", "key") == {"x": [1, 2.5, "ä"]}
    assert cache.load("b", "key") is None
    assert [(entry.kind, entry.path.parent) for entry in cache.entries()] == [("a", place / "a")]
    assert (place / "a").stat().st_mode & 0o77 == 0
    assert cache.clear() == 1
    assert cache.load("a", "key") is None


def test_what_was_not_used_for_longest_goes_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNNLITE_CACHE_MIB", "1")
    text = "x" * 300_000
    for index in range(3):
        cache.store("a", str(index), text)
        (fresh,) = [entry.path for entry in cache.entries() if entry.used > 1e9]
        os.utime(fresh, (index + 1, index + 1))
    assert cache.load("a", "0") == text  # used now
    cache.store("a", "3", text)
    assert [cache.load("a", str(index)) is not None for index in range(4)] == [True, False, True, True]
    assert sum(entry.size for entry in cache.entries()) <= cache.limit()
    assert cache.store("a", "4", "x" * 2_000_000) is False
    monkeypatch.setenv("MNNLITE_CACHE_MIB", "much")
    with pytest.raises(mnnlite.ArgumentError, match="MNNLITE_CACHE_MIB is 'much'"):
        cache.limit()


def test_damaged_and_foreign_files_are_nothing(place: Path) -> None:
    cache.store("a", "key", 1)
    path = cache.entries()[0].path
    for content in (b"", b"{", b"[]", b'{"key": "other", "value": 2}', b"\xff\xfe"):
        path.write_bytes(content)
        assert cache.load("a", "key") is None
    (place / "b").write_text("a file where a folder should be")
    assert cache.store("b", "key", 1) is False


def test_a_place_that_cannot_be_written_to_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNNLITE_CACHE", "/proc/self/cache")  # where not even root may write
    assert cache.store("a", "key", 1) is False


def test_costs_are_found_once(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = networks.convert(networks.two_branches(tmp_path))
    cost.forget()
    first = cost.of(path)
    assert [entry.kind for entry in cache.entries()] == ["cost"]
    cost.forget()
    with monkeypatch.context() as patched:
        patched.setattr(memory_probe, "measure", lambda *_, **__: pytest.fail("measured again"))
        assert cost.of(path) == first
    # What somebody else wrote there is measured again.
    (entry,) = cache.entries()
    kept = json.loads(entry.path.read_text())
    for wrong in ({}, {**asdict(first), "static": "1"}, {**asdict(first), "more": 1}, [1]):
        entry.path.write_text(json.dumps({**kept, "value": wrong}))
        cost.forget()
        assert cost.of(path).static == first.static


def test_the_command_shows_and_clears(place: Path) -> None:
    cache.store("cost", "key", "x" * 100_000)
    cache.store("cost", "other", 1)
    shown = command("cache")
    assert shown.code == 0
    assert shown.out.splitlines()[0] == f"{place}: 0.1 of 64 MiB"
    (facts,) = command("cache", "--json").lines
    assert (facts["folder"], facts["kinds"]["cost"]["count"]) == (str(place), 2)
    (facts,) = command("cache", "clear", "--json").lines
    assert (facts["removed"], facts["bytes"]) == (2, 0)
    assert "nothing is kept" in command("cache", env={"MNNLITE_CACHE": ""}).out
