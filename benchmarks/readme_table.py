"""Measure the figures of the README and the documentation and write them there, with date and machine.

    python benchmarks/readme_table.py [--check]

Runs the other scripts with --json, some minutes on a machine that should do nothing else. --check only prints.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import machine

HERE = Path(__file__).parent
README, PAGES = HERE.parent / "README.md", HERE.parent / "docs" / "figures.json"
BEGIN, END = "<!-- figures: benchmarks/readme_table.py -->", "<!-- end of figures -->"


def measured(script: str, *options: str) -> dict[str, Any]:
    return printed(str(HERE / f"{script}.py"), *options)


def printed(*command: str) -> dict[str, Any]:
    """The last JSON object that a Python command prints; the engine prints lines of its own, before and at its end."""
    # Not in the checkout, whose mnnlite is not the installed one.
    text = subprocess.run(
        [sys.executable, *command, "--json"], check=True, capture_output=True, text=True, cwd=HERE
    ).stdout
    result: dict[str, Any] = json.loads([line for line in text.splitlines() if line.startswith("{")][-1])
    return result


def drive() -> tuple[str, str, str]:
    # The slowest of five: what the machine does besides costs frames.
    runs = [printed("-m", "mnnlite", "demo")["summary"] for _ in range(5)]
    worst = max(runs, key=lambda run: (run["dropped"], run["frame_ms"]["p99"]))
    return (
        "the road pack's four networks on a drive of 640x360, one lane, worst of five runs; camera to results",
        f"{worst['frames_per_second']:.1f} of 25 frames a second, {worst['dropped']} of 100 dropped, p50 {worst['frame_ms']['p50']:.0f}, "
        f"p99 {worst['frame_ms']['p99']:.0f} ms; at most {max(run['peak_rss_mib'] for run in runs):.0f} MiB resident",
        "mnnlite demo",
    )


def rows() -> list[tuple[str, str, str]]:
    imports = measured("import_time")
    memory = measured("memory_one_model")
    call = measured("call_overhead")["networks"]
    branches = measured("branches")
    stages = memory["stages"]
    ours, theirs, external = stages["mnnlite"], stages["MNN"], stages["mnnlite, external weights"]
    slowest = max(row["overhead"] for row in call.values())
    counted = sum(row["allocations_in_200_runs"] for row in call.values())
    times = branches["median"]
    images, decoded = measured("image_to_tensor", "--rounds", "40"), measured("decode")
    # MNN with two threads has fast and slow processes: the run that is least in our favour.
    eleven = min((measured("frame_time") for _ in range(4)), key=lambda run: run["faster_than_MNN"])
    yolo = next(row for row in decoded["cases"] if row["case"] == "yolov8")
    bgr, nv12 = images["bgr"]["summary"], images["nv12"]["summary"]
    many = measured("many_models", "--frames", "4")
    pack = printed("-m", "mnnlite.demo.metrics")["scores"]
    return [
        (
            "`import mnnlite`",
            f"{imports['cost']['mnnlite']:.0f} ms (`import MNN`: {imports['cost']['MNN']:.0f} ms)",
            "import_time.py",
        ),
        (
            f"anonymous memory of a network of {memory['file_MiB']:.1f} MiB: loaded, after the first run, after `close()`",
            f"{ours['loaded']:.1f}, {ours['first run']:.1f}, {ours['closed']:.1f} MiB "
            f"(MNN's package: {theirs['loaded']:.1f}, {theirs['first run']:.1f}, {theirs['closed']:.1f} MiB)",
            "memory_one_model.py",
        ),
        (
            "peak while it loads, weights in the file and beside it",
            f"{ours['load peak']:.1f}, {external['load peak']:.1f} MiB",
            "memory_one_model.py",
        ),
        (
            "`run(borrow=True)` over the same loop in C++",
            f"at most {slowest:.1f} µs more; {counted} allocations in {200 * len(call)} runs",
            "call_overhead.py",
        ),
        (
            "one of five outputs: all, its branch chosen at loading, chosen by call",
            f"{times['all outputs']:.1f}, {times['branch by path']:.1f}, {times['branch by call']:.1f} ms",
            "branches.py",
        ),
        (
            "frames of 720p to 4K to float tensors of 224 to 640, BGR and NV12, over OpenCV and NumPy",
            f"{bgr['resize+cvtColor+NumPy']['geometric_mean']:.1f}, "
            f"{nv12['cvtColor+resize+NumPy']['geometric_mean']:.1f} times as fast "
            f"(worst {bgr['resize+cvtColor+NumPy']['worst']:.1f}, {nv12['cvtColor+resize+NumPy']['worst']:.1f})",
            "image_to_tensor.py",
        ),
        (
            "a YOLOv8 head of 8400 candidates to boxes, over NumPy and OpenCV's NMS",
            f"{yolo['native_us'] / 1e3:.2f} ms, {yolo['ratio_native']:.1f} times as fast",
            "decode.py",
        ),
        (
            "mediapipe's eleven networks, a 1080p frame to decoded results, on two lanes",
            f"{eleven['frame_ms']['mnnlite, 2 lanes']:.1f} ms; {eleven['faster_than_MNN']:.2f} times as fast as MNN's package at its best (least of four runs)",
            "frame_time.py",
        ),
        (
            "the same eleven, anonymous memory after two frames over MNN's package: one lane, two lanes",
            f"{many['one_lane_memory_over_MNN']:.2f}, {many['two_lanes_memory_over_MNN']:.2f}",
            "many_models.py",
        ),
        drive(),
        (
            "how good they are on 500 rendered scenes of other seeds: objects mAP50, lane pixel F1, signs, texts",
            ", ".join(
                f"{pack[name]['value']:.3f}"
                for name in ("objects mAP50", "lane pixel F1", "sign accuracy", "text exact match")
            ),
            "python -m mnnlite.demo.metrics",
        ),
    ]


def main() -> None:
    load = os.getloadavg()[0]
    # Not silently: times of a machine with other work are longer, and by how much depends.
    busy = (
        ""
        if load < 1
        else f" Other work ran beside it (load {load:.0f} on {os.cpu_count()} cores): times are too long."
    )
    here = machine.facts()
    measured_on = (
        f"Measured on {here['date']}: {here['cpu']}, {here['cores']} cores, MNN {here['MNN']}, Python {here['python']}, one thread. "
        "One network: mediapipe's pose_landmark_full." + busy
    )
    found = rows()
    lines = [
        BEGIN,
        measured_on,
        "",
        "| what | figure | script in `benchmarks/`, or command |",
        "| --- | --- | --- |",
        *(f"| {what} | {figure} | `{script}` |" for what, figure, script in found),
        END,
    ]
    print("\n".join(lines))
    if "--check" in sys.argv:
        return
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + "\n".join(lines) + rest.split(END)[1])
    table = [{"what": what, "figure": figure, "script": script} for what, figure, script in found]
    data = {"measured": measured_on, "rows": table}
    PAGES.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
