"""Make README's table, the figures of docs/performance.md and its plots of what bench.py measured.

    python benchmarks/report.py [DATA.json]                 the newest of benchmarks/data, if none is named
    python benchmarks/report.py DATA.json --page FILE.md    only a page and its plots, beside it

Nothing is measured here, and nothing of the tables is written by hand. What is: the reasons of rows that mnnlite loses.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README, DOCS, DATA = HERE.parent / "README.md", HERE.parent / "docs", HERE / "data"
BEGIN, END = "<!-- figures: benchmarks/report.py -->", "<!-- end of figures -->"
OURS, QUIET, EVEN = "mnnlite", 0.1, 0.99
NOISY, COUNTS = "†", ("allocations", "frames")
WIDE = " The rival's use AVX-512, those of MNN's wheel stop at AVX2."
NO_REASON = "No reason is known yet."
Row = dict[str, Any]
Groups = dict[tuple[str, str], list[Row]]

IMPORT = ("start-up", "import, more than a bare start of Python")

# What README shows: section, thing measured, its name there.
README_ROWS = (
    (*IMPORT, "`import`"),
    ("start-up", "pose_landmark_full, anonymous memory: loaded", "a network of 12.1 MiB, anonymous memory: loaded"),
    ("start-up", "pose_landmark_full, anonymous memory: first run", "after the first run"),
    ("start-up", "pose_landmark_full, anonymous memory: closed", "after `close()`"),
    ("start-up", "pose_landmark_full, anonymous memory: load peak", "its peak while it loads"),
    ("binding", "a run more than the loop in C++, worst of three networks", "`run(borrow=True)` more than the same loop in C++"),
    ("binding", "allocations in 600 runs", "allocations in 600 of them"),
    ("binding", "one of pose_landmark_full's five outputs", "one of five outputs, its branch chosen at loading"),
    ("native", "BGR frames of 720p to 4K to float tensors of 224 to 640, geometric mean", "BGR frames to float tensors"),
    ("native", "NV12 frames of 720p to 4K to float tensors of 224 to 640, geometric mean", "NV12 frames to float tensors"),
    ("native", "decode yolov8", "a YOLOv8 head of 8400 candidates to boxes"),
    ("many", "eleven networks, 1080p BGR to results, 1 thread", "mediapipe's eleven networks, a 1080p frame to results, 1 thread"),
    ("many", "eleven networks, 1080p BGR to results, 2 threads", "with 2 threads (mnnlite: 2 lanes)"),
    ("many", "eleven networks, anonymous memory after two frames, 1 thread", "their anonymous memory, 1 thread"),
    ("many", "eleven networks, anonymous memory after two frames, 2 threads", "with 2 threads (mnnlite: 2 lanes)"),
    ("start-up", "cold start of eleven networks, first constructor to first results, 2 threads", "their cold start, 2 threads"),
    ("schedule", "urgent task beside a long network: result, p99", "an urgent task beside a long network, p99"),
    ("pipeline", "the road pack's four networks on a drive of 640x360, one lane: frames a second, of 25", "four networks on a drive of 25 frames a second, one lane: frames a second"),
    ("pipeline", "the road pack's four networks on a drive of 640x360, one lane: camera to results, p99", "camera to results, p99"),
    ("pipeline", "the road pack on rendered scenes of other seeds: objects mAP50", "how good they are on rendered scenes of other seeds: objects, mAP50"),
    ("pipeline", "the road pack on rendered scenes of other seeds: lane pixel F1", "lane pixels, F1"),
    ("pipeline", "the road pack on rendered scenes of other seeds: sign accuracy", "signs, accuracy"),
    ("pipeline", "the road pack on rendered scenes of other seeds: text exact match", "texts, exact match"),
)  # fmt: skip

ASIDE = {"MNN, session only", "OpenCV blobFromImage", "MNN CVImageProcess"}  # on the page, not in README

FRAME, ENGINE = re.compile(r"1080p \w+ to results"), "the engine's call alone"
# Why mnnlite loses, where no other figure tells: what is measured, against whom, the reason. The first that fits.
REASONS = (
    (r"^run\(borrow=True\)", "", "A call from Python costs about a microsecond: the way into native code, and a view of each output."),
    (ENGINE, "MNN", "The same engine: mnnlite's call ends with outputs where they are read; MNN's package copies them there afterwards, which is "
     "not part of this."),
    (ENGINE, "ncnn", "The engine: ncnn's kernels need fewer instructions than MNN's."),
    (r"^cold start", "", "A Runtime imports its modules of Python meanwhile, and each file is verified before the engine gets it; what the "
     "engine does of it is the same with MNN's package."),
    (r"load peak$", "MNN", "The input and the outputs are blocks of their own, outside of the shared feature maps, and are made while it loads."),
    (r"all but the smallest removed$", "MNN", "What is left is a Runtime with its lanes and a task, beside the network."),
    (r"^decode contours", "", "OpenCV's contours are native code for the same work: there is no NumPy to save."),
)  # fmt: skip


# ---- rows


def groups_of(rows: Iterable[Row]) -> Groups:
    """Rows of the same thing together, mnnlite's own first."""
    found: Groups = {}
    for row in rows:
        if "failed" not in row:
            found.setdefault((row["section"], row["what"]), []).append(row)
    return {key: sorted(group, key=lambda row: not row["contender"].startswith(OURS)) for key, group in found.items()}


