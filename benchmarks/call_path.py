"""The way of a frame, and of a model, from `mnnlite run` to the native code: each function of ours, in order.

    python benchmarks/call_path.py [--calls] [--json]

One network runs on a video by the command itself, and a profiler in every thread notes who calls whom. A frame is what
happens in the main thread from one result to the next, and in the thread that reads the source from one frame to the
next: of 32 frames the one with the median of calls. A model is what happens while the pipeline opens. `way` is the chain
of calls to what is handed to native code. `up` counts calls of a function whose module imports the caller's: a way back.
With --calls each call has its line, indented under its caller; otherwise each function has one, in the order of its
first call. What a lane's thread is given to call (JOBS) is its work and no way back. What is inside native code is not
seen. Works with older versions of the package.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import av
import numpy as np

import mnnlite
from mnnlite import cli

PACKAGE = Path(mnnlite.__file__).parent
NETWORK = Path(__file__).resolve().parents[1] / "tests" / "data" / "branches.mnn"
FRAMES, WARM = 40, 8
ENDS = ("_core submit", "_core kick", "_core call", "Model.__init__")  # where native code takes over
JOBS = ("runtime/lane.py _call",)
PIPELINE = """
[runtime]
lanes = 1
[[task]]
name = "net"
model = "{network}"
decoder = {{ family = "raw" }}
image = {{ std = [255, 255, 255] }}
"""


class Call(NamedTuple):
    """A call of one of our functions."""

    name: str  # "runtime/stream.py Stream.__next__"; native ones "_core Lanes.submit"
    depth: int  # how many of our functions are on the thread's stack above it
    caller: str  # likewise, "" for none


class Recorder:
    """What every thread calls."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {}  # by thread
        self._stacks: dict[int, list[tuple[Any, str]]] = {}

    def of(self, function: Callable[[], int]) -> int:
        threading.setprofile(self.note)
        sys.setprofile(self.note)
        try:
            return function()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def note(self, frame: FrameType, event: str, arg: Any) -> None:
        stack = self._stacks.setdefault(threading.get_ident(), [])
        if event == "call" and (name := python_name(frame)):
            self._enter(stack, frame, name)
        elif event == "return" and stack and stack[-1][0] is frame:
            stack.pop()
        elif event == "c_call" and (name := native_name(arg)):
            self._enter(stack, arg, name)
            stack.pop()

    def _enter(self, stack: list[tuple[Any, str]], key: Any, name: str) -> None:
        thread = threading.current_thread().name
        calls = self.calls.setdefault(thread, [])
        calls.append(Call(name, len(stack), stack[-1][1] if stack else ""))
        stack.append((key, name))


def python_name(frame: FrameType) -> str:
    code = frame.f_code
    if not code.co_filename.startswith(str(PACKAGE)) or code.co_name in (
        "<listcomp>",
        "<genexpr>",
        "<dictcomp>",
        "<setcomp>",
    ):
        return ""
    name = getattr(code, "co_qualname", code.co_name).replace("<locals>.", "")
    return f"{Path(code.co_filename).relative_to(PACKAGE).as_posix()} {name}"


def native_name(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    if not str(getattr(function, "__module__", "") or type(owner).__module__).startswith("mnnlite"):
        return ""
    return f"_core {getattr(function, '__name__', function)}"


def imports() -> dict[str, set[str]]:
    """Which of our files each file imports, through others as well."""
    direct: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
            elif isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            for name in names:
                file = PACKAGE.parent / (name.replace(".", "/") + ".py")
                if name.startswith("mnnlite") and file.exists():
                    found.add(file.relative_to(PACKAGE).as_posix())
        direct[path.relative_to(PACKAGE).as_posix()] = found
    for _ in range(len(direct)):
        before = sum(map(len, direct.values()))
        for found in direct.values():
            found |= {each for other in list(found) for each in direct.get(other, ())}
        if sum(map(len, direct.values())) == before:
            break
    return direct


def ups(calls: list[Call], known: dict[str, set[str]]) -> Counter[str]:
    """Calls of a file that imports the caller's, and not the other way round."""
    found: Counter[str] = Counter()
    for call in calls:
        callee, caller = call.name.split(" ")[0], call.caller.split(" ")[0]
        if call.caller not in JOBS and caller in known.get(callee, ()) and callee not in known.get(caller, ()):
            found[f"{call.caller} -> {call.name}"] += 1
    return found


def record() -> Recorder:
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "film.mp4")
        with av.open(str(film), "w") as container:
            stream = container.add_stream("mpeg4", rate=30, width=64, height=48, pix_fmt="yuv420p")
            for number in range(FRAMES):
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), "rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        pipeline = Path(folder, "pipeline.toml")
        pipeline.write_text(PIPELINE.format(network=NETWORK))
        recorder = Recorder()
        command = ["run", str(pipeline), str(film), "--out", str(Path(folder, "out.jsonl")), "--quiet"]
        status = recorder.of(lambda: cli.main(command))
    if status:
        sys.exit(f"mnnlite run ended with {status}")
    return recorder


