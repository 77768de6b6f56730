"""`mnnlite demo`, and the demo of other packages' networks without its downloads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import onnx
import pytest
from onnx import helper

from helpers.child import LONGEST, run_python
from helpers.cli import mnnlite
from mnnlite import pipeline


def demo(checkout: Path, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, checkout / "examples" / "demo" / "demo.py", folder],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        env={**os.environ, "PIP_NO_INDEX": "1", **env},
    )


def test_a_failed_download_is_an_error_and_no_picture(checkout: Path, tmp_path: Path) -> None:
    done = demo(checkout, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("demo: error: cannot download mediapipe==")
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_another_file_of_the_same_name_is_not_taken(checkout: Path, tmp_path: Path) -> None:
    name = "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr(
            "mediapipe-0.10.14.dist-info/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.14\n"
        )
    done = demo(checkout, tmp_path / "out", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "cannot download mediapipe==0.10.14: THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_its_pipeline_is_one(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text((checkout / "examples" / "demo" / "demo.toml").read_text())
    for name in ("selfie_segmentation", "face_detection", "face_landmark", "text_detection", "text_recognition"):
        (tmp_path / f"{name}.mnn").touch()
    (tmp_path / "keys.txt").write_text("a\nb\n")
    assert list(pipeline.load(tmp_path / "demo.toml").tasks) == ["person", "face", "landmarks", "lines", "text"]


def test_texts_are_found_in_onnx_files(checkout: Path, tmp_path: Path) -> None:
    model = helper.make_model(helper.make_graph([], "character", [], []))
    helper.set_model_props(model, {"other": "x" * 300, "character": "\n".join("疗绚" * 200)})
    onnx.save(model, tmp_path / "m.onnx")
    code = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from fetch import onnx_metadata
        print(ascii(onnx_metadata(Path(sys.argv[2]), "character")))
    """
    said = run_python(code, str(checkout / "examples" / "demo"), str(tmp_path / "m.onnx")).stdout
    assert said.strip() == ascii("\n".join("疗绚" * 200))


# ---- mnnlite demo


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """A short drive in JSON, and the folder it was saved in."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = mnnlite("demo", "--frames", "20", "--all-frames", "--json", "--save", folder)
    assert done.code == 0, done.err
    return done.lines, folder


@pytest.mark.slow  # a drive
def test_demo__says_what_it_found_in_pixels_and_metres(ran: tuple[list[dict[str, Any]], Path]) -> None:
    *frames, last = ran[0]
    assert [frame["frame"] for frame in frames] == sorted({frame["frame"] for frame in frames})
    elements = [element for frame in frames for element in frame["elements"]]
    assert {"lane", "area", "vehicle"} <= {element["element"] for element in elements}
    for element in elements:
        assert 0 < element["confidence"] <= 1
        assert len(element["box"]) == 4
        if element["element"] == "lane":
            assert len(element["polyline"]) == len(element["metres"]) >= 2
    summary = last["summary"]
    assert summary["frames"] == len(frames)
    assert (summary["frames"], summary["dropped"]) == (20, 0)
    assert 0 < summary["frame_ms"]["p50"] <= summary["frame_ms"]["p99"]
    assert summary["task_ms"].keys() >= {"objects", "scene"}


@pytest.mark.slow  # a drive
@pytest.mark.not_emulated("under qemu all memory is the emulator's")
def test_demo__needs_little_memory(ran: tuple[list[dict[str, Any]], Path]) -> None:
    summary = ran[0][-1]["summary"]
    assert summary["networks_together_mib"] < summary["networks_apart_mib"]
    assert summary["peak_rss_mib"] < 80


@pytest.mark.slow  # a drive
def test_demo__writes_pictures_and_observations(ran: tuple[list[dict[str, Any]], Path]) -> None:
    (*frames, last), folder = ran
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *(f"{frame['frame']:06}.png" for frame in frames),
        "drive.mp4",
        "demo.png",
        "observations.jsonl",
    }
    for name in ("demo.png", f"{frames[0]['frame']:06}.png"):
        assert cv2.imread(str(folder / name)) is not None
    features = [json.loads(line) for line in (folder / "observations.jsonl").read_text().splitlines()]
    assert len(features) == last["summary"]["observations"]
    assert {"Point", "LineString"} <= {feature["geometry"]["type"] for feature in features}


@pytest.mark.slow
def test_demo__prints_the_summary_first() -> None:
    """A reader has the figures at the top, and no frame's elements unless he asks for them."""
    lines = mnnlite("demo", "--frames", "10", "--all-frames").out.splitlines()
    assert lines[0].startswith("10 frames at ")
    assert not any(line.startswith("frame 0 at ") for line in lines)
    assert any(line.startswith("of ") and "standing objects" in line for line in lines)
    assert len(lines) < 80


def test_demo__without_the_pack_is_one_line(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from mnnlite.cli import main
        from mnnlite.demo import pack
        pack.FOLDER = Path(sys.argv[1])
        sys.exit(main(["demo"]))
    """
    done = run_python(code, str(tmp_path), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("mnnlite: error: the road pack is not in this installation")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"), [(["--frames", "3"], "is not in 10 to 2000"), (["--seed=-1"], "is not in 0 to")]
)
def test_demo__refuses_in_one_line(words: list[str], said: str) -> None:
    assert said in mnnlite("demo", *words).error()


def test_demo__plot_without_matplotlib_says_what_to_install(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["matplotlib"] = None
        from mnnlite.cli import main
        sys.exit(main(["demo", "--plot", "--save", sys.argv[1]]))
    """
    done = run_python(code, str(tmp_path / "out"), check=False)
    assert done.returncode == 2
    assert "mnnlite[plot]" in done.stderr
    assert not (tmp_path / "out").exists()
