"""Run clang-tidy, with the checks of .clang-tidy, over every C++ file that a build knows.

    make tidy

A file that was found clean is not looked at again until it, a header, its command or the checks change.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADERS = sorted(
    path
    for folder in ("csrc", "tests/cpp", "third_party")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".h", ".hpp", ".inl", ".inc")
)
_TARGET = re.compile(r'^#pragma GCC target\("(.+)"\)', re.MULTILINE)  # which clang does not know


def main(build: Path) -> int:
    commands = {
        Path(each["file"]): each["command"] for each in json.loads((build / "compile_commands.json").read_text())
    }
    tool = str(Path(sys.executable).with_name("clang-tidy"))
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    common = hashlib.sha256(version.encode() + (ROOT / ".clang-tidy").read_bytes())
    for header in HEADERS:
        common.update(header.read_bytes())

    def is_clean(path: Path) -> bool:
        source = path.read_bytes()
        digest = common.copy()
        digest.update(commands[path].encode() + source)
        stamp = build / "clean" / f"{path.relative_to(ROOT).as_posix().replace('/', '+')}"
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return True
        sets = [name for found in _TARGET.findall(source.decode()) for name in found.split(",")]
        done = subprocess.run(
            [tool, "--quiet", "-p", str(build), *(f"--extra-arg=-m{name}" for name in sets), str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print((done.stdout or done.stderr).replace(f"{ROOT}/", ""), end="", flush=True)
            return False
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
        return True

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        clean = list(pool.map(is_clean, (path for path in commands if ROOT in path.parents)))
    if not all(clean):
        print(f"clang-tidy: {clean.count(False)} of {len(clean)} files have faults", file=sys.stderr)
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