def lost(row: Row) -> bool:
    """A rival was better in every pass, by more than 1 %; what is better in some of them only is even."""
    return not row["contender"].startswith(OURS) and "ratios" in row and max(row["ratios"]) < EVEN


def of(group: Iterable[Row], contender: str) -> Row | None:
    return next((row for row in group if row["contender"] == contender), None)


def reason(row: Row, groups: Groups, flags: list[str]) -> str:
    """Tell why a row is lost: by other figures of the same run where they tell, otherwise from the list above."""
    what, rival = row["what"], row["contender"]
    mnn = of(groups[row["section"], what], "MNN")
    slower = rival != "MNN" and mnn is not None and mnn["figure"] > row["figure"]
    if what.endswith(ENGINE) and slower:
        wide = row["section"] != "arm" and "avx512f" in flags
        return "The engine: its kernels are slower, in MNN's own package as well." + (WIDE if wide else "")
    engine = of(groups.get((row["section"], FRAME.sub(ENGINE, what)), []), rival)
    if FRAME.search(what) and engine is not None and lost(engine):
        return f"The engine: see the same networks under '{ENGINE}'."
    if what.startswith("eleven networks, 1080p") and slower:
        return f"The engine: MNN's own package takes longer than this rival, too; see '{ENGINE}' of single networks."
    for pattern, contender, text in REASONS:
        if re.search(pattern, what) and contender in rival:
            return text + (with_imports(what, groups) if what.startswith("cold start") else "")
    return NO_REASON


def with_imports(what: str, groups: Groups) -> str:
    """Tell how long each contender's whole start takes, of which an import is a part."""
    imports = {row["contender"]: row["figure"] for row in groups.get(IMPORT, [])}
    whole = [
        f"{row['contender']} {number(imports[row['contender']] + row['figure'])} {row['unit']}"
        for row in groups["start-up", what]
        if row["contender"] in imports
    ]
    return f" With the import before it: {', '.join(whole)}." if whole else ""


def number(value: float) -> str:
    """Three digits, and no more after the point than two."""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def quantity(row: Row) -> str:
    value, unit = row["figure"], row["unit"]
    if unit == "us":
        value, unit = (value / 1e3, "ms") if value >= 1e3 else (value, "µs")
    text = f"{value:.0f}" if unit in COUNTS and value == round(value) else number(value)
    return f"{text}{' ' if unit else ''}{unit}"


def counted(data: dict[str, Any]) -> str:
    return f"{data['passes']} pass{'es' if data['passes'] > 1 else ''}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %" if value < 0.1 else f"{100 * value:.0f} %"


