"""Instructions of a frame on an emulated ARM CPU: mnnlite beside LiteRT, ONNX Runtime, MNN's package and ncnn.

    make arm ARGS="-k nothing"          once: the aarch64 wheel, its root, its packages
    python benchmarks/arm/peers.py [--cpus cortex-a72 cortex-a76] [--snapshots FOLDER] [--json FILE]

One thread. A frame is a 1080p picture in memory, NV12 or BGR, with a face in it; what each contender does of it, and how it is
told apart, says contender.py. OpenCV and NumPy stand around all but mnnlite. Before anything is believed, the outputs of all
are compared on the same input, and what mnnlite's decoders and NumPy find in the same outputs. Each row is kept as soon as it
is counted; a contender that crashes loses the network that it was at. Counts are not speed, but they are ARM's and the same
every time (tools/arm). `report.py` makes the page of what --json wrote.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "arm"))

import count
import fetch
import gate
import numpy as np
from cases import (
    CONTENDERS,
    NAMES,
    ONNX,
    PICTURES,
    TFLITE,
    TOLERANCE,
    picture,
    ready_input,
    spec_of,
    unlike,
    unlike_results,
)
from many_models import networks

import mnnlite

CHECKOUT = Path(__file__).parents[2]
PACKAGES = {
    "mnnlite": "mnnlite",
    "MNN": "mnn",
    "LiteRT": "ai_edge_litert",
    "ONNX Runtime": "onnxruntime",
    "ncnn": "ncnn",
}
NCNN = ("ncnn==1.0.20261020", "pnnx==20261020")
LOW = {"mnnlite", "MNN", "ncnn"}  # have half floats, where the CPU has
HALF = {"cortex-a76"}


def files_of(names: list[str], clones: Path | None) -> dict[str, dict[str, str]]:
    """Give each network's original, and what the converters of MNN and ncnn made of it; without those of clones that are missing."""
    found = {}
    mediapipe = networks() if set(names) & set(TFLITE) else {}
    for name in names:
        files = mediapipe[name] if name in mediapipe else fetch.both(name, clones)
        if files is None:
            print(f"{name}: no clone of {fetch.SNAPSHOTS[name].repository}, left out", file=sys.stderr)
            continue
        original, converted = files
        found[name] = {"original": str(original.resolve()), "mnn": str(converted.resolve())}
        if name in ONNX:
            found[name] |= for_ncnn(name, original)
    return found


def for_ncnn(name: str, original: Path) -> dict[str, str]:
    """Give ncnn's two files of an ONNX network, by its own converter."""
    folder = fetch.FOLDER / "ncnn" / name
    param, weights = folder / "network.ncnn.param", folder / "network.ncnn.bin"
    if not param.exists():
        folder.mkdir(parents=True, exist_ok=True)
        copy = folder / "network.onnx"
        copy.write_bytes(original.read_bytes())
        tool = _install(fetch.FOLDER / "ncnn" / "host", NCNN[1], []) / "pnnx" / "pnnx"
        width, height = PICTURES[name].size
        words = [str(tool), str(copy), f"inputshape=[1,3,{height},{width}]", "fp16=0"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
        if not param.exists():
            raise SystemExit(f"pnnx made nothing of {original}: {(done.stdout + done.stderr).strip()[-300:]}")
    return {"param": str(param.resolve()), "bin": str(weights.resolve())}


def _install(folder: Path, requirement: str, options: list[str]) -> Path:
    if not (folder / ".done").exists():
        words = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-qq",
            "--no-deps",
            "--only-binary=:all:",
            "--target",
            str(folder),
        ]
        subprocess.run([*words, *options, requirement], check=True)
        (folder / ".done").touch()
    return folder


def target_ncnn(folder: Path, python: str) -> Path:
    """Give the folder with ncnn's package for the target: an environment of its own."""
    options = ["--implementation", "cp", "--python-version", python, "--abi", f"cp{python.replace('.', '')}"]
    for tag in ("manylinux_2_17", "manylinux_2_28"):
        options += ["--platform", f"{tag}_aarch64"]
    return _install(folder / "ncnn", NCNN[0], options)


class Crashed(RuntimeError):
    """What ran on the emulator, with its exit code and its last words."""


