"""SIGINT and SIGTERM at random times to ``mnnlite run`` over four kinds of sources: exit codes, lines and summaries.

Each try starts the program, waits a random time (seeded), sends one signal and waits for the end. Right is: 130 or 143 (or 0 where
the work was done before), or the signal itself where the program had not begun (Python was still importing); every line of the
output is whole JSON; no abort, no traceback but Python's own of the import; a summary where there were frames.

    python benchmarks/signals.py --tries 1000
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mnnlite.video import write_picture, write_video

NETWORK = Path(__file__).resolve().parent.parent / "tests" / "data" / "classes.mnn"
SOURCES = ("video", "folder", "pipe", "quiet pipe")
PIPELINE = f"""
[[task]]
name = "a"
model = "{NETWORK}"
image = {{ size = [16, 16] }}
"""


def prepare(folder: Path) -> None:
    """Write what the tries read."""
    (folder / "p.toml").write_text(PIPELINE)
    draw = np.random.default_rng(1)
    frames = draw.integers(0, 256, (64, 96, 160, 3), np.uint8)
    write_video(folder / "v.mp4", (frames[index % 64] for index in range(3000)), 25)
    (folder / "pictures").mkdir()
    for index in range(400):
        write_picture(folder / "pictures" / f"{index:04}.png", frames[index % 64])


def feed(pipe: Any, quiet: bool) -> None:
    """Write raw frames until the reader is gone; a quiet camera gives three and then none, and ends after a while."""
    frame = bytes(160 * 96 * 3)
    try:
        for index in range(10**6):
            pipe.write(frame)
            pipe.flush()
            if quiet and index == 2:
                time.sleep(30)
                break
            time.sleep(0.001)
        pipe.close()
    except OSError:
        pass


def one(folder: Path, kind: str, number: int, delay: float, stops_at_first: bool) -> dict[str, Any]:
    """Run, interrupt, and tell what came of it."""
    out = folder / f"{threading.get_ident()}.jsonl"
    out.unlink(missing_ok=True)
    is_pipe = "pipe" in kind
    source = {"video": folder / "v.mp4", "folder": folder / "pictures"}.get(kind, "-")
    command = [sys.executable, "-m", "mnnlite", "run", folder / "p.toml", source, "--out", out]
    if is_pipe:
        command += ["--raw", "RGB:160x96"]
    stdin = subprocess.PIPE if is_pipe else subprocess.DEVNULL
    child = subprocess.Popen(
        [os.fspath(word) for word in command], cwd=folder, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if is_pipe:
        threading.Thread(target=feed, args=(child.stdin, kind == "quiet pipe"), daemon=True).start()
    begin = time.monotonic()
    if stops_at_first:  # then count from the first line that was written
        while child.poll() is None and not (out.exists() and out.stat().st_size) and time.monotonic() - begin < 20:
            time.sleep(0.005)
    time.sleep(delay)
    child.send_signal(number)
    sent = time.monotonic()
    child.stdin = None  # the feeder's
    try:
        _, said = child.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        child.kill()
        return {"code": "hangs", "said": "", "whole": True, "lines": 0, "seconds": 40.0}
    data = out.read_bytes() if out.exists() else b""
    whole = data == b"" or data.endswith(b"\n")
    for line in data.splitlines():
        try:
            json.loads(line)
        except ValueError:
            whole = False
    return {
        "code": child.returncode,
        "said": said.decode(errors="replace"),
        "whole": whole,
        "lines": data.count(b"\n"),
        "seconds": time.monotonic() - sent,
    }


def verdict(found: dict[str, Any], number: int) -> str:
    """What is wrong with a try, or nothing."""
    code, said = found["code"], found["said"]
    if code == 1 and "KeyboardInterrupt" in said and "mnnlite" not in said:
        return ""  # Python's own end where it was still importing its library
    if code not in (0, 128 + number, -number):
        return f"exit {code}: {said[-300:]}"
    if not found["whole"]:
        return "a line is cut"
    if "Fatal" in said or "terminate called" in said or "mnnlite: internal" in said:
        return f"said {said[-300:]}"
    if code == 128 + number and "Traceback" in said:
        return f"traceback: {said[-300:]}"
    if code in (0, 128 + number) and found["lines"] and not re.search(r"\bframes? in ", said):
        return f"no summary: {said[-300:]}"
    return ""


def main() -> int:
    """Try, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="tries at a time")
    args = parser.parse_args()
    # A script that a shell started in the background ignores Ctrl-C, and so would what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    draw = random.Random(args.seed)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        tries = []
        for index in range(args.tries):
            number = draw.choice((signal.SIGINT, signal.SIGTERM))
            # A quarter while it starts, the others while frames come or at the end.
            running = draw.random() < 0.75
            delay = draw.random() * (0.8 if running else 1.2)
            tries.append((index, SOURCES[index % len(SOURCES)], number, delay, running))
        with ThreadPoolExecutor(args.jobs) as pool:
            results = pool.map(lambda each: one(folder, *each[1:]), tries)
            for (index, kind, number, _, _), found in zip(tries, results, strict=True):
                counts[f"{kind}: exit {found['code']}"] += 1
                slowest = max(slowest, found["seconds"])
                problem = verdict(found, number)
                if problem:
                    wrong.append(f"try {index}, {kind}, {number.name}: {problem}")
                    print(wrong[-1], flush=True)
                if index % 50 == 49:
                    print(f"after {index + 1} tries: {len(wrong)} wrong", flush=True)
    for key, count in sorted(counts.items()):
        print(f"{key}: {count}")
    print(f"tries: {args.tries}, seed: {args.seed}, wrong: {len(wrong)}, slowest end: {slowest:.1f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
