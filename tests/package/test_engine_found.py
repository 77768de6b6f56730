"""The engine is missing, too old, too new or another: one clear error of the right class, never a loader's trace."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.child import run_python, skip_if_emulated
from mnnlite import _build

pytestmark = pytest.mark.skipif(_build.PROVIDER != "wheel", reason="an SDK is found by the dynamic linker")

# Looks for the engine as the loader does, but finds what argv[1] says (nothing if empty).
IMPORT = """
import importlib.util, sys
real = importlib.util.find_spec
class Spec:
    origin = sys.argv[1]
importlib.util.find_spec = lambda name, *rest: (Spec if sys.argv[1] else None) if name == "_mnncengine" else real(name, *rest)
try:
    import mnnlite
except ImportError as error:
    print(type(error).__name__, error, sep="|")
    assert type(error).__mro__[1].__name__ == "EngineError", type(error).__mro__
    assert error.op == "import"
"""


def error_of(engine: Path | str) -> tuple[str, str]:
    kind, text = run_python(IMPORT, str(engine)).stdout.strip().split("|", 1)
    assert "\n" not in text
    assert "pip install" in text
    return kind, text


@pytest.fixture(scope="module")
def compiler() -> str:
    skip_if_emulated("compilers there are the host's")
    found = shutil.which("cc") or shutil.which("c++")
    assert found is not None, "no compiler: see tools/apt.txt"
    return found


def fake_engine(compiler: str, folder: Path, version: str, symbols: tuple[str, ...]) -> Path:
    """A library with MNN::getVersion and the given names, and nothing behind them."""
    source = folder / "engine.c"
    lines = [f'const char* _ZN3MNN10getVersionEv(void) {{ return "{version}"; }}']
    lines += [f"void {name}(void) {{}}" for name in symbols if name != "_ZN3MNN10getVersionEv"]
    source.write_text("\n".join(lines) + "\n")
    target = folder / "engine.so"
    subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return target


def test_missing() -> None:
    kind, text = error_of("")
    assert kind == "EngineNotFoundError"
    assert "not installed" in text


def test_not_a_library(tmp_path: Path) -> None:
    broken = tmp_path / "engine.so"
    broken.write_bytes(b"not a library")
    kind, text = error_of(broken)
    assert kind == "EngineNotFoundError"
    assert str(broken) in text


@pytest.mark.parametrize("version", ["2.9.6", "1.2.0", "4.0.0", "30.0.0"])
def test_outside_the_range(compiler: str, tmp_path: Path, version: str) -> None:
    kind, text = error_of(fake_engine(compiler, tmp_path, version, _build.SYMBOLS))
    assert kind == "EngineVersionError"
    assert version in text
    assert "3.0.0" in text


def test_without_a_version(compiler: str, tmp_path: Path) -> None:
    source = tmp_path / "empty.c"
    source.write_text("int nothing;\n")
    target = tmp_path / "engine.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    assert error_of(target)[0] == "EngineVersionError"


def test_lacks_functions(compiler: str, tmp_path: Path) -> None:
    kind, text = error_of(fake_engine(compiler, tmp_path, "3.9.0", _build.SYMBOLS[2:]))
    assert kind == "EngineVersionError"
    assert "3.9.0" in text
    assert "lacks 2" in text or "lacks 1" in text  # getVersion may be among the two


def test_source_folder_says_what_it_is(checkout: Path) -> None:
    child = run_python(
        "import sys; sys.path.insert(0, sys.argv[1])\ntry:\n import mnnlite\nexcept ImportError as e: print(e)",
        str(checkout),
    )
    assert "pip install" in child.stdout
