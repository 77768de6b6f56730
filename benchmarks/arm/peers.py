"""Instructions of a frame on an emulated ARM CPU: mnnlite beside LiteRT, ONNX Runtime, MNN's package and ncnn.

    make arm ARGS="-k nothing"          once: the aarch64 wheel, its root, its packages
    python benchmarks/arm/peers.py [--cpus cortex-a72 cortex-a76] [--fastestdet FastestDet.onnx] [--json FILE]

One thread. A frame is a 1080p picture in memory, NV12 or BGR, with a face in it; what each contender does of it, and how it is
told apart, says contender.py. OpenCV and NumPy stand around all but mnnlite. Before anything is believed, the outputs of all
are compared on the same input. Counts are not speed, but they are ARM's and the same every time (tools/arm). `report.py` makes
the page of what --json wrote.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "arm"))

import count
import fetch
import gate
import numpy as np
from cases import CONTENDERS, ONNX, PICTURES, TFLITE, TOLERANCE, picture, ready_input, spec_of, unlike
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


def files_of(names: list[str], fastestdet: Path | None) -> dict[str, dict[str, str]]:
    """Give each network's original, and what the converters of MNN and ncnn made of it."""
    found = {}
    mediapipe = networks() if set(names) & set(TFLITE) else {}
    for name in names:
        if name in mediapipe:
            original, converted = mediapipe[name]
        elif name == "fastestdet":
            assert fastestdet is not None
            original, converted = fastestdet, fetch.convert(fastestdet, fetch.FOLDER / "fastestdet.mnn")
        else:
            original, converted = fetch.original(name), fetch.mnn(name)
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
        side = PICTURES[name].side
        words = [str(tool), str(copy), f"inputshape=[1,3,{side},{side}]", "fp16=0"]
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


class Emulator:
    """The target of `make arm`, on an emulator that counts."""

    def __init__(self, folder: Path) -> None:
        script = CHECKOUT / "tools/arm/counting.sh"
        said = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.qemu, self.folder, self.root = Path(said.split()[-1]), folder, folder / "root"
        (self.python,) = (self.root / "usr" / "bin").glob("python3.[0-9]*[0-9]")
        self.plugin = gate.plugin(folder)

    def run(self, cpu: str, path: str, words: list[str]) -> tuple[int, str, dict[int, int]]:
        """Give the exit code, what was printed, and the count at each mark."""
        command = [str(self.qemu / "qemu-aarch64"), "-cpu", cpu, "-L", str(self.root), "-seed", "1"]
        for name, value in {**count._FIXED, "PYTHONPATH": path}.items():
            command += ["-E", f"{name}={value}"]
        command += ["-plugin", str(self.plugin), str(self.python), *words]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd="/")
        marks = {int(tag): int(value) for tag, value in re.findall(r"^mark (\d+) (\d+)$", done.stderr, re.M)}
        last = [line for line in done.stderr.strip().splitlines() if not line.startswith("mark ")][-1:]
        return done.returncode, done.stdout if not done.returncode else " ".join(last), marks


def counted(emulator: Emulator, cpu: str, contender: str, precision: str, frames: Path, request: dict[str, Any]) -> Any:
    """Give {network: {stage: instructions}} of a contender, or the reason why there is nothing."""
    path = f"{emulator.folder / 'wheel'}:{emulator.folder / 'site'}"
    if contender == "ncnn":
        path = f"{target_ncnn(emulator.folder, emulator.python.name.removeprefix('python'))}:{path}"
    asked = frames.parent / "request.json"
    asked.write_text(json.dumps(request))
    program = str(Path(__file__).with_name("contender.py"))
    code, said, marks = emulator.run(cpu, path, [program, contender, precision, str(frames), str(asked)])
    if code:
        return f"ends with {code}: {said[:200]}"
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    of = {
        (row.get("network"), row["stage"], row.get("format")): marks[row["end"]] - marks[row["begin"]] for row in rows
    }
    nothing = of.pop((None, "nothing", None))
    found: dict[str, dict[str, float]] = {}
    for (network, stage, layout), value in of.items():
        found.setdefault(network, {})[" ".join(filter(None, (layout, stage)))] = value - nothing
    if contender == "mnnlite":
        for stages in found.values():
            for layout in ("BGR", "NV12"):
                without = stages.pop(f"{layout} without decoder")
                stages[f"{layout} picture"] = without - stages["infer"]
                stages["decode"] = stages[f"{layout} frame"] - without
    return found


def main() -> int:
    """Count, print the lines, write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpus", nargs="*", default=["cortex-a72", "cortex-a76"])
    parser.add_argument("--networks", nargs="*", default=[*TFLITE, *ONNX])
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--fastestdet", type=Path, help="FastestDet.onnx; left out without it")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "arm", help="what `make arm` leaves")
    parser.add_argument("--json", type=Path, metavar="FILE", help="rows that are in it already are not counted again")
    args = parser.parse_args()
    if not (args.folder / "wheel" / "mnnlite").is_dir():
        print(f"{args.folder} holds no aarch64 wheel: run `make arm` first", file=sys.stderr)
        return 2
    names = [name for name in args.networks if name != "fastestdet" or args.fastestdet]
    emulator = Emulator(args.folder.resolve())
    files = files_of(names, args.fastestdet)
    store = Store(args.json, emulator, args.folder)
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        frames = picture(folder)
        for name in names:
            files[name]["ready"] = str(folder / f"{name}.npy")
            np.save(files[name]["ready"], ready_input(name, frames))
        reference = references(files, folder)
        for cpu in args.cpus:
            for precision, contender in [
                *(("normal", each) for each in args.contenders),
                *(("low", each) for each in args.contenders if each in LOW and cpu in HALF),
            ]:
                key = {"cpu": cpu, "precision": precision, "contender": contender}
                wanted = [name for name in names if name in CONTENDERS[contender] and not store.has(key, name)]
                if not wanted:
                    continue
                reports = {name: folder / f"{contender} {name}.npz" for name in wanted}
                request = {name: {**files[name], "report": str(reports[name])} for name in wanted}
                found = counted(emulator, cpu, contender, precision, frames, request)
                if isinstance(found, str):
                    print(f"{cpu} {precision} {contender}: {found}", flush=True)
                    store.add([{**key, "network": name, "fails": found} for name in wanted])
                    continue
                rows = [
                    {**key, "network": name, "stages": stages, "apart": unlike(reports[name], reference[name])}
                    for name, stages in found.items()
                ]
                store.add(rows)
                wrong += sum(line(row) for row in rows)
    return 1 if wrong else 0


def references(files: dict[str, dict[str, str]], folder: Path) -> dict[str, Path]:
    """Outputs of this machine's mnnlite on the input that is given to all."""
    found = {}
    for name, each in files.items():
        with mnnlite.Model(each["mnn"], shapes=spec_of(name, Path(each["mnn"])).shapes) as model:
            (given,) = model.inputs
            found[name] = folder / f"reference {name}.npz"
            np.savez(found[name], *model.run({given: np.load(each["ready"])}).values())
    return found


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
    """What was counted, in a file that is written after each contender; what is in it is not counted again."""

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

    def has(self, key: dict[str, str], network: str) -> bool:
        """Whether a row is there."""
        return any({**key, "network": network}.items() <= row.items() for row in self.rows)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Keep rows, with the commit that they are of."""
        self.rows += [{**row, "commit": self.commit} for row in rows]
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
