from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
from pathlib import Path

import numpy as np
import pytest

import mnnlite
from helpers import forked
from helpers.child import EMULATED
from mnnlite import _build, _core

# The tests neither use nor fill the cache of whoever runs them; tests/test_cache.py has its own.
os.environ["MNNLITE_CACHE"] = ""

CHECKOUT = Path(os.environ["MNNLITE_CHECKOUT"]) if "MNNLITE_CHECKOUT" in os.environ else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shard", metavar="I/N", help="run the I-th of N parts of the suite, by file")


_files: list[Path] = []  # of tests, as they are found


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of the files of other shards nothing is imported."""
    shard = config.getoption("--shard")
    if not shard or not collection_path.is_file() or not collection_path.match("test_*.py"):
        return None
    index, count = (int(part) for part in shard.split("/"))
    if collection_path not in _files:
        _files.append(collection_path)
    return True if _files.index(collection_path) % count != index - 1 else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if shard := config.getoption("--shard"):  # files that were named are not asked about
        index, count = (int(part) for part in shard.split("/"))
        named = sorted({item.path for item in items}.difference(_files))
        others = {path for at, path in enumerate(named) if at % count != index - 1}
        config.hook.pytest_deselected(items=[item for item in items if item.path in others])
        items[:] = [item for item in items if item.path not in others]
    for item in items:
        if EMULATED and (mark := item.get_closest_marker("not_emulated")):
            item.add_marker(pytest.mark.skip(reason=f"not under emulation: {mark.args[0]}"))


def pytest_report_header() -> list[str]:
    abi = {0: "old", 1: "new"}[_core.string_abi()]
    return [
        f"mnnlite {mnnlite.__version__} ({Path(mnnlite.__file__).parent})",
        f"engine: MNN {_core.engine_version()}, provider {_build.PROVIDER}, {abi} string ABI ({_core.engine_path()})",
        f"cpu: {cpu_name()}, {os.cpu_count()} cores; "
        f"instruction sets {', '.join(_core.cpu_isas())}, active {_core.active_isa()}",
        f"python {platform.python_version()} {platform.machine()}, numpy {np.__version__}, "
        + ", ".join(f"{name} {version(name)}" for name in ("onnx", "onnxruntime", "ai-edge-litert")),
    ]


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "CPU part")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def pytest_sessionstart() -> None:
    # A suite that a script started in the background ignores Ctrl-C, and so would the children that tests interrupt.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What is shipped is what is tested: never the source folder, which has no extension of its own.
    if CHECKOUT is not None and Path(mnnlite.__file__).is_relative_to(CHECKOUT / "mnnlite"):
        pytest.exit(f"mnnlite was imported from the checkout ({mnnlite.__file__}), not from an installation", 3)


def pytest_sessionfinish() -> None:
    forked.close()


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The source tree, for tests that read it."""
    if CHECKOUT is None:
        pytest.skip("MNNLITE_CHECKOUT does not say where the source tree is; `make py` sets it")
    return CHECKOUT


@pytest.fixture(scope="session")
def models() -> Path:
    """Folder of the small networks that tools/make_test_models.py writes."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of two branches: `image` -> `heat` in (0, 1), `points`."""
    from helpers import networks  # needs onnx, which not every environment has

    return networks.convert(networks.two_branches(tmp_path_factory.mktemp("two")))


@pytest.fixture(scope="session")
def open_shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose picture may have any size."""
    from helpers import networks

    return networks.convert(networks.two_branches(tmp_path_factory.mktemp("open"), dynamic=True))