def way(calls: list[Call], ends: tuple[str, ...]) -> list[str]:
    """The chain of callers of the first call that hands over to native code."""
    for index, call in enumerate(calls):
        if call.name.endswith(ends):
            chain = [call.name]
            depth = call.depth
            for earlier in reversed(calls[:index]):
                if earlier.depth < depth:
                    depth = earlier.depth
                    chain.insert(0, earlier.name)
            return chain
    return []


def a_frame(recorder: Recorder) -> dict[str, list[Call]]:
    """The main thread between two results, of the median frame; of the source's thread a frame in the middle."""
    main = recorder.calls["MainThread"]
    paths = {"frame, the thread that asks": median_window(main, "cli/figures.py Figures.add")}
    for thread, calls in recorder.calls.items():
        if "source" in thread:
            marks = Counter(call.name for call in calls)
            put = next(name for name in marks if name.endswith("._put"))
            paths["frame, the thread that reads"] = median_window(calls, put)
    return paths


def median_window(calls: list[Call], mark: str) -> list[Call]:
    at = [index for index, call in enumerate(calls) if call.name == mark][WARM:]
    windows = sorted((calls[a:b] for a, b in itertools.pairwise(at)), key=len)
    return windows[len(windows) // 2]


def a_model(recorder: Recorder) -> dict[str, list[Call]]:
    main = recorder.calls["MainThread"]
    begin = next(index for index, call in enumerate(main) if call.name == "pipeline.py Pipeline.open")
    end = next(index for index in range(begin + 1, len(main)) if main[index].depth <= main[begin].depth)
    paths = {"model, the thread that asks": main[begin:end]}
    others = [
        call
        for thread, calls in recorder.calls.items()
        if thread != "MainThread" and "source" not in thread
        for call in calls
    ]
    paths["model, the threads of lanes"] = others
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", action="store_true", help="each call, not each function")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    recorder = record()
    known = imports()
    answer: dict[str, Any] = {}
    for what, calls in {**a_frame(recorder), **a_model(recorder)}.items():
        counts = Counter(call.name for call in calls)
        up = ups(calls, known)
        chain = way(calls, ENDS)
        answer[what] = {
            "functions": len(counts),
            "calls": len(calls),
            "up": dict(up),
            "way": chain,
            "steps": len(chain),
            "path": list(counts.items()),
        }
        if args.json:
            continue
        print(f"\n{what}: {len(counts)} functions, {len(calls)} calls, {up.total()} up")
        if chain:
            print(f"    way of {len(chain)}: {' > '.join(name.split(' ')[-1] for name in chain)}")
        if args.calls:
            least = min((call.depth for call in calls), default=0)
            for call in calls:
                print(f"    {'  ' * (call.depth - least)}{call.name}")
        else:
            for name, count in counts.items():
                print(f"    {count:3}  {name}")
        for edge, count in up.items():
            print(f"    up {count}: {edge}")
    for what in ("frame", "model"):
        mine = [each for name, each in answer.items() if name.startswith(what)]
        functions, calls, steps = (sum(each[key] for each in mine) for key in ("functions", "calls", "steps"))
        if not args.json:
            up = sum(sum(each["up"].values()) for each in mine)
            print(f"\n{what}: {functions} functions, {calls} calls, way of {steps}, {up} up")
    if args.json:
        print(json.dumps(answer, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
