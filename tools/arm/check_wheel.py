"""Check that a wheel's extension is what the wheel's name says: a cross build can name an aarch64 library x86_64."""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

MACHINES = {"x86_64": 62, "aarch64": 183}


def main() -> int:
    """Compare the ELF header of each library with the platform tag."""
    wheel = Path(sys.argv[1])
    machine = next(name for name in MACHINES if wheel.stem.endswith(name))
    with zipfile.ZipFile(wheel) as file:
        libraries = [name for name in file.namelist() if ".so" in Path(name).name]
        for name in libraries:
            header = file.read(name)[:20]
            (found,) = struct.unpack_from("<H", header, 18)
            if header[:4] != b"\x7fELF" or found != MACHINES[machine] or f"-{machine}-" not in name:
                print(f"{wheel.name}: {name} is for ELF machine {found}, not for {machine}", file=sys.stderr)
                return 1
    print(f"{wheel.name}: {wheel.stat().st_size} bytes, {', '.join(libraries)} for {machine}")
    return 0 if libraries else 1


if __name__ == "__main__":
    sys.exit(main())
