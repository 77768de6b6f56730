"""All benchmarks in one run, as dated data: what `make bench` and `make bench-full` do.

    python benchmarks/bench.py [--full] [--passes N] [--minutes N] [--sections many ...] [--scripts frame_time ...] [--label NAME]

Runs the other scripts of this folder, one at a time, as they are: they check that contenders give equal results, and let them
take turns. This script makes an environment for each contender (environments.py says why), runs all scripts in passes (a
pass is each of them once, so that the repetitions of a figure lie minutes apart; no third one begins that would end after --minutes),
and notes the machine before and after each. A row of the data is one contender's figure: the median over the passes, how far
they are apart, and its ratio to mnnlite's of the same pass. A script that fails is a row that says so, and the run goes on.

What was measured so far is in build/bench/DATE-MACHINE.json after each script. With --full the whole of it goes to
benchmarks/data, and report.py makes README's table, docs/performance.md and its plots of it; otherwise build/bench/report.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import environments
import machine

HERE = Path(__file__).parent
BUILD, DATA = HERE.parent / "build" / "bench", HERE / "data"
OURS = "mnnlite"
SECTIONS = ("native", "binding", "pipeline", "many", "schedule", "start-up", "arm")
NOISY = 0.05  # rows whose repetitions are further apart are marked
TIMEOUT_S = 900
Result = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """What one run of a script says of one contender."""

    section: str
    what: str
    contender: str
    value: float
    unit: str
    better: str = "lower"  # or "higher"
    equal: bool | None = None  # results compared with mnnlite's before; None: there are none to compare
    note: str = ""
    script: str = ""


@dataclass(frozen=True)
class Script:
    """One script of this folder, or a module with -m; `quick` and `full` are its options, None that it is left out."""

    sections: tuple[str, ...]
    command: tuple[str, ...]
    quick: tuple[str, ...] | None
    full: tuple[str, ...]
    figures: Callable[[Result], Iterator[Figure]]
    environments: bool = False  # its children run in their contenders' own
    once: bool = False  # the same result every time

    @property
    def name(self) -> str:
        """As --scripts takes it: that of the file or module."""
        return " ".join(self.command[1:]) if self.command[0] == "-m" else self.command[0]

    @property
    def file(self) -> str:
        """What a reader calls."""
        return f"python {' '.join(self.command)}" if self.command[0] == "-m" else f"{self.command[0]}.py"


# ---- what each script says


def images(found: Result) -> Iterator[Figure]:
    names = {
        "resize+cvtColor+NumPy": "OpenCV + NumPy",
        "cvtColor+resize+NumPy": "OpenCV + NumPy",
        "OpenCV loop": "OpenCV + NumPy",
        "blobFromImage": "OpenCV blobFromImage",
        "CVImageProcess": "MNN CVImageProcess",
        OURS: OURS,
    }  # cv2.resize alone is not the same work
    for layout, title in (("bgr", "BGR "), ("nv12", "NV12 "), ("crops", "")):
        cells: dict[str, list[float]] = {}
        for row in found[layout]["rows"]:
            for name, us in row["us"].items():
                if name in names:
                    cells.setdefault(names[name], []).append(us)
                    yield Figure("native", f"{title}{row['frame']} to {row['side']}", names[name], us, "us", equal=True)
        for name, values in cells.items():
            if layout != "crops":
                what = f"{title}frames of 720p to 4K to float tensors of 224 to 640, geometric mean"
                yield Figure("native", what, name, statistics.geometric_mean(values), "us", equal=True)


def heads(found: Result) -> Iterator[Figure]:
    for row in found["cases"]:
        what = f"decode {row['case']}"
        yield Figure("native", what, OURS, row["native_us"], "us", equal=True)
        yield Figure("native", what, "mnnlite, result objects in Python", row["python_us"], "us", equal=True)
        yield Figure(
            "native", what, "NumPy" if row["case"] == "ctc" else "OpenCV + NumPy", row["usual_us"], "us", equal=True
        )
    if found["plugin_call_ns"] is not None:
        yield Figure("native", "empty call of a decoder plug-in", OURS, found["plugin_call_ns"] / 1e3, "us")


def calls(found: Result) -> Iterator[Figure]:
    for name, row in found["networks"].items():
        yield Figure("binding", f"run(borrow=True) of '{name}'", OURS, row["mnnlite"], "us")
        yield Figure("binding", f"run(borrow=True) of '{name}'", "the same loop in C++", row["cpp"], "us")
    worst = max(row["overhead"] for row in found["networks"].values())
    yield Figure("binding", "a run more than the loop in C++, worst of three networks", OURS, worst, "us")
    counted = sum(row["allocations_in_200_runs"] for row in found["networks"].values())
    yield Figure("binding", "allocations in 600 runs", OURS, counted, "allocations")


def branches(found: Result) -> Iterator[Figure]:
    what = "one of pose_landmark_full's five outputs"
    ways = {"branch by path": OURS, "branch by call": "mnnlite, chosen by call", "all outputs": "all outputs"}
    for way, name in ways.items():
        yield Figure("binding", what, name, found["median"][way], "ms", equal=found["equal"])


def threads(found: Result) -> Iterator[Figure]:
    yield Figure(
        "binding",
        "two models on two threads, times one after the other",
        OURS,
        found["parallel"]["speed_up"],
        "x",
        "higher",
    )
    what = "a task beside a busy Python thread, more than alone (a switch interval is 5 ms)"
    yield Figure("binding", what, OURS, found["busy"]["cost_ms"], "ms")


def threads_text(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def one_network(found: Result) -> Iterator[Figure]:
    for row in found["rows"]:
        about = {
            "unit": "ms",
            "equal": row["equal"],
            "note": "" if row["equal"] else f"outputs {row['apart']:.1e} apart",
        }
        where = f"{row['network']}, {threads_text(row['threads'])}"
        yield Figure("pipeline", f"{where}: 1080p BGR to results", row["contender"], row["frame_ms"], **about)
        yield Figure("pipeline", f"{where}: the engine's call alone", row["contender"], row["engine_ms"], **about)


def lanes(name: str) -> tuple[str, str]:
    """Contender and threads of 'mnnlite mapped, 2 lanes' and 'MNN, 1 thread'."""
    contender, count = name.split(", ")
    return contender.replace(" mapped", ", mapped weights"), threads_text(int(count.split()[0]))


def eleven(found: Result) -> Iterator[Figure]:
    unlike = {name: [line for line in found["differences"] if line.startswith(name)] for name in found["frame_ms"]}
    for name, ms in found["frame_ms"].items():
        contender, count = lanes(name)
        about = {"unit": "ms", "equal": not unlike[name], "note": "; ".join(unlike[name])}
        yield Figure("many", f"eleven networks, 1080p BGR to results, {count}", contender, ms, **about)
        what = f"cold start of eleven networks, first constructor to first results, {count}"
        yield Figure("start-up", what, contender, found["cold_ms"][name], **about)
    yield Figure("many", "a frame less the work of its busiest lane, a task", OURS, found["overhead_us_a_task"], "us")
    what = "a frame less the work of its busiest lane, beside a busy Python thread (a switch interval is 5 ms)"
    yield Figure("many", what, OURS, found["overhead_ms_a_frame_beside_a_busy_thread"], "ms")


def memory_of_many(found: Result) -> Iterator[Figure]:
    for name, row in found["contenders"].items():
        contender, count = lanes(name)
        what = f"eleven networks, anonymous memory after two frames, {count}"
        yield Figure("many", what, contender, row["two frames"], "MiB")
        yield Figure(
            "many", f"{what}, all but the smallest removed", contender, row["all but the smallest removed"], "MiB"
        )


def memory_of_one(found: Result) -> Iterator[Figure]:
    beside = ", external weights"
    for name, stages in found["stages"].items():
        where = "weights in a file beside it, " if name.endswith(beside) else ""
        for stage in ("load peak", "loaded", "first run", "closed"):
            what = f"pose_landmark_full, anonymous memory: {where}{stage}"
            yield Figure("start-up", what, name.removesuffix(beside), stages[stage], "MiB")


def imports(found: Result) -> Iterator[Figure]:
    names = {"ai_edge_litert.interpreter": "LiteRT", "onnxruntime": "ONNX Runtime", "MNN": "MNN", OURS: OURS}
    for module, name in names.items():
        what, note = (
            "import, more than a bare start of Python",
            "NumPy comes with the first use" if name == OURS else "",
        )
        yield Figure("start-up", what, name, found["cost"][module], "ms", note=note)


def policies(found: Result) -> Iterator[Figure]:
    names = {"preempt": OURS, "edf": "mnnlite without preemption", "fifo": "first in, first out"}
    for policy, name in names.items():
        row = found[policy]
        yield Figure("schedule", "urgent task beside a long network: start, p99", name, row["start_p99_ms"], "ms")
        yield Figure("schedule", "urgent task beside a long network: result, p99", name, row["result_p99_ms"], "ms")
        yield Figure("schedule", "urgent task beside a long network: late frames", name, 100 * row["late"], "%")
        yield Figure(
            "schedule", "urgent task beside a long network: the long one's own time", name, row["long_ms"], "ms"
        )


def overload(found: Result) -> Iterator[Figure]:
    names = {"edf, preempting": OURS, "edf": "mnnlite without preemption", "fifo": "first in, first out",
             "fifo, important first": "first in, first out, important first"}  # fmt: skip
    for policy, name in names.items():
        useful = statistics.median(each["useful"] for each in found["real"][policy])
        what = "twice the work there is time for: priorities of results in time, a second"
        yield Figure("schedule", what, name, useful, "", "higher")


def drive(found: Result) -> Iterator[Figure]:
    summary = found["summary"]
    what = "the road pack's four networks on a drive of 640x360, one lane"
    yield Figure("pipeline", f"{what}: frames a second, of 25", OURS, summary["frames_per_second"], "", "higher")
    yield Figure("pipeline", f"{what}: dropped of 100 frames", OURS, summary["dropped"], "frames")
    for percentile in ("p50", "p99"):
        yield Figure(
            "pipeline", f"{what}: camera to results, {percentile}", OURS, summary["frame_ms"][percentile], "ms"
        )
    yield Figure("pipeline", f"{what}: at most resident", OURS, summary["peak_rss_mib"], "MiB")


def quality(found: Result) -> Iterator[Figure]:
    for name in ("objects mAP50", "lane pixel F1", "sign accuracy", "text exact match"):
        what = f"the road pack on rendered scenes of other seeds: {name}"
        yield Figure("pipeline", what, OURS, found["scores"][name]["value"], "", "higher")


def arm(found: Result) -> Iterator[Figure]:
    cpu, precision = "cortex-a72", "normal"
    note = f"counted {found['date']}, {found['emulator']}; counts are not speed"
    for row in found["rows"]:
        if "stages" in row and (row["cpu"], row["precision"]) == (cpu, precision):
            for stage, title in (("NV12 frame", "1080p NV12 to results"), ("infer", "the engine's call alone")):
                what = f"{row['network']} on {cpu}, 1 thread: {title}"
                value = row["stages"][stage] / 1e6
                yield Figure(
                    "arm", what, row["contender"], value, "M instructions", equal=row["apart"] < 2e-3, note=note
                )


def newest_counts() -> Path:
    return sorted((HERE / "arm" / "data").glob("[0-9]*.json"))[-1]


FACE = str(HERE.parent / "build" / "fetched" / "face_detection_short_range.mnn")
SCRIPTS = (
    Script(("many", "start-up"), ("frame_time",), ("--rounds", "4", "--cold", "1"), ("--rounds", "10", "--cold", "3"), eleven, True),
    Script(("pipeline",), ("one_network",), ("--rounds", "4", "--frames", "4"), ("--rounds", "8", "--frames", "6"), one_network, True),
    Script(("native",), ("image_to_tensor",), ("--rounds", "10"), ("--rounds", "30"), images),
    Script(("native",), ("decode",), ("--rounds", "10"), ("--rounds", "40"), heads),
    Script(("binding",), ("call_overhead",), ("--runs", "1000", "--rounds", "3"), ("--runs", "3000", "--rounds", "5"), calls),
    Script(("binding",), ("branches",), ("--rounds", "9"), ("--rounds", "25"), branches),
    Script(("binding",), ("threads", FACE), ("--runs", "40"), ("--runs", "150"), threads),
    Script(("start-up",), ("import_time",), ("--rounds", "5"), ("--rounds", "11"), imports, True),
    Script(("start-up",), ("memory_one_model",), (), (), memory_of_one, True),
    Script(("many",), ("many_models",), ("--frames", "2"), ("--frames", "4"), memory_of_many, True),
    Script(("schedule",), ("preempt",), ("--rounds", "1", "--frames", "50"), ("--rounds", "1", "--frames", "150"), policies),
    Script(("schedule",), ("overload",), ("--rounds", "1", "--frames", "60", "--seeds", "1"), ("--rounds", "1", "--frames", "150", "--seeds", "1"), overload),
    Script(("pipeline",), ("-m", "mnnlite", "demo"), (), (), drive),
    Script(("pipeline",), ("-m", "mnnlite.demo.metrics"), None, ("--scenes", "500"), quality, once=True),
)  # fmt: skip


# ---- the machine


def state() -> dict[str, Any]:
    """Load, governors and frequencies, where the system says them."""
    cpus = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    governors = {
        (each / "scaling_governor").read_text().strip() for each in cpus if (each / "scaling_governor").exists()
    }
    text = Path("/proc/cpuinfo").read_text()
    mhz = [float(value) for value in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text, re.M)]
    current = [
        int((each / "scaling_cur_freq").read_text()) / 1e3 for each in cpus if (each / "scaling_cur_freq").exists()
    ]
    return {
        "load": [round(each, 2) for each in os.getloadavg()],
        "governor": ", ".join(sorted(governors)) or "not readable",
        "mhz": [round(each) for each in (current or mhz)] or "not readable",
    }


def processor_seconds() -> tuple[float, float]:
    """What all processes have used, and what the hypervisor kept."""
    user, nice, system, _, _, irq, softirq, stolen = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, stolen / tick


def own_seconds() -> float:
    """What this process and its children that have ended used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def about() -> dict[str, Any]:
    """Give what does not change while this runs."""
    text = Path("/proc/cpuinfo").read_text()
    flags = next(
        (line.split(":")[1].split() for line in text.splitlines() if line.startswith(("flags", "Features"))), []
    )
    wanted = (
        "avx2",
        "fma",
        "avx512f",
        "avx512_vnni",
        "avx_vnni",
        "amx_tile",
        "asimdhp",
        "asimddp",
        "i8mm",
        "hypervisor",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": machine.cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "machine": platform.machine(),
        "flags": [each for each in wanted if each in flags],
        "system": " ".join(platform.libc_ver()) + ", Linux " + platform.release().split("-")[0],
        "python": platform.python_version(),
        "environment": {
            name: os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name in os.environ
        },
    }


def commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "not a checkout"


# ---- running


@dataclass
class Run:
    """One script's run in one pass."""

    script: str
    options: list[str]
    number: int
    seconds: float = 0.0
    cores_used_by_others: float = 0.0
    cores_stolen: float = 0.0
    before: dict[str, Any] = field(default_factory=state)
    after: dict[str, Any] = field(default_factory=dict)
    failed: str = ""


def last_object(text: str) -> Result | None:
    """Give the last JSON object that was printed; engines print lines of their own, before and at their end."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                found: Result = json.loads(line)
            except ValueError:
                continue
            return found
    return None


def run(
    script: Script, options: list[str], number: int, places: Path, timeout: float = TIMEOUT_S
) -> tuple[Run, Result | None]:
    """Run a script once; what it printed, and how that went."""
    made = Run(script.name, options, number)
    command = (
        list(script.command)
        if script.command[0] == "-m"
        else [str(HERE / f"{script.command[0]}.py"), *script.command[1:]]
    )
    command += [*options, *(["--environments", str(places)] if script.environments else [])]
    begin, (busy, stolen), own = time.perf_counter(), processor_seconds(), own_seconds()
    text = ""
    with tempfile.TemporaryFile("w+") as errors:
        # Not in the checkout, whose mnnlite is not the installed one; in a session of its own, to be ended with its children.
        child = subprocess.Popen(
            [sys.executable, *command, "--json"],
            cwd=HERE, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            text, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            made.failed = f"took more than {timeout:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):  # none of its children is left to disturb the next script
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()  # what is left of its output, and its end
        errors.seek(0)
        # Where this folder lies is nobody's business.
        said = [line for line in errors.read().replace(str(HERE.parent), ".").splitlines() if line.strip()]
    made.seconds = round(time.perf_counter() - begin, 1)
    busy, stolen = (after - before for after, before in zip(processor_seconds(), (busy, stolen), strict=True))
    made.cores_used_by_others = round(max(0.0, busy - (own_seconds() - own)) / made.seconds, 3) if made.seconds else 0.0
    made.cores_stolen = round(stolen / made.seconds, 3) if made.seconds else 0.0
    made.after = state()
    found = last_object(text)
    if not made.failed and child.returncode:
        made.failed = f"ended with {child.returncode}: {(said or ['nothing was said'])[-1][:300]}"
    if not made.failed and found is None:
        made.failed = "printed no result"
    return made, found


# ---- rows


def spread(values: list[float]) -> float | None:
    """How far repetitions are apart, of their median (of the largest, where that is 0); None of a single one."""
    if len(values) < 2:
        return None
    apart = max(values) - min(values)
    return apart / abs(statistics.median(values) or max(values, key=abs)) if apart else 0.0


def ratio(ours: Figure, theirs: Figure) -> float | None:
    """How many times better mnnlite is: above 1 it wins."""
    low, high = (ours.value, theirs.value) if ours.better == "lower" else (theirs.value, ours.value)
    return high / low if low > 0 else None


def rows_of(passes: Iterable[list[Figure]]) -> list[Result]:
    """One row a contender and thing measured, of what all passes said."""
    found: dict[tuple[str, str, str], list[tuple[Figure, float | None]]] = {}
    for figures in passes:
        ours = {(each.section, each.what): each for each in figures if each.contender == OURS}
        for each in figures:
            base = ours.get((each.section, each.what))
            compared = None if base is None or base is each or False in (each.equal, base.equal) else ratio(base, each)
            found.setdefault((each.section, each.what, each.contender), []).append((each, compared))
    rows = []
    for (section, what, contender), entries in found.items():
        first = entries[0][0]
        values = [each.value for each, _ in entries]
        ratios = [compared for _, compared in entries if compared is not None]
        equal = [each.equal for each, _ in entries]
        row: Result = {
            "section": section,
            "what": what,
            "contender": contender,
            "script": first.script,
            "unit": first.unit,
            "better": first.better,
            "figure": statistics.median(values),
            "values": values,
            "spread": spread(values),
            "equal": None if None in equal else all(equal),
        }
        if ratios:
            row |= {"ratio": statistics.median(ratios), "ratios": ratios, "ratio_spread": spread(ratios)}
        row["noisy"] = any((row.get(key) or 0) > NOISY for key in ("spread", "ratio_spread"))
        if notes := "; ".join(dict.fromkeys(each.note for each, _ in entries if each.note)):
            row["note"] = notes
        rows.append(row)
    return rows


def failures(runs: Iterable[Run], scripts: Iterable[Script]) -> list[Result]:
    """A row for each script that failed."""
    section = {each.name: each.sections[0] for each in scripts}
    return [
        {"section": section[each.script], "what": f"{each.script}, pass {each.number}", "failed": each.failed}
        for each in runs
        if each.failed
    ]


# ---- all of it


class Session:
    """What was measured so far, in a file that is written after each script."""

    def __init__(self, scripts: list[Script], mode: str, path: Path, places: Path) -> None:
        self.scripts, self.path = scripts, path
        self.runs: list[Run] = []
        self.figures: dict[int, list[Figure]] = {}
        self.head = {
            "date": datetime.now(timezone.utc).date().isoformat(),
            "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": commit(),
            "mode": mode,
            "passes": 0,
            "machine": about(),
            "versions": environments.versions(places),
        }

    def one_pass(self, number: int, full: bool, places: Path) -> None:
        """Run each script once."""
        self.head["passes"] = number
        todo = [each for each in self.scripts if number == 1 or not each.once]
        for index, script in enumerate(todo, 1):
            options = list((script.full if full else script.quick) or ())
            print(f"[pass {number}, {index} of {len(todo)}] {script.name}", end=" ", flush=True)
            made, found = run(script, options, number, places)
            self.add(made, found, script)
            print(
                f"{made.seconds:.0f} s, others used {made.cores_used_by_others:.2f} cores, {made.cores_stolen:.2f} stolen"
                + (f"; FAILED: {made.failed}" if made.failed else ""),
                flush=True,
            )

    def add(self, made: Run, found: Result | None, script: Script) -> None:
        self.runs.append(made)
        if found is not None:
            self.read(made, found, script)
        self.write(complete=False)

    def read(self, made: Run, found: Result, script: Script) -> None:
        """Take the figures of a result; one that lacks something is a failure of that script."""
        try:
            read = [replace(each, script=script.file) for each in script.figures(found)]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            made.failed = made.failed or f"its result is not what was expected: {error!r}"
            return
        self.figures.setdefault(made.number, []).extend(read)

    def data(self, complete: bool) -> Result:
        rows = rows_of(self.figures[number] for number in sorted(self.figures))
        rows = sorted(rows, key=lambda row: SECTIONS.index(row["section"]))
        return {
            **self.head,
            "complete": complete,
            "seconds": round(sum(each.seconds for each in self.runs)),
            "rows": [*rows, *failures(self.runs, self.scripts)],
            "runs": [vars(each) for each in self.runs],
        }

    def write(self, complete: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.data(complete), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def prepare() -> Path:
    """Environments and networks, before anything is timed."""
    import fetch
    from many_models import networks

    places = BUILD / "environments"
    environments.create(places)
    networks()
    for name in ("pose_landmark_full", "face_detection_short_range"):
        fetch.mnn(name)
        fetch.mnn(name, external=True)
    fetch.mnn("yolov8")
    return places


def chosen(args: argparse.Namespace) -> list[Script]:
    return [
        each
        for each in SCRIPTS
        if (args.full or each.quick is not None)
        and (args.sections is None or set(args.sections) & set(each.sections))
        and (args.scripts is None or each.name in args.scripts)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="for figures that are kept: about 20 minutes; otherwise 5")
    parser.add_argument("--passes", type=int, help="how often each script runs at most (3, with --full 5)")
    parser.add_argument(
        "--minutes", type=float, help="no third pass or later one begins that would end after these (5, with --full 20)"
    )
    parser.add_argument(
        "--sections", nargs="*", choices=SECTIONS, help="only these; nothing goes to benchmarks/data then"
    )
    parser.add_argument("--scripts", nargs="*", metavar="NAME", help="only these; nothing goes to benchmarks/data then")
    parser.add_argument("--label", help="the machine in the file's name; its CPU if not given")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the script that runs is ended, too
    passes = args.passes or (5 if args.full else 3)
    label = args.label or f"{re.sub(r'[^a-z0-9]+', '-', machine.cpu().lower()).strip('-')}-{os.cpu_count()}"
    date = datetime.now(timezone.utc).date().isoformat()
    path = BUILD / f"{date}-{label}{'' if args.full else '-quick'}.json"
    scripts = chosen(args)
    print("environments and networks", flush=True)
    places = prepare()
    session = Session(scripts, "full" if args.full else "quick", path, places)
    limit_s = 60 * (args.minutes or (20 if args.full else 5))
    begin, last = time.perf_counter(), 0.0
    for number in range(1, passes + 1):
        start = time.perf_counter()
        if number > 2 and start - begin + last > limit_s:
            print(f"{number - 1} passes, as one more would take more than {limit_s / 60:g} minutes")
            break
        session.one_pass(number, args.full, places)
        last = time.perf_counter() - start
    if args.sections is None or "arm" in args.sections:
        counts = newest_counts()
        read = [replace(each, script="arm/peers.py") for each in arm(json.loads(counts.read_text()))]
        session.figures.setdefault(1, []).extend(read)
    session.write(complete=True)
    print(f"{time.perf_counter() - begin:.0f} s, {path}")
    whole = args.sections is None and args.scripts is None
    if args.full and whole:
        DATA.mkdir(exist_ok=True)
        path = DATA / path.name
        path.write_bytes((BUILD / path.name).read_bytes())
    command = [sys.executable, str(HERE / "report.py"), str(path)]
    made = subprocess.run(
        command if args.full and whole else [*command, "--page", str(BUILD / "report.md")], check=False
    )
    return 1 if made.returncode or any(each.failed for each in session.runs) else 0


if __name__ == "__main__":
    sys.exit(main())
