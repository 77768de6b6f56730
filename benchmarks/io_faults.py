"""Every write of an output file fails once with ENOSPC and once with EIO, and every child process is killed once.

For each command that writes: it runs once and its writes below the output folder are counted, then once for each of them and each
error, with that one failing. Right is: exit 2 with one line that says what could not be written (1 and "nothing was written" where
a conversion could not be compared), no traceback; what was there before is there, lines that were written are whole, and nothing
half written or temporary stays. Then each child process that mnnlite starts is killed in its turn: an error of mnnlite, and nothing
stays.

    python benchmarks/io_faults.py
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mnnlite.video import write_picture

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "tests" / "data"
ERRORS = (errno.ENOSPC, errno.EIO)
PIPELINE = f"""
[[task]]
name = "a"
model = "{DATA / "classes.mnn"}"
image = {{ size = [16, 16] }}
"""
SAVE = "import sys; from mnnlite import pipeline; pipeline.save(pipeline.load(sys.argv[1]), sys.argv[2])"
MAPPED = "import sys, mnnlite; mnnlite.Model(sys.argv[1], weights='mapped', weights_dir=sys.argv[2]).close()"
BUDGET = """
import sys, mnnlite
with mnnlite.Runtime(memory="500 MiB") as runtime:
    runtime.add("a", mnnlite.TaskSpec(sys.argv[1], mnnlite.ImageSpec(size=(16, 16))))
"""
CODE = """
import sys, mnnlite
code = sys.argv.pop(1)
try:
    exec(code)
except mnnlite.MnnliteError as error:
    print(f"mnnlite: error: {error}", file=sys.stderr)
    sys.exit(2)
