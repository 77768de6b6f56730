"""Make the page of what peers.py counted: report.md beside this file, of the newest file of data/.

python benchmarks/arm/report.py [DATA.json]
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = "mnnlite"
WANTED = {"NV12 picture": 4.0, "BGR picture": 2.5, "decode": 6.0}  # times fewer than OpenCV and NumPy
Rows = list[dict[str, Any]]


def around(stages: dict[str, float], layout: str) -> float:
    """Everything of a frame but the engine's own call."""
    return stages[f"{layout} frame"] - stages["infer"]


def before(stages: dict[str, float], layout: str) -> float:
    """From the frame to the engine and out of it again: all around it but decoding."""
    return around(stages, layout) - stages["decode"]


def millions(value: float | None) -> str:
    """Short."""
    return "" if value is None else f"{value / 1e6:.2f}" if value < 1e7 else f"{value / 1e6:.1f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join([" --- ", *(" ---: " for _ in head[1:])]) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def section(rows: Rows, cpu: str, precision: str, versions: dict[str, str]) -> list[str]:
    """One CPU and precision: whole frames, stages, ratios."""
    counted = [row for row in rows if "stages" in row]
    networks = list(dict.fromkeys(row["network"] for row in counted))
    contenders = list(dict.fromkeys(row["contender"] for row in counted))
    of = {(row["network"], row["contender"]): row["stages"] for row in counted}
    lines = [f"## {cpu}, {precision} precision", ""]
    for row in rows:
        if "fails" in row:
            name = f"{row['contender']} {versions[row['contender']]}"
            lines += [f"{name} on {row['network']}, {cpu}: {row['fails']}.", ""]
    commits = ", ".join(dict.fromkeys(row["commit"] for row in rows))
    lines += [f"A frame from memory to results, NV12 / BGR, counted at {commits}:", ""]
    lines += table(
        ["network", *contenders],
        [
            [
                name,
                *(
                    f"{millions(of[name, each]['NV12 frame'])} / {millions(of[name, each]['BGR frame'])}"
                    if (name, each) in of
                    else ""
                    for each in contenders
                ),
            ]
            for name in networks
        ],
    )
    lines += ["Its stages:", ""]
    stages = ["NV12 picture", "BGR picture", "hand over", "infer", "decode"]
    lines += table(
        ["network, contender", *stages],
        [
            [f"{name}, {each}", *(millions(of[name, each].get(stage)) for stage in stages)]
            for name in networks
            for each in contenders
            if (name, each) in of
        ],
    )
    return lines + ratios(of, networks, contenders)


def ratios(of: dict[tuple[str, str], dict[str, float]], networks: list[str], contenders: list[str]) -> list[str]:
    """How many times fewer instructions than OpenCV and NumPy, with the rival that has the fewest."""
    lines = ["Times fewer instructions than OpenCV and NumPy around the rival that has the fewest:", ""]
    rows, found = [], {name: [] for name in WANTED}
    for network in networks:
        rivals = [of[network, each] for each in contenders if each != OURS and (network, each) in of]
        if (network, OURS) not in of or not rivals:
            continue
        mine = of[network, OURS]
        values = {
            f"{layout} picture": min(before(each, layout) for each in rivals) / before(mine, layout)
            for layout in ("NV12", "BGR")
        }
        values["decode"] = min(each["decode"] for each in rivals) / mine["decode"]
        for name, value in values.items():
            found[name].append(value)
        engine = min(each["infer"] for each in rivals) / mine["infer"]
        rows.append([network, *(f"{values[name]:.1f}" for name in WANTED), f"{engine:.2f}"])
    if not rows:
        return []
    rows.append(["median", *(f"{statistics.median(found[name]):.1f}" for name in WANTED), ""])
    rows.append(["wanted", *(f"{value:g}" for value in WANTED.values()), ""])
    return [*lines, *table(["network", *WANTED, "engine alone"], rows)]


def differences(rows: Rows) -> str:
    """Tell each contender's largest one, and where."""
    worst: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["contender"], row["precision"])
        if "apart" in row and row["apart"] >= worst.get(key, row)["apart"]:
            worst[key] = row
    return ", ".join(
        f"{contender} {row['apart']:.1e} ({row['network']}{'' if precision == 'normal' else ', ' + precision})"
        for (contender, precision), row in worst.items()
    )


def page(data: dict[str, Any]) -> str:
    """Make the whole page."""
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    lines = [
        "# Instructions of a frame on an emulated ARM CPU",
        "",
        f"Million guest instructions of one frame, one thread, counted {data['date']} by benchmarks/arm/peers.py;",
        f"{data['emulator']}, {data['python']};",
        f"{versions}.",
        "",
        "Around all but mnnlite stand OpenCV and NumPy. `picture` is from a 1080p frame in memory to the input, of mnnlite to the",
        "engine's own tensor; `hand over` is that input into the engine and outputs out of it. `decode` is the same work of all:",
        "what mnnlite's decoders and NumPy find in the same outputs was compared before anything was counted. Counts are not",
        "speed: they say nothing of caches and memory. An empty cell was not counted, or is not for that engine: LiteRT has TFLite",
        "files, ONNX Runtime and ncnn have ONNX files. `yolov8` is nudenet's YOLOv8n at 320x320. Low precision is half floats,",
        "which cortex-a72 has not; LiteRT and ONNX Runtime have no such setting for a file of float32.",
        "",
        f"Largest difference of outputs on the same input, relative to the largest value: {differences(data['rows'])}.",
        "",
    ]
    for cpu, precision in dict.fromkeys((row["cpu"], row["precision"]) for row in data["rows"]):
        lines += section(
            [row for row in data["rows"] if (row["cpu"], row["precision"]) == (cpu, precision)],
            cpu,
            precision,
            data["versions"],
        )
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the page."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else sorted((HERE / "data").glob("20*.json"))[-1]
    (HERE / "report.md").write_text(page(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
