"""The page on SDKs followed to the letter: its lines that build mnnlite, in an unpacked source tree and an empty environment.

    python benchmarks/follow_howto.py PREFIX

Those that build the engine itself take half an hour and a network, so PREFIX is what they made; it stands for the page's /opt/mnn.
All other lines are run word by word, with an empty HOME and a plain PATH, and then what the page says of `mnnlite info` is looked for.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "opencl-sdk.md"


def lines_of(page: str) -> list[str]:
    """The commands of all blocks but the first, which builds the engine."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    return [line[2:] for block in blocks[1:] for line in block.splitlines() if line.startswith("$ ")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree, home = Path(folder) / "mnnlite", Path(folder) / "home"
        tree.mkdir()
        home.mkdir()
        packed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", tree], input=packed, check=True)
        kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "LD_", "POCL_", "SSL_"))}
        python = os.path.dirname(os.path.realpath(sys.executable))
        plain = {**kept, "HOME": str(home), "PATH": f"{python}:/usr/bin:/bin"}
        said = ""
        for line in lines_of(PAGE.read_text()):
            begin = time.monotonic()
            command = line.replace("/opt/mnn", str(args.prefix.resolve()))
            ran = subprocess.run(["sh", "-c", command], cwd=tree, env=plain, capture_output=True, text=True)
            print(f"{time.monotonic() - begin:6.1f} s  {line}", flush=True)
            if ran.returncode:
                print(ran.stdout[-3000:], ran.stderr[-3000:])
                return 1
            said = ran.stdout
        print(said)
        if "(sdk, " not in said or "opencl: " not in said:
            print("mnnlite info does not say sdk, and what there is of opencl")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
