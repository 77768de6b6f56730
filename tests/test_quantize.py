"""Networks in whole numbers: made by the engine's tools in child processes, judged by what they find on pictures held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

import mnnlite
from helpers import networks
from helpers.cli import mnnlite as cli
from mnnlite import pipeline, quantize, video

TOML = """[[task]]
name = "{name}"
model = "net.mnn"
image = {{ size = [32, 24], color = "RGB", std = [255, 255, 255] }}
decoder = {{ family = "classification" }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((16, 3, 3, 3)).astype(np.float32),
        "v": rng.standard_normal((5, 16, 1, 1)).astype(np.float32),
        "shape": np.int64([1, 5]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Conv", ["g", "v"], ["d"]),
        helper.make_node("Reshape", ["d", "shape"], ["y"]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    networks.convert(networks.save(tmp_path, "net", nodes, constants, {"x": [1, 3, 24, 32]}, {"y": [1, 5]}))
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 255, (24, 32, 3)) * rng.uniform(0.2, 1, 3)
        video.write_picture(tmp_path / "pictures" / f"{number}.png", pixels.astype(np.uint8))
    (tmp_path / "p.toml").write_text(TOML.format(name="what"))
    return tmp_path


@pytest.mark.slow  # child processes
def test_quantize__every_form_is_judged_and_the_chosen_one_written(folder: Path) -> None:
    ran = cli("quantize", "p.toml", "pictures", "-o", "made", "--choose", "weights8", "--loss", 1, "--json", cwd=folder)
    assert ran.code == 0, ran.err
    (said,) = ran.lines
    forms = {each["form"]: each for each in said["forms"]}
    assert tuple(forms) == quantize.CHOICES
    assert forms["float"]["agreement"] == 1
    assert [each["method"] in quantize.METHODS for each in forms.values()] == [False, True, False, False]
    assert all(each["pictures"] == 4 and each["ms"] > 0 and each["memory_bytes"] > 0 for each in forms.values())
    chosen = pipeline.load(folder / "made" / "p.toml").tasks["what"]
    assert Path(str(chosen.model)).name == "what.weights8.mnn"
    with mnnlite.Model(folder / "made" / "what.int8.mnn") as model:
        assert "Int8" in " ".join(kind for _, kind, _ in model.operators())
    assert not [path for path in (folder / "made").iterdir() if path.name.startswith(".")]


@pytest.mark.slow  # child processes
def test_quantize__what_loses_too_much_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = pipeline.load(folder / "p.toml")
    found = quantize._one(
        "what", tasks.tasks["what"], "weights4", str(folder / "pictures"), folder, -1.0, 8, "KL", 60.0
    )
    assert found.path is None
    assert found.refused.startswith("loses")
    assert quantize.choose(tasks, [found], "weights4").tasks == tasks.tasks
    assert not list(folder.glob("*.weights4.mnn"))


def test_quantize__the_best_of_the_methods_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"ADMM": 0.7, "EMA": 0.97, "KL": None}

    def judged(name, source, request, within, seconds):
        if made[request["method"]] is None:
            raise mnnlite.UnsupportedModelError("it wrote nothing")
        Path(request["made"]).write_text(request["method"])
        made_by = request["method"]
        return quantize.Quantised(name, "int8", Path(request["made"]), agreement=made[made_by], method=made_by)

    monkeypatch.setattr(quantize, "_judged", judged)
    spec = pipeline.load(folder / "p.toml").tasks["what"]

    def found(method, loss=0.05):
        return quantize._one("what", spec, "int8", "pictures", folder, loss, 8, method, 60.0)

    assert (found(None).method, found(None).refused) == ("EMA", "")
    assert (folder / "what.int8.mnn").read_text() == "EMA"
    assert found("ADMM").refused.startswith("loses 0.300")
    assert found("KL").refused == "it wrote nothing"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_quantize__what_was_asked_for_in_vain(folder: Path) -> None:
    tasks = pipeline.load(folder / "p.toml")
    for options, words in (({"loss": 2}, "loss is 2"), ({"method": "best"}, "method"), ({"most": 1}, "most is 1")):
        with pytest.raises(mnnlite.ArgumentError, match=words):
            quantize.quantize(tasks, folder / "pictures", folder / "made", **options)
    with pytest.raises(mnnlite.ArgumentError, match="form"):
        quantize.choose(tasks, [], "int4")
    with pytest.raises(mnnlite.ArgumentError, match="take pictures"):
        quantize.quantize({"raw": mnnlite.TaskSpec(str(folder / "net.mnn"))}, folder / "pictures", folder / "made")
