"""Every code block of the documentation runs, or says why it does not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mnnlite
from helpers import pages, shared, snippets
from mnnlite import pipeline, video

CHECKOUT = Path(os.environ.get("MNNLITE_CHECKOUT", "/nonexistent"))
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))] if CHECKOUT.is_dir() else []


SLOW = {
    "README.md",
    "docs/demo.md",
    "docs/how-to/convert.md",
    "docs/how-to/map-a-drive.md",
    "docs/observe.md",
    "docs/tutorial.md",
}


def cases() -> Iterator[Any]:
    for page in PAGES:
        name = str(page.relative_to(CHECKOUT))
        yield pytest.param(page, id=name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("page", list(cases()))
def test_docs__blocks_run(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in snippets.files(text):
        pages.make(name, tmp_path)
    run = snippets.Page(str(page), tmp_path)
    for block in snippets.blocks(text):
        if not block.reason:
            run.run(block)


def test_docs__are_there(checkout: Path) -> None:
    assert {"index.md", "tutorial.md", "command-line.md"} <= {page.name for page in (checkout / "docs").glob("*.md")}


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("a 1\n", "a 1\n", True),
        ("a ...\n", "a 1.5 ms\n", True),
        ("a\n...\nb\n", "a\nx\ny\nb\n", True),
        ("a\n...\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a 1\n", "a 2\n", False),
        ("", "a\n", False),
    ],
)
def test_snippets__compare_what_is_shown(shown: str, said: str, same: bool) -> None:
    assert snippets.matches(shown, said) is same


def test_snippets__refuse_what_nothing_runs(tmp_path: Path) -> None:
    (block,) = snippets.blocks("text\n```rust\nfn main() {}\n```\n")
    with pytest.raises(AssertionError, match="page:3: nothing runs a block of 'rust'"):
        snippets.Page("page", tmp_path).run(block)


def test_snippets__know_why_a_block_is_not_run(tmp_path: Path) -> None:
    one, two = snippets.blocks("<!-- not run: no board here -->\n```console\n$ x\n```\n\ntext\n```python\ny\n```\n")
    assert (one.kind, one.reason, two.reason) == ("console", "no board here", "")
    with pytest.raises(NameError):
        snippets.Page("page", tmp_path).run(two)


def test_snippets__fail_with_a_command(tmp_path: Path) -> None:
    (block,) = snippets.blocks("```console\n$ mnnlite inspect nothing.mnn\n```\n")
    with pytest.raises(AssertionError, match=r"there is no file|No such file|nothing\.mnn"):
        snippets.Page("page", tmp_path).run(block)


def test_docs_list_the_exit_codes(checkout: Path) -> None:
    from mnnlite.cli.exit_codes import MEANINGS

    text = (checkout / "docs" / "command-line.md").read_text()
    assert "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items()) in text


def test_the_pipeline_with_signs_runs_on_the_real_networks(checkout: Path, tmp_path: Path) -> None:
    """The second example of docs/command-line.md, as it stands there, and what its sign network says of photographed signs."""
    models = shared.models(checkout)
    text = (checkout / "docs" / "command-line.md").read_text()
    (block,) = [each for each in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "gtsrb.mnn" in each]
    (tmp_path / "road.toml").write_text(block)
    for name, source in {
        "fastestdet.mnn": "fastestdet/fastestdet.mnn",
        "coco.names": "fastestdet/coco.names",
        "gtsrb.mnn": "gtsrb_cnn/gtsrb_cnn.mnn",
        "labels.txt": "gtsrb_cnn/labels.txt",
    }.items():
        (tmp_path / name).symlink_to(models / source)
    images = models.parent / "images"
    result = None
    with pipeline.load(tmp_path / "road.toml").open() as runtime:
        for name in ("jetson_peds_0.jpg", "jetson_peds_2.jpg"):
            for result in runtime.stream(video.open_source(images / name)):
                assert not result.errors
                assert set(result) == {"objects", "signs"}
                assert len(result["objects"]) > 0
    signs = pipeline.load(tmp_path / "road.toml").tasks["signs"]
    tiles = sorted((images / "gtsrb").glob("*_class[0-9]*.png"))
    assert len(tiles) > 20
    with mnnlite.Task(signs) as task:
        for tile in tiles:
            (frame,) = video.open_source(tile)
            (found,) = task(frame)
            assert found.class_id == int(re.search(r"_class(\d+)", tile.name)[1])
            assert found.score <= 1
