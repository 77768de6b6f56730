"""Files that appear whole or not at all, and what is never replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnnlite.cli.output import JsonLines
from mnnlite.errors import OutputError
from mnnlite.files import atomic_write, check_folder, check_targets


@pytest.mark.parametrize("name", ["null", "full"])
def test_atomic_write__a_device_is_written_to_and_stays(name: str, tmp_path: Path) -> None:
    link = tmp_path / "out.json"
    link.symlink_to(f"/dev/{name}")
    check_folder(link)
    if name == "null":
        with atomic_write(link) as made:
            made.write_text("[]")
    else:
        with pytest.raises(OutputError, match="No space left"), atomic_write(link) as made:
            made.write_text("[]")
    assert link.is_symlink()
    assert Path(f"/dev/{name}").is_char_device()
    assert os.listdir(tmp_path) == ["out.json"]


def test_check_targets__another_name_of_what_is_read_is_refused(tmp_path: Path) -> None:
    read = tmp_path / "read.json"
    read.write_text("{}")
    link = tmp_path / "link.json"
    link.symlink_to(read)
    with pytest.raises(OutputError, match=r"link.json: it is what is read; name another file"):
        check_targets([link], [None, read])
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="two results would be written to it"):
        check_targets([tmp_path / "a", None, f"{tmp_path}/b/../a"])
    check_targets([tmp_path / "a", tmp_path / "c", "/dev/null", "/dev/null"], [read, "/dev/null"])


def test_json_lines__a_new_file_without_a_line_is_not_left_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for _ in range(2):
        JsonLines(path).close()
        assert not path.exists()
    lines = JsonLines(path)
    lines.write({"a": 1})
    lines.close()
    for how in ({"append": True}, {"overwrite": True}):
        JsonLines(path, **how).close()
        assert path.exists()
    with pytest.raises(OutputError, match="it exists; --append goes on at its end"):
        JsonLines(path)
    with pytest.raises(OutputError, match="it exists; name another file"):
        JsonLines(path, instead="name another file")
