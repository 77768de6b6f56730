"""The trace of a runtime's lanes: valid by the Trace Event Format, complete, and drawn."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.cli import mnnlite as command
from mnnlite import Frame, ImageSpec, Runtime, TaskSpec, observe

# Trace Event Format (Google, "Trace Event Format", sections "Event Descriptions"): what each phase must have.
FIELDS = {
    "X": {"ts", "dur", "name", "pid", "tid"},
    "i": {"ts", "s", "name", "pid", "tid"},
    "M": {"name", "pid", "args"},
}
FIELDS["b"] = FIELDS["e"] = {"ts", "id", "cat", "name", "pid"}


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lanes")
    return {
        f"n{size}": TaskSpec(networks.convert(networks.two_branches(folder, size=size, width=8)), ImageSpec())
        for size in (16, 64)
    }


def frames(count):
    rng = np.random.default_rng(0)
    return [Frame(rng.integers(0, 256, (40, 60, 3), np.uint8), "BGR") for _ in range(count)]


def valid(found):
    """Check a trace by the format; give the events by phase."""
    assert isinstance(found["traceEvents"], list)
    by_phase = {}
    for event in found["traceEvents"]:
        assert FIELDS[event["ph"]] <= event.keys(), event
        assert all(isinstance(event[key], (int, float)) and event[key] >= 0 for key in ("ts", "dur") if key in event)
        by_phase.setdefault(event["ph"], []).append(event)
    for event in by_phase["M"]:
        assert event["name"] in ("process_name", "thread_name")
        assert isinstance(event["args"]["name"], str)
    named = {event["tid"] for event in by_phase["M"] if event["name"] == "thread_name"}
    assert {event["tid"] for event in by_phase.get("X", []) + by_phase.get("i", [])} <= named
    begun = [(event["cat"], event["id"]) for event in by_phase.get("b", [])]
    assert sorted(begun) == sorted((event["cat"], event["id"]) for event in by_phase.get("e", []))
    assert len(set(begun)) == len(begun)
    for track in named:  # complete events of a track nest or lie apart
        open_until = []
        spans = [event for event in by_phase.get("X", []) if event["tid"] == track]
        for event in sorted(spans, key=lambda each: (each["ts"], -each["dur"])):
            end = event["ts"] + event["dur"]
            while open_until and open_until[-1] <= event["ts"] + 1e-3:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-3, event
            open_until.append(end)
    return by_phase


def test_trace__has_lanes_tasks_stages_and_frames(specs, tmp_path):
    before = time.monotonic_ns()
    with Runtime(lanes=2, force=True) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec)
        runtime.process(frames(1)[0])  # before the trace
        with runtime.trace(tmp_path / "t.json"):
            results = [future.result() for future in [runtime.submit(frame) for frame in frames(6)]]
        runtime.process(frames(1)[0])  # and after it
    after = time.monotonic_ns()
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    events = valid(json.loads((tmp_path / "t.json").read_text()))
    tracks = {e["tid"]: e["args"]["name"] for e in events["M"] if e["name"] == "thread_name"}
    assert {"lane 0", "lane 1"} <= set(tracks.values())
    assert [event["id"] for event in events["b"]] == [result.index for result in results]
    tasks = [event for event in events["X"] if event["cat"] == "task"]
    assert sorted((event["name"], event["args"]["frame"]) for event in tasks) == sorted(
        (name, result.index) for name in specs for result in results
    )
    assert all(tracks[event["tid"]].startswith("lane ") for event in tasks)
    for event in tasks:
        assert before / 1e3 <= event["ts"] <= event["ts"] + event["dur"] <= after / 1e3
        timing = next(result.timing[event["name"]] for result in results if result.index == event["args"]["frame"])
        inside = [
            stage
            for stage in events["X"]
            if stage["cat"] == "stage"
            and stage["tid"] == event["tid"]
            and event["ts"] - 1e-3 <= stage["ts"] <= event["ts"] + event["dur"]
        ]
        assert {stage["name"] for stage in inside} <= {"preprocess", "infer", "decode"}
        infer = next(stage for stage in inside if stage["name"] == "infer")
        assert infer["dur"] == pytest.approx(timing["infer"] / 1e3, rel=0.01, abs=1)


def test_trace__shows_drops_skips_loads_and_failures(specs):
    with Runtime(force=True) as runtime:
        runtime.add("a", specs["n64"], every=2)
        with runtime.trace() as trace:
            runtime.add("b", specs["n16"])
            with runtime.stream(frames(40), latest=True) as stream:
                count = sum(1 for _ in stream)
            dropped = stream.dropped
            for frame in frames(3):
                runtime.process(frame)
            count += 3
        events = valid(trace.writer().to_dict())
    assert dropped + count == 43
    marks = [event for event in events.get("i", []) if event["name"] == "frame dropped"]
    assert len(marks) == dropped
    assert any("a" in event["args"]["skipped"] for event in events["b"])
    assert any(event["cat"] == "change" for event in events["X"])


def test_trace__writes_to_an_open_file_and_at_the_end_of_the_runtime(specs, tmp_path):
    file = io.StringIO()
    runtime = Runtime()
    runtime.add("a", specs["n16"])
    runtime.trace(file)
    runtime.process(frames(1)[0])
    assert not file.getvalue()
    runtime.close()
    valid(json.loads(file.getvalue()))
    runtime.close()  # twice is fine


def test_trace__one_at_a_time_and_again(specs, tmp_path):
    with Runtime() as runtime:
        runtime.add("a", specs["n16"])
        first = runtime.trace()
        with pytest.raises(mnnlite.ArgumentError, match="traced already"):
            runtime.trace()
        first.close()
        first.close()
        with pytest.raises(mnnlite.OutputError, match="no folder"):
            runtime.trace(tmp_path / "no" / "t.json")
        with pytest.raises(mnnlite.ArgumentError, match="max_frames"):
            runtime.trace(max_frames=0)
        with runtime.trace(max_frames=3) as trace:
            for frame in frames(5):
                runtime.process(frame)
        assert [e["id"] for e in trace.writer().to_dict()["traceEvents"] if e["ph"] == "b"] == [2, 3, 4]
    with pytest.raises(mnnlite.ClosedError):
        runtime.trace()


def test_on_lane__gives_the_task_and_passes_errors_on(specs):
    with Runtime() as runtime:
        runtime.add("a", specs["n16"])
        assert runtime.on_lane("a", lambda task: task.model.outputs) is not None
        with pytest.raises(mnnlite.ArgumentError, match="no task 'b'"):
            runtime.on_lane("b", lambda task: None)
        with pytest.raises(ZeroDivisionError):
            runtime.on_lane("a", lambda task: 1 // 0)
        assert "a" in runtime.process(frames(1)[0])


def test_profile__of_a_runtime_measures_tasks_among_the_others(specs):
    with Runtime() as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec, every=2 if name == "n64" else 1)
        found = observe.profile_runtime(runtime, frames(2), runs=6, traced=2)
        with pytest.raises(mnnlite.ArgumentError, match="no frames"):
            observe.profile_runtime(runtime, [])
    runs = {name: {stage.name: stage.runs for stage in each.stages} for name, each in found.items()}
    assert runs["n16"]["infer"] == 6
    assert runs["n64"]["infer"] == 3
    assert runs["n16"]["create_session"] == 1
    assert all(each.operators and each.types for each in found.values())


def test_picture__of_a_trace(specs, tmp_path):
    with Runtime(lanes=2, force=True) as runtime:
        for name, spec in specs.items():
            runtime.add(name, spec)
        with runtime.trace(tmp_path / "t.json") as trace:
            for frame in frames(4):
                runtime.process(frame)
    assert observe.plot_trace(trace.writer(), tmp_path / "a.svg").read_text().count("n64") >= 1
    assert observe.plot_trace(tmp_path / "t.json", tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(mnnlite.ArgumentError, match="no frame"):
        observe.plot_trace(observe.TraceWriter(), tmp_path / "b.png")
    (tmp_path / "bad.json").write_text("[]")
    for name in ("bad.json", "absent.json"):
        with pytest.raises(mnnlite.ArgumentError, match=name):
            observe.plot_trace(tmp_path / name, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


TOML = """
[[task]]
name = "one"
model = "{model}"
image = {{ size = [16, 16] }}
"""


def test_commands__write_traces(specs, tmp_path):
    from mnnlite import video

    (tmp_path / "p.toml").write_text(TOML.format(model=specs["n16"].model))
    video.write_picture(tmp_path / "a.png", np.full((30, 40, 3), 100, np.uint8))
    ran = command("run", "p.toml", "a.png", "--trace", "run.json", "--quiet", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert len(valid(json.loads((tmp_path / "run.json").read_text()))["b"]) == 1
    ran = command("profile", "p.toml", "a.png", "--runs", 3, "--trace", "profile.json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    events = valid(json.loads((tmp_path / "profile.json").read_text()))
    assert {"frame", "task", "stage", "operator", "run"} <= {event["cat"] for event in events["X"]}
    for arguments in (["run", "p.toml", "a.png"], ["profile", "p.toml", "a.png"]):
        assert "no folder" in command(*arguments, "--trace", "no/t.json", cwd=tmp_path).error()
    assert "--plot" in command("profile", specs["n16"].model, "--plot", "a.svg", cwd=tmp_path).error()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "p.toml", "profile.json", "run.json"]