def beside(row: Row) -> str:
    """A rival's cell of README's table."""
    mark = NOISY if row["noisy"] else ""
    if row["equal"] is False:
        return f"{row['contender']}: other results"
    text = f"{row['contender']} {quantity(row)}{mark}"
    if "ratio" not in row:
        return text
    text += f" ({number(row['ratio'])})"
    return f"**{text}**" if lost(row) else text


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


# ---- texts


def measured_on(data: dict[str, Any]) -> str:
    """Where, when and beside what."""
    here, versions = data["machine"], data["versions"]
    engines = {"MNN": "mnn", "LiteRT": "ai-edge-litert", "ONNX Runtime": "onnxruntime", "mnnlite": "numpy"}
    said = [f"{'NumPy' if name == OURS else name} {versions[name][package]}" for name, package in engines.items()]
    others = statistics.median(run["cores_used_by_others"] for run in data["runs"])
    text = (
        f"Measured on {data['date']} at {data['commit']}: {here['cpu']}, {here['cores']} cores, {', '.join(said)}, "
        f"Python {here['python']}."
    )
    if others >= QUIET:
        text += f" Other work took {others:.1f} cores meanwhile: times are too long."
    return text if data["complete"] else text + " The run was not ended."


def legend(data: dict[str, Any]) -> str:
    return (
        f"A figure is the median of {counted(data)}. In brackets: how many times better mnnlite is in the same pass; bold: "
        f"mnnlite loses in every pass, by more than 1 %. {NOISY}: the passes are more than 5 % apart."
    )


def readme_table(data: dict[str, Any]) -> list[str]:
    groups = groups_of(data["rows"])
    rows = []
    for section, what, title in README_ROWS:
        group = groups.get((section, what), [])
        ours = of(group, OURS)
        others = "; ".join(beside(row) for row in group if row is not ours and row["contender"] not in ASIDE)
        figure = "not measured" if ours is None else quantity(ours) + (NOISY if ours["noisy"] else "")
        script = f"`{group[0]['script']}`" if group else ""
        rows.append([title, figure, others, script])
    head = ["what", "mnnlite", "beside it", "script in `benchmarks/`, or command"]
    return [measured_on(data), "", legend(data), "", *table(head, rows)]


def machine_lines(data: dict[str, Any]) -> list[str]:
    """Tell the state of the machine over the whole run."""
    here, runs = data["machine"], data["runs"]
    states = [each for run in runs for each in (run["before"], run["after"]) if each]
    mhz = [value for each in states if isinstance(each["mhz"], list) for value in each["mhz"]]
    loads, governors = [each["load"][0] for each in states], {each["governor"] for each in states}
    others, stolen = ([run[key] for run in runs] for key in ("cores_used_by_others", "cores_stolen"))
    return [
        f"- {here['cpu']}, {here['cores']} cores, {here['memory_gib']:g} GiB, {here['system']}; of vector instructions and the like: "
        f"{', '.join(here['flags'])}",
        f"- governor {', '.join(sorted(governors))}; frequency {f'{min(mhz)} to {max(mhz)} MHz' if mhz else 'not readable'}; load "
        f"{min(loads):.1f} to {max(loads):.1f} (this run's own processes included)",
        f"- other processes used {statistics.median(others):.2f} cores (median of the runs; at most {max(others):.2f}), the hypervisor "
        f"kept {statistics.median(stolen):.2f} (at most {max(stolen):.2f})",
        f"- {data['mode']} run: {counted(data)} over all scripts, {data['seconds']} s; commit {data['commit']}",
    ]


def losses(data: dict[str, Any], groups: Groups) -> list[str]:
    """Each row that mnnlite loses, under its reason."""
    found: dict[str, list[str]] = {}
    for group in groups.values():
        ours = of(group, OURS)
        for row in group:
            if ours is not None and lost(row):
                line = f"{row['what']}: {quantity(ours)}, {row['contender']} {quantity(row)} ({number(row['ratio'])})"
                found.setdefault(reason(row, groups, data["machine"]["flags"]), []).append(line)
    if not found:
        return ["Nowhere, in every pass."]
    return [line for why, lines in found.items() for line in (why, "", *(f"- {each}" for each in lines), "")]


