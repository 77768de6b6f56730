"""Which builds of Python are run, and what the others are told."""

from __future__ import annotations

import subprocess
import sys

from helpers.child import run_python


def test_a_free_threaded_build_is_refused_in_one_line() -> None:
    code = "import sys; sys.abiflags = 't'\nimport mnnlite"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: this is a free-threaded build of Python (cpython-3")
    assert "mnnlite needs a build with the GIL" in last


def test_importing_leaves_the_gil_as_it_is() -> None:
    code = """
        import sys
        import mnnlite
        print(getattr(sys, "_is_gil_enabled", lambda: True)())
    """
    assert run_python(code).stdout.strip() == "True"
