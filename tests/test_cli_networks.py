"""Networks as arguments of commands: run, new and inspect of what says how it is used, and of what cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

import mnnlite as package
from helpers import networks
from helpers.cli import mnnlite
from helpers.graphs import network
from helpers.videos import make_video
from mnnlite import pipeline
from mnnlite.descriptions import mnnfile

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"0": "car", "1": "bus", "2": "sign"}
YOLO = {"task": "detect", "stride": 32, "imgsz": [64, 96], "names": NAMES, "batch": 1, "channels": 3, "end2end": False}
CELLS = 8 * 12 + 4 * 6 + 2 * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")

    def make(name: str, outputs: dict, said: dict | None, size: tuple[int, ...] = (1, 3, 64, 96)) -> None:
        path = networks.convert(networks.outputs(folder / f"{name}.onnx", size, outputs))
        if said is not None:
            mnnfile.write(path, said)

    make("yolo", {"output0": (1, 7, CELLS)}, YOLO)
    make("open", {"output0": (1, 7, CELLS)}, None, (1, 3, -1, -1))
    make("silent", {"out": (1, 7, 5)}, None)
    make("several", {"out": (1, 12, CELLS)}, None)
    make("wrong", {"output0": (1, 9, CELLS)}, YOLO)
    names = {str(index): f"thing {index}" for index in range(50)}
    make("many", {"output0": (1, 54, CELLS)}, {**YOLO, "names": names})
    make_video(folder / "v.mp4", 4)
    return folder


def test_run__a_network_by_its_path(folder: Path) -> None:
    ran = mnnlite("run", folder / "yolo.mnn", folder / "v.mp4", "--frames", 2, "--json")
    assert ran.code == 0, ran.err
    assert [list(line["results"]) for line in ran.lines] == [["yolo"], ["yolo"]]
    assert "yolo.mnn: Yolo() (the exporter's description: task 'detect')" in ran.err


def test_new__a_commented_pipeline_that_runs(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "drive.toml"
    ran = mnnlite("new", folder / "yolo.mnn", folder / "many.mnn", folder / "yolo.mnn", "-o", target)
    assert ran.code == 0, ran.err
    assert "wrote" in ran.out
    text = target.read_text()
    assert "# image.size: the exporter's description: imgsz" in text
    assert (
        "# image.color, image.std, image.fit, decoder.score, decoder.iou, decoder.top_k: the exporter's own predict()"
        in text
    )
    loaded = pipeline.load(target)
    assert list(loaded.tasks) == ["yolo", "many", "yolo_2"]
    assert loaded.tasks["yolo"].decoder == package.describe(folder / "yolo.mnn").one().decoder
    assert loaded.tasks["many"].decoder.names == tuple(f"thing {index}" for index in range(50))
    assert (tmp_path / "drive.many.classes.txt").read_text().startswith("thing 0\nthing 1\n")
    with loaded.open() as runtime:
        found = runtime.process(package.Frame(np.zeros((64, 96, 3), np.uint8), "BGR"))
        assert found["yolo"].names == ("car", "bus", "sign")
    assert "is there already; --force replaces it" in mnnlite("new", folder / "yolo.mnn", "-o", target).error()
    assert mnnlite("new", folder / "yolo.mnn", "-o", target, "--force").code == 0
    assert list(pipeline.load(target).tasks) == ["yolo"]


def test_new__what_is_left_to_say_is_marked_and_a_finding(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "some.toml"
    paths = [folder / f"{name}.mnn" for name in ("several", "silent", "open", "wrong", "yolo")]
    ran = mnnlite("new", *paths, "-o", target)
    assert ran.code == 1, ran.err
    assert "5 tasks; 4 of them with something left to say" in ran.out
    text = target.read_text()
    assert text.count("# TODO") == 4
    assert "# or: out 1x12x126: 12 numbers for each cell, 4 + 7 classes + an angle" in text
    assert "# TODO: the exporter's description says 4 numbers of a box, 3 names, so 7 numbers" in text
    assert list(pipeline.load(target).tasks) == [
        "several",
        "silent",
        "open",
        "wrong",
        "yolo",
    ]  # it is TOML all the same
    shown = mnnlite("new", folder / "open.mnn", "--shape", "input=1x3x64x96")
    assert "7 numbers for each cell" in shown.out


@pytest.mark.slow
def test_inspect__says_which_decoders_fit(folder: Path) -> None:
    text = mnnlite("inspect", folder / "yolo.mnn").out
    assert "used as\n  Yolo()  the exporter's description: task 'detect'" in text
    text = mnnlite("inspect", folder / "several.mnn").out
    assert "decoders that fit\n  Yolo() " in text
    assert "  Yolo(nms='fast', rotated=True, overlap='gaussian')  out 1x12x126" in text
    (facts,) = mnnlite("inspect", folder / "silent.mnn", "--json").lines
    assert facts["use"]["fit"] == []
    assert "out 1x7x5" in facts["use"]["question"]
    assert (
        "contradicts" in mnnlite("inspect", folder / "wrong.mnn").out
        or "3 names" in mnnlite("inspect", folder / "wrong.mnn").out
    )


def test_inspect__options_of_one_decoder(folder: Path) -> None:
    text = mnnlite("inspect", "--decoders", "Ssd").out
    assert text.startswith("ssd: SSD: scores (N, A, C)")
    assert "centerface" not in text
    assert "0.25 number 0 to 1 " in text
    assert "300 whole 1 to 1048576 " in text
    assert "no family is called 'sdd'; did you mean 'ssd'?" in mnnlite("inspect", "--decoders", "sdd").error()


def test_bad_input__one_line_that_names_the_file_and_the_flag(folder: Path, tmp_path: Path) -> None:
    video = folder / "v.mp4"
    (tmp_path / "p.toml").write_text(f"[[task]]\nname = 'a'\nmodel = '{folder}/yolo.mnn'\nimage = {{}}\n")
    (tmp_path / "batch.toml").write_text(
        f"[[task]]\nname = 'a'\nmodel = '{folder}/yolo.mnn'\nimage = {{}}\nbatch = 2\ndecoder = 'yolo'\n"
    )
    for args, words in {
        ("run", "http://example.org/yolo.mnn", video): ("http://example.org/yolo.mnn", "download it first"),
        ("run", folder / "silent.mnn", video): ("silent.mnn", "mnnlite new"),
        ("run", folder / "open.mnn", video): ("open.mnn", "--shape input="),
        ("run", folder / "wrong.mnn", video): ("wrong.mnn", "3 names"),
        ("run", tmp_path / "p.toml", video, "--shape", "input=1x3x8x8"): ("p.toml", "--shape"),
        ("run", tmp_path / "batch.toml", video): ("yolo.mnn", "batch is 2", "fixed to 1"),
        ("memory", "https://example.org/n.mnn"): ("https://example.org/n.mnn is an address", "download"),
        ("convert", "https://example.org/n.onnx"): ("https://example.org/n.onnx is an address", "download"),
        ("inspect", tmp_path / "p.toml"): ("p.toml", "is a pipeline"),
        ("inspect", folder / "open.mnn"): ("open.mnn", "--shape input="),
        ("new", tmp_path / "p.toml"): ("p.toml", "is a pipeline"),
        ("memory", folder / "yolo.onnx"): ("yolo.onnx", "mnnlite convert"),
    }.items():
        error = mnnlite(*args).error()
        for word in words:
            assert word in error, (args, error)


def test_bad_input__a_batch_that_the_engine_cannot_reshape(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Reshape", ["c", "s"], ["y"])]
    constants = {"w": np.ones((4, 3, 1, 1), np.float32), "s": np.int64([1, 4, 64])}
    model = network(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 4, 64)}, constants)
    onnx.save(model, tmp_path / "n.onnx")
    spec = package.TaskSpec(networks.convert(tmp_path / "n.onnx"), package.ImageSpec(size=(8, 8)), "raw", batch=3)
    with pytest.raises(package.UnsupportedModelError, match=r"n\.mnn: .*; batch is 3, .*leave batch away"):
        package.Task(spec)
    with pytest.raises(package.ModelNotFoundError, match=r"https://example\.org/n\.mnn is an address"):
        package.Task("https://example.org/n.mnn")
    error = mnnlite("inspect", tmp_path / "n.mnn", "--shape", "x=1x3x9x8").error()
    assert "n.mnn: " in error
    assert "it was asked to take x=1x3x9x8 (shapes=, --shape)" in error


def test_memory__does_not_stop_at_the_first_bad_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mnn").write_text("no model\n" * 9)
    ran = mnnlite("memory", tmp_path / "bad.mnn", folder / "yolo.mnn", "--json")
    assert ran.code == 2
    assert ran.err.splitlines()[0].startswith("mnnlite: error: ")
    assert "bad.mnn" in ran.err
    (found,) = ran.lines
    assert [one["model"] for one in found["models"]] == [str(folder / "yolo.mnn")]
    assert [one["model"] for one in found["errors"]] == [str(tmp_path / "bad.mnn")]


def test_task__takes_arrays_with_their_format(folder: Path) -> None:
    bgr = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    with package.Task(folder / "yolo.mnn") as task:
        wanted = task(package.Frame(bgr, "BGR"))
        assert np.array_equal(task(bgr, "BGR").rows, wanted.rows)
        assert np.array_equal(task([bgr], "BGR").rows, wanted.rows)
        with pytest.raises(package.ArgumentError, match=r"task\(array, 'BGR'\)"):
            task(bgr)
        with pytest.raises(package.ArgumentError, match="a Frame says itself"):
            task(package.Frame(bgr, "BGR"), "BGR")


def test_runtime__takes_a_path(folder: Path) -> None:
    with package.Runtime() as runtime:
        runtime.add("cars", folder / "yolo.mnn")
        assert runtime.process(package.Frame(np.zeros((64, 96, 3), np.uint8), "BGR"))["cars"].names == (
            "car",
            "bus",
            "sign",
        )
        with pytest.raises(package.ArgumentError, match=r"silent\.mnn: it does not say"):
            runtime.add("others", folder / "silent.mnn")


@pytest.mark.slow  # converts in child processes
def test_other_formats_are_called_as_their_user_calls_them(folder: Path, tmp_path: Path) -> None:
    import re

    import onnx

    source = tmp_path / "cars.onnx"
    model = onnx.load(folder / "yolo.onnx")
    for key, value in YOLO.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, source)
    env = {"MNNLITE_CACHE": str(tmp_path / "cache")}
    said = [mnnlite("new", source, env=env), mnnlite("inspect", source, env=env)]
    said += [mnnlite("run", source, folder / "v.mp4", env=env), mnnlite("new", folder / "silent.onnx", env=env)]
    assert [ran.code for ran in said] == [0, 0, 0, 1]
    for ran in said:
        assert not re.search("[0-9a-f]{32}", ran.out + ran.err)
    for ran in said[:3]:
        assert "what cars.onnx says of itself" in ran.out + ran.err
