"""The device case: dumps made by the aarch64 wheel under emulation, compared with the network on this machine.

    python tools/arm/device_case.py build/arm MODEL.mnn [--reference MODEL.onnx] [--cpu max] [--tolerance X]

The folder is what `make arm` leaves. In normal precision the comparison must be clean; in low precision, on a CPU with half
floats, it must name the first operator beyond tolerance. Exit 1 if either is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def dumped(python: Path, cpu: str, model: Path, precision: str, target: Path) -> float:
    """Dump on the emulated device; give the seconds."""
    begin = time.perf_counter()
    words = [
        python,
        "-m",
        "mnnlite",
        "dump",
        model,
        "-o",
        target,
        "--precision",
        precision,
    ]
    subprocess.run(
        list(map(str, words)),
        check=True,
        env={**os.environ, "TARGET_CPU": cpu},
        cwd="/",
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def compared(dump: Path, reference: Path, tolerance: float) -> tuple[int, dict[str, Any]]:
    """Compare here; give the exit code and what was found."""
    words = [
        sys.executable,
        "-m",
        "mnnlite",
        "compare",
        dump,
        reference,
        "--tolerance",
        tolerance,
        "--json",
    ]
    done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, check=False, cwd="/")
    return done.returncode, json.loads(done.stdout)


def main() -> int:
    """Print a line for each precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arm", type=Path, help="the folder that make arm leaves: build/arm")
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--reference",
        type=Path,
        help="an .onnx or .tflite file; the model itself if not given",
    )
    parser.add_argument("--cpu", default="max", help="of the emulator; one with half floats")
    parser.add_argument("--tolerance", type=float, default=2e-3)
    args = parser.parse_args()
    for path in (
        args.arm / "python",
        args.model,
        *([args.reference] if args.reference else []),
    ):
        if not path.is_file():
            parser.error(f"there is no file {path}")
    reference = (args.reference or args.model).resolve()
    right = True
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("normal", "low"):
            dump = Path(folder) / f"{precision}.npz"
            seconds = dumped(
                args.arm.resolve() / "python",
                args.cpu,
                args.model.resolve(),
                precision,
                dump,
            )
            code, found = compared(dump, reference, args.tolerance)
            first = found["first_deviation"]
            said = (
                "clean"
                if first is None and code == 0
                else "outputs differ"
                if first is None
                else (
                    f"first {first['op']} ({first['type']} on {first['backend']}), tensor {first['tensor']}, max abs "
                    f"{first['max_abs']:.3g}, relative {first['relative']:.2e}, cosine {first['cosine']:.6f}, "
                    f"{'born here' if first['born_here'] else 'inherited'}, {first['case']} input"
                )
            )
            right &= (code == 0) if precision == "normal" else (code == 1 and first is not None)
            print(
                f"{args.model.name} {precision}: {said}; {found['matched']} matched, {found['unmatched']} unmatched, exit {code}; "
                f"dumped in {seconds:.0f} s",
                flush=True,
            )
    print("as it should be" if right else "NOT as it should be")
    return int(not right)


if __name__ == "__main__":
    raise SystemExit(main())