"""


def commands(work: Path, out: Path) -> dict[str, list[str]]:
    """What writes, by name."""
    program = [sys.executable, "-m", "mnnlite"]
    pictures, pipeline, net = str(work / "pictures"), str(work / "p.toml"), str(DATA / "classes.mnn")
    found = {
        "run --out": [*program, "run", pipeline, pictures, "--out", str(out / "o.jsonl")],
        "run --append": [*program, "run", pipeline, pictures, "--out", str(out / "old.jsonl"), "--append"],
        "run --save folder": [*program, "run", pipeline, pictures, "--save", str(out / "saved"), "--quiet"],
        "run --save video": [*program, "run", pipeline, pictures, "--save", str(out / "v.mp4"), "--quiet"],
        "run --trace": [*program, "run", pipeline, pictures, "--trace", str(out / "t.json"), "--quiet"],
        "dump": [*program, "dump", net, "-o", str(out / "d.npz")],
        "lock": [*program, "lock", str(out / "lock.toml")],
        "pipeline.save": [sys.executable, "-c", CODE, SAVE, pipeline, str(out / "old.toml")],
        "weights mapped": [sys.executable, "-c", CODE, MAPPED, str(DATA / "big.mnn"), str(out)],
    }
    onnx = work / "net.onnx"
    if onnx.exists():
        found["convert"] = [*program, "convert", str(onnx), "-o", str(out / "c.mnn")]
    return found


def prepare(work: Path) -> None:
    """Pictures, a pipeline, and a network to convert where onnx is installed."""
    (work / "pictures").mkdir()
    for index in range(4):
        write_picture(work / "pictures" / f"{index}.png", np.full((24, 32, 3), 60 * index, np.uint8))
    (work / "p.toml").write_text(PIPELINE)
    try:
        from onnx import TensorProto, helper, save
    except ImportError:
        return
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", values[:1], values[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), work / "net.onnx")


def fresh(out: Path) -> None:
    """The folder as it is before each run: with files that are to be kept or replaced."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    (out / "old.jsonl").write_text('{"old": 1}\n')
    (out / "old.toml").write_text("# old\n")
    (out / "lock.toml").write_text(PIPELINE)


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with more environment, away from any source folder."""
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd="/", capture_output=True, text=True, timeout=120, check=False
    )


def problems(done: subprocess.CompletedProcess[str], out: Path) -> str:
    """What is wrong after a failure, or nothing."""
    said = done.stderr.strip()
    is_finding = done.returncode == 1 and "nothing was written" in said  # a conversion that could not be compared
    if (not is_finding and (done.returncode != 2 or "mnnlite: error:" not in said)) or "Traceback" in said:
        return f"exit {done.returncode}: {said[-300:]}"
    for path in out.rglob("*"):
        if path.name.startswith(".mnnlite") or path.suffix == ".part":
            return f"{path.name} stays"
    if not (out / "old.jsonl").read_text().startswith('{"old": 1}\n'):
        return "what was written before is gone"
    for path in out.rglob("*.jsonl"):
        text = path.read_text()
        if text and not text.endswith("\n"):
            return f"{path.name} ends within a line"
        for line in text.splitlines():
            json.loads(line)
    if (out / "old.toml").read_text() != "# old\n" or (out / "lock.toml").read_text() != PIPELINE:
        return "the old file was lost"
    for path in out.rglob("*.png"):
        if not path.read_bytes().endswith(b"IEND\xaeB\x60\x82"):
            return f"{path.name} is cut"
    for path in out.rglob("*.jpg"):
        if not path.read_bytes().endswith(b"\xff\xd9"):
            return f"{path.name} is cut"
    return "" if not (out / "t.json").exists() or json.loads((out / "t.json").read_text()) else "empty trace"


def write_faults(work: Path, hook: Path) -> tuple[int, list[str]]:
    """Fail each write of each command once with each error."""
    out, counts = work / "out", work / "counts"
    points, wrong = 0, []
    for name, command in commands(work, out).items():
        fresh(out)
        counts.unlink(missing_ok=True)
        fault = {"LD_PRELOAD": str(hook), "FAIL_BELOW": str(out), "FAIL_COUNT": str(counts), "FAIL_ERRNO": "0"}
        clean = run(command, **fault, FAIL_AT="0")
        if clean.returncode != 0:
            wrong.append(f"{name}: does not run: {clean.stderr[-200:]}")
            continue
        most = max(int(word) for word in counts.read_text().split())
        print(f"{name}: {most} writes", flush=True)
        for number in ERRORS:
            for at in range(1, most + 1):
                fresh(out)
                points += 1
                done = run(command, **{**fault, "FAIL_ERRNO": str(number)}, FAIL_AT=str(at))
                problem = problems(done, out)
                if problem:
                    wrong.append(f"{name}: write {at} of {most}, {errno.errorcode[number]}: {problem}")
                    print(wrong[-1], flush=True)
    return points, wrong


def child_faults(work: Path) -> tuple[int, list[str]]:
    """Kill each child process once: mnnlite starts them with what MNNLITE_PYTHON names."""
    out, started = work / "out", work / "started"
    killer = work / "python"
    killer.write_text(
        f'#!/bin/sh\necho x >> {started}\n[ "$(wc -l < {started})" = "$KILL_AT" ] && kill -9 $$\nexec {sys.executable} "$@"\n'
    )
    killer.chmod(0o755)
    program = [sys.executable, "-m", "mnnlite"]
    cases = {
        "budget": [sys.executable, "-c", CODE, BUDGET, str(DATA / "classes.mnn")],
        "memory": [*program, "memory", str(DATA / "classes.mnn")],
        "inspect": [*program, "inspect", str(DATA / "classes.mnn")],
        "profile": [*program, "profile", str(DATA / "classes.mnn"), "--runs", "2"],
        "memory of a pipeline": [*program, "memory", str(work / "p.toml")],
    }
    if (work / "net.onnx").exists():
        cases["convert"] = [*program, "convert", str(work / "net.onnx"), "-o", str(out / "c.mnn")]
    points, wrong = 0, []
    for name, command in cases.items():
        fresh(out)
        started.unlink(missing_ok=True)
        cache = {"MNNLITE_PYTHON": str(killer), "XDG_CACHE_HOME": str(out)}
        clean = run(command, **cache, KILL_AT="0")
        if clean.returncode != 0:
            wrong.append(f"{name}: does not run: {clean.stderr[-200:]}")
            continue
        most = len(started.read_text().split()) if started.exists() else 0
        print(f"{name}: {most} child processes", flush=True)
        for at in range(1, most + 1):
            fresh(out)
            started.unlink(missing_ok=True)
            points += 1
            problem = problems(run(command, **cache, KILL_AT=str(at)), out)
            if problem or (out / "c.mnn").exists():
                wrong.append(f"{name}: child {at} of {most} killed: {problem or 'a model stays'}")
                print(wrong[-1], flush=True)
    return points, wrong


def main() -> int:
    """Print how many points there are, and how many passed."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    compiler = shutil.which("c++")
    if compiler is None:
        print("a C++ compiler is needed for the library that makes writes fail")
        return 2
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        hook = work / "failing_writes.so"
        source = str(HERE / "failing_writes.cpp")
        subprocess.run([compiler, "-std=c++17", "-O1", "-shared", "-fPIC", source, "-o", str(hook)], check=True)
        prepare(work)
        writes, wrong = write_faults(work, hook)
        children, more = child_faults(work)
    wrong += more
    print(f"failing writes: {writes} points; killed children: {children} points; wrong: {len(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