def section_table(groups: Groups, section: str) -> list[str]:
    rows = []
    for (of, what), group in groups.items():
        if of != section:
            continue
        for index, row in enumerate(group):
            equal = {True: "yes", False: "**no**", None: ""}[row["equal"]]
            times = f"{number(row['ratio'])}" if "ratio" in row else ""
            rows.append([
                what if index == 0 else "",
                row["contender"],
                quantity(row) + (NOISY if row["noisy"] else ""),
                percent(row["spread"]),
                f"**{times}**" if lost(row) else times,
                percent(row.get("ratio_spread")),
                "; ".join(filter(None, (equal, row.get("note", "")))),
            ])  # fmt: skip
    head = ["what", "contender", "figure", "apart", "mnnlite is better, times", "apart", "results equal, notes"]
    return table(head, rows) if rows else []


TITLES = {
    "native": "Native code: frames to tensors, tensors to results",
    "binding": "Binding: a call from Python",
    "pipeline": "One network, from a frame to results",
    "many": "Many networks on one frame",
    "schedule": "Schedules",
    "start-up": "Start-up: imports, cold starts, loading",
    "arm": "Instructions on an emulated ARM CPU",
}


def page(data: dict[str, Any], plots: dict[str, str]) -> list[str]:
    """Make all figures as Markdown; `plots` are file names and what they show."""
    groups = groups_of(data["rows"])
    lines = [measured_on(data), "", *machine_lines(data), "", legend(data), ""]
    lines += [
        "A contender is mnnlite, MNN's own package, LiteRT or ONNX Runtime, each in an environment of its own, with OpenCV and NumPy around",
        "all but mnnlite. Scripts compare the results of all before they time anything, and contenders take turns.",
        "",
        *(line for name, text in plots.items() for line in (f"![{text}]({name})", "")),
        "## Where mnnlite loses",
        "",
        *losses(data, groups),
    ]
    failed = [row for row in data["rows"] if "failed" in row]
    if failed:
        lines += ["", "## Failed", "", *(f"- {row['what']}: {row['failed']}" for row in failed)]
    for section, title in TITLES.items():
        if body := section_table(groups, section):
            lines += ["", f"## {title}", "", *body]
    return lines


# ---- plots


COLOURS = {
    "MNN": "#d1495b",
    "LiteRT": "#00798c",
    "ONNX Runtime": "#8d6a9f",
    "OpenCV + NumPy": "#edae49",
    "NumPy": "#edae49",
}
PLOTTED = (
    "geometric mean", "^decode", "^(?!eleven).*1 thread: 1080p", "^(?!eleven).*2 threads: 1080p", "^eleven networks, 1080p",
    "after two frames, . threads?$", "memory: first run$", "^import", "^cold start",
)  # fmt: skip


def points(groups: Groups) -> list[tuple[str, Row]]:
    """What the plot of ratios shows, in its order: a label and a rival's row."""
    return [
        (what, row)
        for pattern in PLOTTED
        for (section, what), group in groups.items()
        if section != "arm" and re.search(pattern, what)
        for row in group
        if "ratios" in row and row["contender"] in COLOURS
    ]


