"""The command line in child processes: what it prints where, how it ends, and what stays when it cannot go on."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers import networks
from helpers.cli import Ran, command, mnnlite
from helpers.videos import make_video, noisy_picture
from mnnlite import cli, video
from mnnlite.cli.figures import Figures
from mnnlite.cli.output import columns
from mnnlite.cli.progress import plain_line
from mnnlite.frame import Frame
from mnnlite.runtime import FrameResult

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
[[task]]
name = "heat"
model = "net.mnn"
image = { size = [32, 32], std = [255, 255, 255] }
decoder = { family = "segmentation", threshold = 0.0, tensors = ["heat"], classes = ["", "hot"] }

[[task]]
name = "both"
model = "net.mnn"
image = { size = [32, 32], std = [255, 255, 255] }
decoder.heat = { family = "segmentation" }
decoder.points = { family = "segmentation", background = -1 }

[[task]]
name = "plain"
model = "net.mnn"
image = { size = [32, 32], std = [255, 255, 255] }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some network, a pipeline with it, a video, pictures."""
    folder = tmp_path_factory.mktemp("cli")
    networks.convert(networks.two_branches(folder)).rename(folder / "net.mnn")
    networks.convert(networks.two_branches(folder, dynamic=True)).rename(folder / "open.mnn")
    (folder / "p.toml").write_text(PIPELINE)
    make_video(folder / "v.mp4", 12)
    (folder / "pictures").mkdir()
    for name in ("a.png", "b.jpg"):
        video.write_picture(folder / "pictures" / name, noisy_picture(40, 30))
    return folder


