"""The road pack as it ships: its files are the recorded ones, and they do on fresh scenes what is said of them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

import mnnlite
from mnnlite import demo, pipeline
from mnnlite.demo import metrics, pack, scenes

NETWORKS = ("road_objects", "road_scene", "sign_class", "sign_text")


def test_pack__files_are_the_recorded_ones() -> None:
    facts = pack.facts()
    assert facts["scenes"]["version"] == scenes.VERSION
    assert set(facts["files"]) == {f"{name}.mnn" for name in NETWORKS}
    for name, file in facts["files"].items():
        content = (pack.FOLDER / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == file["bytes"]
        card = (pack.FOLDER / name).with_suffix(".md").read_text(encoding="utf-8")
        assert file["sha256"] in card
        assert file["minutes"] < 30


def test_pack__is_small() -> None:
    assert sum(path.stat().st_size for path in pack.FOLDER.iterdir()) < 1_500_000


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("objects.txt", demo.OBJECTS),
        ("lanes.txt", demo.LANES),
        ("surfaces.txt", demo.SURFACES),
        ("signs.txt", demo.SIGNS),
        ("symbols.txt", tuple(demo.SYMBOLS)),
    ],
)
def test_pack__lists_of_classes_are_those_of_the_scenes(file: str, names: tuple[str, ...]) -> None:
    assert tuple((pack.FOLDER / file).read_text(encoding="utf-8").splitlines()) == names


def test_pack__recorded_figures_are_the_same_in_each_form() -> None:
    """Converting costs nothing, and storing weights in 8 bits less than a point; looking at pictures is worth a lot."""
    rows = pack.facts()["scores"]
    for name in metrics.BARS:
        assert abs(rows[name]["shipped"] - rows[name]["pytorch"]) <= 0.01
        assert abs(rows[name]["mnn"] - rows[name]["pytorch"]) <= 0.001
        assert rows[name]["shipped"] > rows[name]["baseline"] + 0.4
        assert rows[name]["shipped"] >= metrics.BARS[name]


@pytest.fixture(scope="module")
def scores() -> dict[str, metrics.Score]:
    """24 scenes, in which scarce classes come once or twice: the floors leave room for so few."""
    tasks = {name: mnnlite.Task(spec) for name, spec in metrics.specs_of(pack.pipeline_file()).items()}
    prior = [truth for _, truth in metrics.fresh_scenes(8, metrics.PRIOR_SEED)]
    try:
        return metrics.measure(tasks, metrics.fresh_scenes(24), {"signs": 0.1, "texts": 0.04}, prior)
    finally:
        for task in tasks.values():
            task.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [("objects mAP50", 0.75), ("lane pixel F1", 0.85), ("sign accuracy", 0.97), ("text exact match", 0.75)],
)
def test_metrics__shipped_files_on_fresh_scenes(scores: dict[str, metrics.Score], name: str, least: float) -> None:
    assert scores[name].of >= 8
    assert scores[name].value >= least
    assert scores[name].value > scores[name].baseline + 0.2


def test_pipeline__finds_names_and_reads_in_a_clip() -> None:
    """All four networks in one runtime: the cascade's rows say which box they come from."""
    signs, texts, lanes = set(), set(), 0
    with pipeline.load(pack.pipeline_file()).open() as runtime:
        for image, _ in demo.clip(7, 6, fps=3):
            result = runtime.process(mnnlite.Frame(image, "RGB"))
            assert not result.errors
            objects = result["objects"]
            signs |= set(result["signs"].labels)
            texts |= set(result["texts"].text)
            lanes += len(result["scene"]["lanes"])
            assert result["scene"]["surface"].labels[0] in demo.SURFACES
            assert all(objects.labels[item] == "sign" for item in result["signs"].items)
            assert all(objects.labels[item] in ("sign", "board") for item in result["texts"].items)
    assert signs - {"other"}
    assert any(texts)
    assert lanes >= 6


def test_scene_network__one_branch_alone_gives_the_same() -> None:
    image = np.ascontiguousarray(np.linspace(0, 1, 3 * 176 * 512, dtype=np.float32).reshape(1, 3, 176, 512))
    file = pack.FOLDER / "road_scene.mnn"
    with mnnlite.Model(file) as whole, mnnlite.Model(file, outputs=["surface"]) as branch:
        both = whole.run({"image": image})
        assert set(both) == {"drivable", "lanes", "surface"}
        one = branch.run({"image": image})
        assert set(one) == {"surface"}
        assert np.array_equal(one["surface"], both["surface"])
        chosen = whole.run({"image": image}, outputs=["drivable", "lanes"])
        assert np.array_equal(chosen["lanes"], both["lanes"])


def test_metrics__command_prints_the_table(capsys: Any) -> None:
    assert metrics.main(["--scenes", "2"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("objects mAP50") for line in lines)
