"""Lay out the installed MNN wheel's engine as an MNN SDK: PREFIX/include and PREFIX/lib/libMNN.so.

For proving the second provider (-DMNN_ROOT=PREFIX) where no SDK is at hand. The headers are ours.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

DECLARATIONS = Path(__file__).parent.parent / "third_party" / "mnn" / "include"


def main() -> int:
    """Make the prefix anew."""
    prefix = Path(sys.argv[1])
    headers = Path(sys.argv[2]) if len(sys.argv) > 2 else DECLARATIONS
    spec = importlib.util.find_spec("_mnncengine")
    if spec is None or spec.origin is None:
        print("MNN is not installed in this environment", file=sys.stderr)
        return 1
    engine = Path(spec.origin)
    shutil.rmtree(prefix, ignore_errors=True)
    shutil.copytree(headers, prefix / "include")
    (prefix / "lib").mkdir()
    shutil.copy(engine, prefix / "lib" / "libMNN.so")
    for libraries in engine.parent.glob("[mM][nN][nN].libs"):  # what the wheel's own RPATH points to
        shutil.copytree(libraries, prefix / "lib" / libraries.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