def test_run_writes_one_json_object_a_frame(folder: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--json")
    assert ran.code == 0
    assert [(line["frame"], line["time_ms"]) for line in ran.lines] == [(i, 40.0 * i) for i in range(12)]
    first = ran.lines[0]
    assert list(first) == ["frame", "time_ms", "wall_time", "monotonic_ns", "results", "timing_ms"]
    assert list(first["results"]) == ["heat", "both", "plain"]
    (mask,) = first["results"]["heat"]
    assert mask["label"] == "hot"
    assert mask["box"] == [0.0, 0.0, 64.0, 48.0]
    assert set(first["results"]["both"]) == {"heat", "points"}
    assert isinstance(first["results"]["both"]["points"], list)
    heat, points = first["results"]["plain"]
    assert (heat["output"], heat["shape"], heat["dtype"]) == ("heat", [1, 1, 32, 32], "float32")
    assert heat["min"] <= heat["mean"] <= heat["max"]
    assert (points["output"], "values" in points) == ("points", False)
    assert list(first["timing_ms"]["heat"]) == ["preprocess", "infer", "decode"]
    assert all(spent >= 0 for stages in first["timing_ms"].values() for spent in stages.values())
    assert "12 frames in" in ran.err
    assert "p90 ms" in ran.err


def test_run_writes_the_same_lines_to_a_file(folder: Path, tmp_path: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--out", tmp_path / "r.jsonl", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "r.jsonl").read_text() == ran.out
    refused = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--out", tmp_path / "r.jsonl", "--quiet")
    assert "r.jsonl: it exists; --append goes on at its end, --overwrite begins it anew" in refused.error()
    assert (tmp_path / "r.jsonl").read_text() == ran.out
    alone = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--out", tmp_path / "r.jsonl", "--quiet", "--overwrite")
    assert (alone.code, alone.out, alone.err) == (0, "", "")
    again = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line["results"] for line in again] == [line["results"] for line in ran.lines]


def test_run_shows_a_line_a_frame_to_people(folder: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--frames", 2)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("frame 1 at 0.04 s: heat: 1 hot; both: heat 1 mask, points ")
    assert lines[1].endswith("plain: heat 1x1x32x32, points 1x6x16x16")


def test_run_takes_every_nth_frame_and_stops(folder: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--json", "--every", 4, "--frames", 2)
    assert [line["frame"] for line in ran.lines] == [0, 4]
    assert len(mnnlite("run", folder / "p.toml", folder / "v.mp4", "--json", "--every", 4).lines) == 3


def test_run_on_lanes_with_a_cascade_and_a_task_for_every_second_frame(folder: Path) -> None:
    (folder / "many.toml").write_text(
        "[runtime]\nlanes = 2\nforce = true\n\n"
        + PIPELINE.replace('name = "plain"', 'name = "plain"\nevery = 2')
        + """
[[task]]
name = "closer"
after = "heat"
only = ["hot"]
max_crops = 1
model = "net.mnn"
image = { size = [32, 32], std = [255, 255, 255] }
decoder = { family = "segmentation", threshold = 0.0, tensors = ["heat"], classes = ["", "hot"] }
"""
    )
    ran = mnnlite("run", folder / "many.toml", folder / "v.mp4", "--json", "--frames", 4)
    assert ran.code == 0, ran.err
    assert [line["frame"] for line in ran.lines] == [0, 1, 2, 3]
    assert [sorted(line["results"]) for line in ran.lines] == 2 * [
        ["both", "closer", "heat", "plain"],
        ["both", "closer", "heat"],
    ]
    assert [list(line.get("skipped", [])) for line in ran.lines] == [[], ["plain"], [], ["plain"]]
    assert ran.lines[0]["crops"] == {"closer": [1, 1]}
    assert ran.lines[0]["results"]["closer"][0]["box"] == [0.0, 0.0, 64.0, 48.0]
    alone = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--json", "--frames", 4)
    for together, apart in zip(ran.lines, alone.lines, strict=True):
        for name in ("heat", "both"):
            assert together["results"][name] == apart["results"][name]


def test_a_task_that_fails_costs_its_own_results_and_exit_code_1(folder: Path, tmp_path: Path) -> None:
    """Black pictures make infinite scores."""
    networks.convert(networks.inverse(tmp_path)).rename(tmp_path / "inverse.mnn")
    task = "[[task]]\nname = 'broken'\nmodel = 'inverse.mnn'\nimage = {}\ndecoder = 'classification'\n"
    (tmp_path / "p.toml").write_text(PIPELINE.replace("net.mnn", f"{folder}/net.mnn") + task)
    black = bytes(2 * 64 * 48 * 3)
    ran = mnnlite("run", tmp_path / "p.toml", "-", "--raw", "RGB:64x48", "--json", "--quiet", stdin=black)
    assert ran.code == 1
    assert len(ran.lines) == 2
    for line in ran.lines:
        assert list(line["errors"]) == ["broken"]
        assert sorted(line["results"]) == ["both", "heat", "plain"]
    assert ran.err.startswith("mnnlite: on 2 of 2 frames: task 'broken': ")
    assert ran.err.count("\n") == 1


def test_run_on_pictures_names_the_files(folder: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "pictures", "--json")
    assert [(line["frame"], line["time_ms"], line["file"]) for line in ran.lines] == [
        (0, None, "a.png"),
        (1, None, "b.jpg"),
    ]


def test_run_on_raw_frames_from_a_pipe(folder: Path) -> None:
    frames = bytes(range(256)) * (3 * 64 * 48 * 3 // 2 // 256)
    ran = mnnlite("run", folder / "p.toml", "-", "--raw", "NV12:64x48", "--json", stdin=frames)
    assert ran.code == 0
    assert [line["frame"] for line in ran.lines] == [0, 1, 2]
    assert ran.lines[0]["time_ms"] == 0.0
    assert all(line["timestamp_ns"] > 0 for line in ran.lines)


def test_run_saves_annotated_frames(folder: Path, tmp_path: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--save", tmp_path / "a" / "b", "--every", 5, "--quiet")
    assert (ran.code, ran.err) == (0, "")
    names = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert names == ["000000.jpg", "000005.jpg", "000010.jpg"]
    (saved,) = video.open_source(tmp_path / "a" / "b" / "000005.jpg")
    assert (saved.width, saved.height) == (64, 48)
    shown = video.to_rgb(saved).astype(int)
    assert np.ptp(shown, axis=2).max() > 50  # the video is grey; what is drawn is not


def test_a_run_goes_on_where_another_one_ended(folder: Path, tmp_path: Path) -> None:
    """As a service that is started again, also after its power failed within a line."""
    run = (
        "run",
        folder / "p.toml",
        folder / "v.mp4",
        "--frames",
        2,
        "--quiet",
        "--out",
        tmp_path / "r.jsonl",
        "--append",
    )
    for begun in range(3):
        ran = mnnlite(*run, "--save", tmp_path / "pictures")
        assert (ran.code, ran.err) == (0, "")
        *lines, rest = (tmp_path / "r.jsonl").read_bytes().split(b"\n")
        assert rest == b""
        whole = [json.loads(line)["frame"] for line in lines if line != b'{"frame": 7, "ti']
        assert whole == [0, 1] * (begun + 1)
        with (tmp_path / "r.jsonl").open("ab") as stream:
            stream.write(b'{"frame": 7, "ti')
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [f"{i:06}.jpg" for i in range(6)]
    assert "--append needs --out" in mnnlite(*run[:3], "--append").error()
    assert "not allowed with" in mnnlite(*run, "--overwrite").error()


def test_devices_and_pipes_are_written_to_as_they_are(folder: Path, tmp_path: Path) -> None:
    run = ("run", folder / "p.toml", folder / "v.mp4", "--frames", 2, "--quiet", "--out")
    assert mnnlite(*run, "/dev/null").code == 0
    assert [line["frame"] for line in mnnlite(*run, "-").lines] == [0, 1]
    assert [line["frame"] for line in mnnlite(*run, "/dev/stdout").lines] == [0, 1]
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(command(*run, tmp_path / "pipe")) as process:
        lines = (tmp_path / "pipe").read_text().splitlines()
    assert process.returncode == 0
    assert [json.loads(line)["frame"] for line in lines] == [0, 1]


def test_run_saves_a_video(folder: Path, tmp_path: Path) -> None:
    run = ("run", folder / "p.toml", folder / "v.mp4", "--every", 2, "--quiet", "--save", tmp_path / "out.mp4")
    assert mnnlite(*run).code == 0
    source = video.open_source(tmp_path / "out.mp4")
    frames = list(source)
    assert (source.rate, len(frames)) == (12.5, 6)
    assert [frame.meta["time_ms"] for frame in frames] == [80.0 * i for i in range(6)]
    assert (frames[0].width, frames[0].height) == (64, 48)
    assert np.ptp(video.to_rgb(frames[3]).astype(int), axis=2).max() > 50  # the video is grey; what is drawn is not
    assert "out.mp4: it exists; take another name, or --overwrite" in mnnlite(*run).error()
    assert mnnlite(*run, "--overwrite").code == 0
    assert len(list(video.open_source(tmp_path / "out.mp4"))) == 6


def test_info_and_inspect_in_json(folder: Path) -> None:
    (info,) = mnnlite("info", "--json").lines
    assert info["engine"]["string_abi"] in ("old", "new")
    assert info["instruction_sets"]["active"] in info["instruction_sets"]["available"]
    assert info["cpu"]["cores"] >= 1
    (facts,) = mnnlite("inspect", folder / "net.mnn", "--json").lines
    assert facts["inputs"] == [{"name": "image", "shape": [1, 3, 32, 32], "dtype": "float32", "layout": "NCHW"}]
    assert [output["name"] for output in facts["outputs"]] == ["heat", "points"]
    assert facts["operator_count"] == len(facts["operators"]) == sum(one["count"] for one in facts["operator_types"])
    assert facts["mflops"] > 0
    assert facts["file_bytes"] == (folder / "net.mnn").stat().st_size
    assert facts["memory"]["static"] > 0


def test_info_and_inspect_for_people(folder: Path) -> None:
    assert "instruction sets" in mnnlite("info").out
    text = mnnlite("inspect", folder / "net.mnn", "--operators").out
    assert "1x3x32x32" in text
    assert "Convolution" in text
    part = mnnlite("inspect", folder / "net.mnn", "--output", "heat", "--json").lines[0]
    assert [output["name"] for output in part["outputs"]] == ["heat"]


def test_inspect_lists_the_decoders() -> None:
    (families,) = mnnlite("inspect", "--decoders", "--json").lines
    assert {"raw", "classification", "fastestdet", "segmentation"} <= set(families)
    score = next(option for option in families["fastestdet"] if option["name"] == "score")
    assert (score["type"], score["default"], score["low"], score["high"]) == ("number", 0.5, 0, 1)
    text = mnnlite("inspect", "--decoders").out
    assert "fastestdet\n" in text
    assert "argmax, binary" in text
    assert "either a MODEL or --decoders" in mnnlite("inspect").error()


def test_inspect_of_open_shapes(folder: Path) -> None:
    assert "image" in mnnlite("inspect", folder / "open.mnn").error()
    (facts,) = mnnlite("inspect", folder / "open.mnn", "--shape", "image=1x3x16x24", "--json").lines
    assert facts["inputs"][0]["shape"] == [1, 3, 16, 24]
    assert "--shape" in mnnlite("inspect", folder / "open.mnn", "--shape", "image=big").error()


def inside(capfd: pytest.CaptureFixture[str], *args: object) -> Ran:
    """The same without a process of its own, for many small questions."""
    try:
        code = cli.main([*map(str, args)])
    except SystemExit as ending:
        code = ending.code
    captured = capfd.readouterr()
    return Ran(code, captured.out.encode(), captured.err.encode())


def test_a_source_that_ends_before_its_first_frame_is_an_error(folder: Path, tmp_path: Path) -> None:
    ran = mnnlite("run", folder / "p.toml", "-", "--raw", "NV12:8x8", "--json")
    assert ran.error() == "mnnlite: error: standard input ended before the first frame"
    assert ran.out == ""
    path = make_video(tmp_path / "v.avi", 5, noisy=True)
    path.write_bytes(path.read_bytes()[:6000])
    assert "cut off before its first frame" in mnnlite("run", folder / "p.toml", path, "--json").error()


def test_alone_it_is_its_help(capfd: pytest.CaptureFixture[str]) -> None:
    alone, asked = inside(capfd), inside(capfd, "--help")
    assert (alone.code, alone.out, alone.err) == (0, asked.out, "")
    assert "130 interrupted (Ctrl-C)" in " ".join(alone.out.split())


def test_bad_input_is_one_line_and_exit_code_2(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    p, v = folder / "p.toml", folder / "v.mp4"
    (tmp_path / "bad.toml").write_text(PIPELINE.replace("net.mnn", str(folder / "net.mnn")).replace("std", "sdt"))
    (tmp_path / "blind.toml").write_text(f"[[task]]\nname = 'a'\nmodel = '{folder}/net.mnn'\n")
    (tmp_path / "text.toml").write_text("[[task]]\nname = 'a'\nmodel = 'text.mnn'\nimage = {}\n")
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    (tmp_path / "text.mnn").write_text("no model\n" * 99)
    for args, message in {
        ("fly",): "invalid choice: 'fly'",
        ("run", p): "SOURCE",
        ("run", p, v, "--frames", "0"): "--frames",
        ("run", p, v, "--frame"): "frame",
        ("run", tmp_path / "nope.toml", v): "nope.toml: cannot read",
        ("run", tmp_path / "bad.toml", v): "bad.toml:4: task.heat.image.sdt: unknown key; did you mean 'std'",
        ("run", tmp_path / "blind.toml", v): "task 'a' has neither an image nor a feed",
        ("run", tmp_path / "text.toml", v): "task 'a': ",
        ("run", p, tmp_path / "nope.mp4"): "there is no",
        ("run", p, tmp_path / "text.mp4"): "not a video",
        ("run", p, v, "--raw", "NV12:8x8"): "wanted '-'",
        ("run", p, "-"): "FORMAT:WIDTHxHEIGHT",
        ("run", p, v, "--out", tmp_path / "none" / "r.jsonl"): "cannot write",
        ("run", p, v, "--save", tmp_path / "text.mnn"): "cannot make the folder",
        ("run", p, v, "--save", tmp_path / "text.mp4"): "text.mp4: it exists",
        ("inspect", tmp_path / "nope.mnn"): "nope.mnn",
        ("inspect", tmp_path / "text.mnn"): "not an MNN model",
        ("inspect", folder / "net.mnn", "--output", "heart"): 'did you mean "heat"',
        ("convert", tmp_path / "nope.onnx"): "there is no model file",
    }.items():
        ran = inside(capfd, *args, *(["--json"] if args and args[0] != "fly" else []))
        assert message in ran.error(), (args, ran.err)
        assert ran.out == "", args


def test_what_the_engine_prints_is_not_on_standard_output(models: Path) -> None:
    ran = mnnlite("inspect", models / "unrunnable.mnn", "--json")  # the engine prints why it cannot
    assert ran.error()
    assert ran.out == ""


def test_debugging_shows_where_an_error_came_from(folder: Path) -> None:
    ran = mnnlite("inspect", "nope.mnn", env={"MNNLITE_DEBUG": "1"})
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("mnnlite: error: ")


def test_a_video_that_breaks_off_keeps_the_frames_before(folder: Path, tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 60, noisy=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    ran = mnnlite("run", folder / "p.toml", path, "--out", tmp_path / "r.jsonl", "--json")
    assert ran.code == 1
    *summary, error = ran.err.splitlines()
    assert "is cut off after frame" in error
    assert error.startswith("mnnlite: error: ")
    assert summary[0].startswith(f"{len(ran.lines)} frames in")
    assert [line["frame"] for line in ran.lines] == list(range(len(ran.lines)))
    assert 10 < len(ran.lines) < 50
    assert (tmp_path / "r.jsonl").read_text() == ran.out


def test_pictures_that_cannot_be_read_cost_themselves_and_exit_code_1(folder: Path, tmp_path: Path) -> None:
    for index in range(1, 12):
        video.write_picture(tmp_path / f"{index}.png", noisy_picture(40, 30))
    for index in range(3, 11):
        (tmp_path / f"{index}.png").write_text("not a picture")
    ran = mnnlite("run", folder / "p.toml", tmp_path, "--json")
    assert ran.code == 1
    assert [line["file"] for line in ran.lines] == ["1.png", "2.png", "11.png"]
    summary, *errors = ran.err.splitlines()[0], *ran.err.splitlines()[-6:]
    assert summary.startswith("3 frames in")
    assert [error.split(": ")[2] for error in errors] == [
        *(f"cannot read {tmp_path}/{index}.png" for index in range(3, 8)),
        "and 3 more files",
    ]


def test_a_full_disk_leaves_whole_lines(folder: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    ran = mnnlite(
        "run", folder / "p.toml", folder / "v.mp4", "--out", tmp_path / "r.jsonl", "--quiet", preexec_fn=small_files
    )
    text = (tmp_path / "r.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert text.endswith("\n")
    assert f"r.jsonl: File too large; the {len(lines)} lines written before are whole" in ran.error()
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len(lines) >= 2
    full = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--out", "/dev/full", "--quiet")
    assert "No space left on device" in full.error()


def test_a_full_disk_leaves_whole_pictures(folder: Path, tmp_path: Path) -> None:
    def no_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    ran = mnnlite("run", folder / "p.toml", folder / "v.mp4", "--save", tmp_path / "s", "--quiet", preexec_fn=no_files)
    assert "cannot write" in ran.error()
    assert list((tmp_path / "s").iterdir()) == []


def test_standard_output_on_a_full_disk(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("run", folder / "p.toml", folder / "v.mp4", "--json", "--quiet"),
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert "No space left on device" in Ran(done.returncode, b"", done.stderr).error()


def test_a_reader_that_has_had_enough(folder: Path) -> None:
    with subprocess.Popen(
        command("run", folder / "p.toml", "-", "--raw", "GRAY:64x48", "--json", "--quiet"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        child.stdin.write(bytes(64 * 48))
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["frame"] == 0
        child.stdout.close()
        child.stdin.write(bytes(3 * 64 * 48))
        child.stdin.close()
        assert (child.wait(300), child.stderr.read()) == (0, b"")


def test_interrupted_it_ends_with_a_summary(folder: Path, tmp_path: Path) -> None:
    child = subprocess.Popen(
        command("run", folder / "p.toml", "-", "--raw", "GRAY:64x48", "--json", "--out", tmp_path / "r.jsonl"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdin.write(bytes(2 * 64 * 48))
    child.stdin.flush()
    lines = [child.stdout.readline(), child.stdout.readline()]
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=300)
    assert child.returncode == 130
    assert out == b""
    assert err.decode().startswith("2 frames in")
    assert "Traceback" not in err.decode()
    assert err.decode().splitlines()[-1] == "mnnlite: interrupted"
    assert (tmp_path / "r.jsonl").read_bytes() == b"".join(lines)


@pytest.mark.slow  # it waits until the command is under way
def test_interrupted_or_terminated_a_command_says_so_in_one_line(folder: Path) -> None:
    for number, code, word in ((signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")):
        child = subprocess.Popen(
            command("profile", folder / "net.mnn", "--runs", 10_000_000), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        time.sleep(2.5)  # it is under way: importing takes less
        child.send_signal(number)
        out, err = child.communicate(timeout=300)
        assert (child.returncode, out, err.decode()) == (code, b"", f"mnnlite: {word}\n")


def test_what_else_prints_goes_to_standard_error() -> None:
    code = """
import os, sys
from mnnlite.cli.output import Output
with Output() as output:
    os.write(1, b"the engine says\\n")
    print("so does Python")
    output.json({"a": 1})
os.write(1, b"after\\n")
"""
    done = subprocess.run([command()[0], "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == '{"a": 1}\nafter\n'
    assert sorted(done.stderr.splitlines()) == ["so does Python", "the engine says"]


@pytest.mark.parametrize("rich", [True, False])
def test_progress_is_for_terminals(folder: Path, tmp_path: Path, rich: bool) -> None:
    (tmp_path / "rich.py").write_text("" if rich else "raise ImportError")
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    if not rich:
        env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    reader, terminal = pty.openpty()
    done = subprocess.Popen(
        command("run", folder / "p.toml", folder / "v.mp4", "--out", tmp_path / "r.jsonl"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal, env=env, cwd=tmp_path.parent,
    )  # fmt: skip
    assert done.communicate(timeout=300) == (b"", None)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            part = os.read(reader, 65536)
        except OSError:
            break
        shown += part
    os.close(reader)
    assert b"/12" in shown
    assert b"frames/s" in shown
    assert b"12 frames in" in shown


def test_plain_progress() -> None:
    assert plain_line(12, 221, 2.0) == "frame 12/221  6.0 frames/s  0:35 left"
    assert plain_line(3, None, 2.0) == "frame 3  1.5 frames/s"


def test_figures_do_not_grow_with_a_long_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("mnnlite.cli.figures._KEPT", 10)
    figures = Figures()
    frame = Frame(np.zeros((8, 8, 3), np.uint8), "BGR")
    for spent in range(25):
        result = FrameResult(spent, frame)
        result.timing = {"task": {"infer": spent * 1_000_000}}
        figures.add(result)
    assert figures.percentiles() == [("task", "infer", 19.5, 23.1)]
    figures.show()
    assert "25 frames in" in capsys.readouterr().err


def test_columns() -> None:
    assert columns([("a", 1), ("bcd", 22)], right=(1,)) == ["a     1", "bcd  22"]
