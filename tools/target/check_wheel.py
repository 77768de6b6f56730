"""Check that a wheel is what its name says and demands no more than it may.

usage: check_wheel.py WHEEL ...

A cross build can name an aarch64 library x86_64, a repair can leave a path of the machine it ran on, and a new compiler can
demand a C library that no board has.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
NEEDED = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"}
LICENCES = {"LICENSE", "third_party/mnn/README.md"}
NEWEST_GLIBC = (
    2,
    31,
)  # Debian bullseye's, which wheels are linked in here; the release's, of manylinux_2_28, demand less


def _is_newer(symbol_version: str) -> bool:
    number = symbol_version.removeprefix("GLIBC_")
    return number != symbol_version and tuple(map(int, number.split("."))) > NEWEST_GLIBC


def faults(wheel: Path) -> list[str]:
    """Tell what is wrong with a wheel."""
    machine = next((name for name in MACHINES if wheel.stem.endswith(name)), None)
    if machine is None:
        return [f"its name ends with none of {', '.join(MACHINES)}"]
    found: list[str] = []
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        libraries = [name for name in names if ".so" in Path(name).name]
        if len(libraries) != 1:
            found.append(
                f"it holds {len(libraries)} libraries ({', '.join(libraries)}), 1 is wanted: nothing is to be bundled"
            )
        for name in libraries:
            elf = ELFFile(io.BytesIO(file.read(name)))
            if elf["e_machine"] != MACHINES[machine] or f"-{machine}-" not in name:
                found.append(f"{name} is for {elf['e_machine']}, not for {machine}")
            if f"cpython-{wheel.name.split('-')[2].removeprefix('cp')}-" not in name:
                found.append(f"{name} is of another Python than {wheel.name.split('-')[2]}")
            for section in elf.iter_sections():
                if not isinstance(section, DynamicSection):
                    continue
                for tag in section.iter_tags():
                    if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}:
                        found.append(f"{name} has the search path {getattr(tag, 'rpath', None) or tag.runpath}")
                    if (
                        tag.entry.d_tag == "DT_NEEDED"
                        and tag.needed not in NEEDED
                        and not tag.needed.startswith("ld-linux")
                    ):
                        found.append(f"{name} needs {tag.needed}")
            versions = elf.get_section_by_name(".gnu.version_r")
            for _, symbols in versions.iter_versions() if versions else ():
                found += [f"{name} demands {each.name}" for each in symbols if _is_newer(each.name)]
        found += [
            f"no {each} among the licences"
            for each in sorted(LICENCES)
            if not any(n.endswith(f"licenses/{each}") for n in names)
        ]
    return found


def main() -> int:
    """Print one line for each wheel, and what is wrong."""
    bad = 0
    for path in map(Path, sys.argv[1:]):
        wrong = faults(path)
        bad += bool(wrong)
        print(
            f"{path.name}: {path.stat().st_size} bytes, {'; '.join(wrong) or 'machine, libraries, search path and licences are right'}"
        )
    return 1 if bad or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
