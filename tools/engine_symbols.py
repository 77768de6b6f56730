"""Prove that an engine exports every MNN symbol the extension leaves undefined, and record them.

Run by the build after linking. What it writes (`mnnlite/_build.py`) is what the loader checks again
against the engine it finds at run time, before the extension is loaded.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def symbols(nm: str, library: Path, *flags: str) -> set[str]:
    """Dynamic symbols of `library`, without version suffixes."""
    text = subprocess.run([nm, "-D", *flags, str(library)], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in text.splitlines() if line.strip()}


def is_engine_symbol(name: str) -> bool:
    """Whether a mangled name belongs to namespace MNN (functions, and vtables and type data of its classes)."""
    return name.startswith(("_ZN3MNN", "_ZNK3MNN", "_ZTVN3MNN", "_ZTIN3MNN", "_ZTSN3MNN"))


def main() -> int:
    """Check, write, and exit 1 with the missing names if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--extension", type=Path, required=True)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--provider", choices=["wheel", "sdk"], required=True)
    parser.add_argument("--string-abi", type=int, required=True)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()

    needed = {name for name in symbols(args.nm, args.extension, "--undefined-only") if is_engine_symbol(name)}
    if not needed:
        print(
            f"{args.extension}: leaves no MNN symbol undefined, so it does not use the engine at all", file=sys.stderr
        )
        return 1
    missing = sorted(needed - symbols(args.nm, args.engine, "--defined-only"))
    if missing:
        print(f"{args.engine} does not export {len(missing)} of the {len(needed)} symbols needed:", file=sys.stderr)
        print("\n".join(missing), file=sys.stderr)
        return 1
    if args.write:
        lines = "".join(f'    "{name}",\n' for name in sorted(needed))
        args.write.write_text(
            '"""Written by the build: which engine this extension was compiled for."""\n\n'
            f'PROVIDER = "{args.provider}"\nSTRING_ABI = {args.string_abi}\nSYMBOLS = (\n{lines})\n'
        )
    print(f"engine symbols: all {len(needed)} exported by {args.engine.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