class Emulator:
    """The target of `make arm`, on an emulator that counts."""

    def __init__(self, folder: Path) -> None:
        script = CHECKOUT / "tools/arm/counting.sh"
        said = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.qemu, self.folder, self.root = Path(said.split()[-1]), folder, folder / "root"
        (self.python,) = (self.root / "usr" / "bin").glob("python3.[0-9]*[0-9]")
        self.plugin = gate.plugin(folder)

    def command(self, cpu: str, path: str, words: list[str]) -> list[str]:
        """Give the words that start the target's Python on the emulator."""
        command = [str(self.qemu / "qemu-aarch64"), "-cpu", cpu, "-L", str(self.root), "-seed", "1"]
        for name, value in {**count._FIXED, "PYTHONPATH": path}.items():
            command += ["-E", f"{name}={value}"]
        return [*command, "-plugin", str(self.plugin), str(self.python), *words]

    def run(self, cpu: str, path: str, words: list[str]) -> tuple[int, str, dict[int, int]]:
        """Give the exit code, what was printed, and the count at each mark."""
        command = self.command(cpu, path, words)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd="/")
        return done.returncode, done.stdout if not done.returncode else last_words(done.stderr), marks_in(done.stderr)

    def follow(self, cpu: str, path: str, words: list[str]) -> Iterator[tuple[str, dict[int, int]]]:
        """Give what is printed, line by line, with the count at each mark so far; `Crashed` if it does not end well."""
        with tempfile.TemporaryFile() as errors:
            command = self.command(cpu, path, words)
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd="/") as child:
                assert child.stdout is not None
                for line in child.stdout:
                    yield line, marks_in(_content(errors))
            if child.returncode:
                raise Crashed(f"ends with {child.returncode}: {last_words(_content(errors))[:200]}")