def draw_ratios(groups: Groups, path: Path) -> bool:
    """How many times better mnnlite is, each thing a line, from the worst pass to the best."""
    import matplotlib.pyplot as plt

    shown = points(groups)
    if not shown:
        return False
    labels = list(dict.fromkeys(what for what, _ in shown))
    figure, axes = plt.subplots(figsize=(9, 1.3 + 0.2 * len(labels)), layout="constrained")
    for what, row in shown:
        y, colour = labels.index(what), COLOURS[row["contender"]]
        axes.plot([min(row["ratios"]), max(row["ratios"])], [y, y], color=colour, linewidth=2, alpha=0.6)
        axes.plot(row["ratio"], y, "o", color=colour, markersize=5)
    for contender in dict.fromkeys(row["contender"].removeprefix("OpenCV + ") for _, row in shown):
        name = "OpenCV + NumPy" if contender == "NumPy" else contender
        axes.plot([], [], "o", color=COLOURS[contender], markersize=5, label=name)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.axvspan(low, 1, color="#000000", alpha=0.06, linewidth=0)
    axes.set_xlim(low, high)
    ticks = [each for each in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= each <= high]
    axes.set_xticks(ticks, [f"{each:g}" for each in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    figure.supxlabel("the rival's time or memory over mnnlite's, worst to best pass (grey: mnnlite loses)", fontsize=9)
    figure.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    _save(figure, path)
    return True


def draw_many(groups: Groups, path: Path) -> bool:
    """Time and memory of eleven networks."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    drawn = False
    for count, marker in (("1 thread", "o"), ("2 threads", "s")):
        times = groups.get(("many", f"eleven networks, 1080p BGR to results, {count}"), [])
        held = groups.get(("many", f"eleven networks, anonymous memory after two frames, {count}"), [])
        memory = {row["contender"]: row["figure"] for row in held}
        for row in times:
            name = row["contender"]
            if name not in memory:
                continue
            drawn = True
            axes.plot(row["values"], [memory[name]] * len(row["values"]), "-", color="#888888", linewidth=1)
            axes.plot(row["figure"], memory[name], marker, color=COLOURS.get(name, "#2e6f40"), markersize=8)
            label = f"{name}, {count.replace('thread', 'lane') if name == OURS else count}"
            axes.annotate(label, (row["figure"], memory[name]), (7, 5), textcoords="offset points", fontsize=8)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.25)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
    axes.set_xlabel("ms, a 1080p frame to the results of eleven networks (line: all passes)")
    axes.set_ylabel("MiB of anonymous memory")
    axes.grid(alpha=0.3)
    if drawn:
        _save(figure, path)
    return drawn


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    # Text as text, and the same bytes of the same figures.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mnnlite"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw(data: dict[str, Any], folder: Path) -> dict[str, str]:
    """Draw the plots there is something for; their names and what they show."""
    import matplotlib as mpl

    mpl.use("svg")
    groups = groups_of(data["rows"])
    plots = {
        "performance-ratios.svg": (
            draw_ratios,
            "How many times better mnnlite is than each rival, for each thing measured.",
        ),
        "performance-many.svg": (draw_many, "Time and memory of eleven networks in each contender."),
    }
    return {name: text for name, (drawn, text) in plots.items() if drawn(groups, folder / name)}


# ---- files


def between(text: str, lines: list[str]) -> str:
    """Put lines in the place of what stands between the marks."""
    before, rest = text.split(BEGIN)
    return before + "\n".join([BEGIN, *lines, END]) + rest.split(END)[1]


def newest() -> Path:
    found = sorted(DATA.glob("*.json"))
    if not found:
        raise SystemExit(f"{DATA} is empty: run make bench-full first")
    return found[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="what bench.py wrote")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write this page instead of README and documentation")
    args = parser.parse_args()
    path = args.data or newest()
    data = json.loads(path.read_text(encoding="utf-8"))
    groups = groups_of(data["rows"])
    unexplained = [
        f"{row['what']}: {row['contender']}"
        for group in groups.values()
        for row in group
        if lost(row) and reason(row, groups, data["machine"]["flags"]) == NO_REASON
    ]
    if unexplained:
        print("lost without a reason in report.py:", *unexplained, sep="\n  ", file=sys.stderr)
    if args.page:
        lines = page(data, draw(data, args.page.parent))
        args.page.write_text("\n".join(["# Figures", "", *lines]) + "\n", encoding="utf-8")
        print(args.page)
        return
    README.write_text(between(README.read_text(encoding="utf-8"), readme_table(data)), encoding="utf-8")
    place = DOCS / "performance.md"
    place.write_text(between(place.read_text(encoding="utf-8"), page(data, draw(data, DOCS))), encoding="utf-8")
    print(f"README.md, docs/performance.md and its plots are of {path}")


if __name__ == "__main__":
    main()
