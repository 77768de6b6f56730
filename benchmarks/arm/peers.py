"""Instructions of a frame on an emulated ARM CPU: mnnlite beside MNN's package and LiteRT, with OpenCV and NumPy around them.

    make arm ARGS="-k nothing"          once: the aarch64 wheel, its root, its packages
    python benchmarks/arm/peers.py [--cpu cortex-a72] [--networks NAME ...] [--json FILE]

One thread. `frame` is from a 1080p picture in memory to decoded results, `infer` the engine alone, `around` the difference:
what a user's own code costs. Counts are not speed, but they are ARM's and the same every time (tools/arm/count.py).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "arm"))

import count
from many_models import networks

CHECKOUT = Path(__file__).parents[2]
CONTENDERS = ("mnnlite", "MNN", "LiteRT")
FEW = ("face_detection_short_range", "selfie_segmentation_landscape", "face_landmark", "palm_detection_full")


def main() -> int:
    """Count, print a table, write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--networks", nargs="*", default=FEW)
    parser.add_argument("--formats", nargs="*", default=["NV12", "BGR"])
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "arm", help="what `make arm` leaves")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if not (args.folder / "wheel" / "mnnlite").is_dir():
        print(f"{args.folder} holds no aarch64 wheel: run `make arm` first", file=sys.stderr)
        return 2
    qemu = Path(
        subprocess.run(
            [CHECKOUT / "tools/arm/counting.sh"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.split()[-1]
    )
    root = args.folder / "root"
    (python,) = (root / "usr" / "bin").glob("python3.[0-9]*[0-9]")
    environment = {"PYTHONPATH": f"{args.folder / 'wheel'}:{args.folder / 'site'}"}
    files = {name: path for name, (_, path) in networks().items()}
    counted: dict[str, dict[str, float]] = {}

    def millions(contender: str, name: str, layout: str, stage: str) -> float:
        words = [
            str(python),
            str(Path(__file__).with_name("contender.py")),
            contender,
            name,
            layout,
            stage,
            str(files[name]),
        ]
        return count.per_run(qemu, args.cpu, str(root), environment, words) / 1e6

    print(f"million instructions of a frame, 1080p, one thread, {args.cpu}: infer + around (theirs / ours)")
    for name in args.networks:
        row = counted[name] = {}
        for contender in CONTENDERS:
            row[f"{contender} infer"] = millions(contender, name, "BGR", "infer")
            for layout in args.formats:
                row[f"{contender} {layout}"] = millions(contender, name, layout, "frame") - row[f"{contender} infer"]
        for layout in args.formats:
            mine = row[f"mnnlite {layout}"]
            cells = [
                f"{each} {row[f'{each} infer']:.1f} + {row[f'{each} {layout}']:.2f} ({row[f'{each} {layout}'] / mine:.1f})"
                for each in CONTENDERS
            ]
            print(f"{name:32} {layout:5} {'   '.join(cells)}", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"cpu": args.cpu, "millions": counted}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
