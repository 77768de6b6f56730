"""What `import mnnlite` does to a process: nothing it need not, in whatever company."""

from __future__ import annotations

import importlib.util
import itertools

import pytest

from helpers import litert, models
from helpers.child import run_python
from mnnlite import cli

RUN = f"""
with mnnlite.Model({str(models.path("branches"))!r}) as model:
    assert sorted(model.run()) == ["edges", "mask", "score"]
"""


def test_import__prints_nothing() -> None:
    child = run_python("import mnnlite")
    assert child.stdout == ""
    assert child.stderr == ""


def test_import__leaves_the_package_mnn_alone() -> None:
    run_python("import sys, mnnlite; assert 'MNN' not in sys.modules and '_mnncengine' not in sys.modules")


def modules_after(code: str) -> set[str]:
    return set(run_python(f"import sys\n{code}\nprint(*sys.modules, sep='\\n')").stdout.splitlines())


def test_import__optional_packages_stay_out() -> None:
    found = modules_after("import mnnlite")
    assert "mnnlite" in found
    assert not found & {"PIL", "av", "cv2", "onnx", "onnxruntime", "rich", "matplotlib"}


def test_import__the_command_line_loads_what_a_command_needs() -> None:
    """Each is megabytes in every process: OpenSSL, descriptions of networks, the solver of drives."""
    commands = ", ".join(f"mnnlite.cli.{name}" for name in cli.COMMANDS)
    found = modules_after(f"import {commands}, mnnlite.mapping, mnnlite.task")
    assert "mnnlite.cli.run" in found
    assert not found & {"hashlib", "mnnlite.descriptions.reader", "mnnlite.mapping.solver"}


def test_import__a_command_loads_no_other() -> None:
    found = modules_after("from mnnlite.cli import main\nassert main(['info', '--json']) == 0")
    assert {f"mnnlite.cli.{name}" for name in cli.COMMANDS} & found == {"mnnlite.cli.info"}
    assert "mnnlite.task" not in found


def absent(name: str) -> bool:
    """Whether a package cannot be there; one that is only missing is a failure, not a skip."""
    impossible = name.startswith("ai_edge_litert") and not litert.EXISTS
    return impossible and importlib.util.find_spec(name.split(".")[0]) is None


@pytest.mark.parametrize("other", ["MNN", "onnx", "onnxruntime", "cv2", "ai_edge_litert.interpreter", "av"])
@pytest.mark.parametrize("first", ["mnnlite", "other"])
def test_import__before_and_after(other: str, first: str) -> None:
    if absent(other):
        pytest.skip(f"{other} does not exist for this Python")
    order = ["mnnlite", other] if first == "mnnlite" else [other, "mnnlite"]
    run_python("\n".join(f"import {name}" for name in order) + RUN)


@pytest.mark.parametrize("order", list(itertools.permutations(["mnnlite", "MNN", "onnxruntime"])), ids="-".join)
def test_import__three_engines_in_one_process(order: tuple[str, ...]) -> None:
    run_python("\n".join(f"import {name}" for name in order) + RUN)


def test_engine__runs_beside_mnns_own_package() -> None:
    run_python(
        f"""
        import MNN, mnnlite, numpy as np
        path = {str(models.path("branches"))!r}
        theirs = MNN.Interpreter(path)
        session = theirs.createSession({{}})
        with mnnlite.Model(path) as ours:
            ours.input("image")[...] = 0.46875
            first = ours.run()
            image = theirs.getSessionInput(session, "image")
            value = np.full((1, 3, 32, 32), 0.46875, np.float32)
            image.copyFrom(MNN.Tensor(image.getShape(), MNN.Halide_Type_Float, value, MNN.Tensor_DimensionType_Caffe))
            theirs.runSession(session)
            second = ours.run()
        assert all(np.array_equal(first[name], second[name]) for name in first)
        """
    )


def test_import__again_in_a_subinterpreter_thread() -> None:
    run_python(
        "import threading; t = threading.Thread(target=lambda: __import__('mnnlite')); t.start(); t.join()"
        + RUN.replace("\nwith", "\nimport mnnlite\nwith")
    )


def test_exit__with_models_alive() -> None:
    run_python(f"import mnnlite; model = mnnlite.Model({str(models.path('tiny'))!r}); view = model.run(borrow=True)")