def _content(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


def marks_in(said: str) -> dict[int, int]:
    """Give the count at each mark."""
    return {int(tag): int(value) for tag, value in re.findall(r"^mark (\d+) (\d+)$", said, re.M)}


def last_words(said: str) -> str:
    """Give the last line that is not a mark's."""
    return " ".join([line for line in said.strip().splitlines() if not line.startswith("mark ")][-1:])


def counted(
    emulator: Emulator, cpu: str, contender: str, precision: str, frames: Path, request: dict[str, dict[str, str]]
) -> Iterator[tuple[str, dict[str, float] | str]]:
    """Give {stage: instructions} of each network as it is counted, or the reason why there is nothing."""
    path = f"{emulator.folder / 'wheel'}:{emulator.folder / 'site'}"
    if contender == "ncnn":
        path = f"{target_ncnn(emulator.folder, emulator.python.name.removeprefix('python'))}:{path}"
    program = str(Path(__file__).with_name("contender.py"))
    left = dict(request)
    asked = frames.parent / "request.json"
    while left:
        asked.write_text(json.dumps(left))
        of: dict[str, float] = {}
        try:
            for said, marks in emulator.follow(cpu, path, [program, contender, precision, str(frames), str(asked)]):
                row = json.loads(said) if said.startswith("{") else {}
                if "stage" in row:
                    stage = " ".join(filter(None, (row.get("format"), row["stage"])))
                    of[stage] = marks[row["end"]] - marks[row["begin"]]
                elif "network" in row:
                    del left[row["network"]]
                    yield row["network"], stages_of(of, contender)
                    of = {}
        except Crashed as error:
            if left:
                failed = next(iter(left))
                del left[failed]
                yield failed, str(error)


def stages_of(of: dict[str, float], contender: str) -> dict[str, float]:
    """Take off what a mark costs, and work out what mnnlite does in one call."""
    nothing = of["nothing"]
    stages = {stage: value - nothing for stage, value in of.items() if stage != "nothing"}
    if contender == "mnnlite":
        stages["decode"] = stages["BGR frame"] - stages.pop("BGR without decoder")
        for layout in ("BGR", "NV12"):
            stages[f"{layout} picture"] = stages[f"{layout} frame"] - stages["infer"] - stages["decode"]
    return stages


def references(files: dict[str, dict[str, str]], frames: Path, folder: Path) -> dict[str, Path]:
    """Outputs of this machine's mnnlite on the input that is given to all; what is found in them must not depend on who decodes."""
    found, wrong = {}, []
    bgr = np.load(frames)["bgr"]
    for name, each in files.items():
        each["ready"] = str(folder / f"{name}.npy")
        np.save(each["ready"], ready_input(name, frames))
        with mnnlite.Model(each["mnn"], shapes=spec_of(name, Path(each["mnn"])).shapes) as model:
            (given,) = model.inputs
            outputs = model.run({given: np.load(each["ready"])})
        wrong += [f"{name}: {line}" for line in unlike_results(name, outputs, bgr)]
        found[name] = folder / f"reference {name}.npz"
        np.savez(found[name], *outputs.values())
    if wrong:
        raise SystemExit("mnnlite and NumPy find something else in the same outputs:\n" + "\n".join(wrong))
    return found


def main() -> int:
    """Count, print the lines, write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpus", nargs="*", default=["cortex-a72", "cortex-a76"])
    parser.add_argument("--precisions", nargs="*", default=["normal", "low"], choices=["normal", "low"])
    parser.add_argument("--networks", nargs="*", default=list(NAMES), choices=NAMES)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--snapshots", type=Path, help="a folder of clones, OWNER/NAME, of repositories on GitHub")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "arm", help="what `make arm` leaves")
    parser.add_argument("--json", type=Path, metavar="FILE", help="rows that are in it already are not counted again")
    args = parser.parse_args()
    if not (args.folder / "wheel" / "mnnlite").is_dir():
        print(f"{args.folder} holds no aarch64 wheel: run `make arm` first", file=sys.stderr)
        return 2
    emulator = Emulator(args.folder.resolve())
    files = files_of(args.networks, args.snapshots)
    store = Store(args.json, emulator, args.folder)
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        frames = picture(folder)
        reference = references(files, frames, folder)
        for cpu in args.cpus:
            for precision, contender in itertools.product(args.precisions, args.contenders):
                if precision == "low" and (contender not in LOW or cpu not in HALF):
                    continue
                key = {"cpu": cpu, "precision": precision, "contender": contender}
                request = {
                    name: {**each, "report": str(folder / f"{name}.npz")}
                    for name, each in files.items()
                    if name in CONTENDERS[contender] and not store.has({**key, "network": name})
                }
                for name, found in counted(emulator, cpu, contender, precision, frames, request):
                    row: dict[str, Any] = {**key, "network": name}
                    if isinstance(found, str):
                        row["fails"] = found
                        print(f"{cpu} {precision} {contender} {name}: {found}", flush=True)
                    else:
                        row |= {"stages": found, "apart": unlike(Path(request[name]["report"]), reference[name])}
                        wrong += line(row)
                    store.add(row)
    return 1 if wrong else 0


def line(row: dict[str, Any]) -> bool:
    """Print a row; say whether its outputs are wrong."""
    stages, bad = row["stages"], row["apart"] > TOLERANCE[row["precision"]]
    around = {layout: stages[f"{layout} frame"] - stages["infer"] for layout in ("NV12", "BGR")}
    print(
        f"{row['cpu']} {row['precision']:6} {row['contender']:12} {row['network']:30} infer {stages['infer'] / 1e6:8.2f}  "
        f"around NV12 {around['NV12'] / 1e6:6.2f}, BGR {around['BGR'] / 1e6:6.2f}  decode {stages['decode'] / 1e6:6.3f}"
        + (f"  OUTPUTS {row['apart']:.1e} APART" if bad else ""),
        flush=True,
    )
    return bool(bad)


class Store:
    """What was counted, in a file that is written after each row; what is in it is not counted again."""

    def __init__(self, path: Path | None, emulator: Emulator, folder: Path) -> None:
        self.path = path
        self.commit = _said("git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD")
        self.head = {
            "date": datetime.now(timezone.utc).date().isoformat(),
            "emulator": _said(str(emulator.qemu / "qemu-aarch64"), "--version").splitlines()[0],
            "python": emulator.python.name,
            "versions": {
                name: _version(folder / "ncnn" if name == "ncnn" else folder / "site", package)
                for name, package in PACKAGES.items()
            },
        }
        self.rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path and path.exists() else []

    def has(self, key: dict[str, str]) -> bool:
        """Whether a row is there."""
        return any(key.items() <= row.items() for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, with the commit that it is of."""
        self.rows.append({**row, "commit": self.commit})
        if self.path:
            self.path.write_text(json.dumps({**self.head, "rows": self.rows}, indent=1) + "\n")


def _version(site: Path, package: str) -> str:
    found = [
        each.version
        for each in importlib.metadata.distributions(path=[os.fspath(site)])
        if each.name.lower().replace("-", "_") == package
    ]
    return found[0] if found else "of this commit" if package == "mnnlite" else "absent"


def _said(*words: str) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
