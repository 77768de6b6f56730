"""What `import mnnlite` does to a process: nothing it need not."""

from __future__ import annotations

import pytest
from helpers.child import run_python


def test_import__prints_nothing() -> None:
    child = run_python("import mnnlite")
    assert child.stdout == ""
    assert child.stderr == ""


def test_import__leaves_the_package_mnn_alone() -> None:
    run_python("import sys, mnnlite; assert 'MNN' not in sys.modules and '_mnncengine' not in sys.modules")


@pytest.mark.parametrize("module", ["PIL", "av", "cv2", "onnx", "onnxruntime", "rich", "matplotlib"])
def test_import__optional_packages_stay_out(module: str) -> None:
    run_python(f"import sys, mnnlite; assert {module!r} not in sys.modules")
