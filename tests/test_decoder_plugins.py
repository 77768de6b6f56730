"""Native decoders from outside: built against the installed package, in Cython, C and C++."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pickle
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.child import skip_if_emulated
from helpers.decoding import NET, Letterbox
from mnnlite import _core, decoders, results
from mnnlite.errors import ArgumentError, DecoderABIError, DecoderError

pytestmark = pytest.mark.slow  # compilers, which all of these wait for
LANGUAGES = ["plate_head", "plate_head_c", "plate_head_cpp"]


def build(folder: Path, *arguments: str) -> None:
    # From elsewhere than the checkout, so that `import mnnlite` in setup.py is the installed package. What the tests may
    # import, the build may import too.
    path = os.pathsep.join(entry for entry in sys.path if entry and Path(entry).is_dir())
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "CFLAGS": "-O1 -Wall -Wextra"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ours = [line for line in done.stderr.splitlines() if re.match(r"plate_head\.(c|cpp):\d+.*warning", line)]
    if not (folder / "plate_head.pyx").exists():
        assert ours == []


def load(folder: Path, name: str) -> ModuleType:
    file = next(folder.glob(f"{name}.*.so"))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plugins(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModuleType]:
    skip_if_emulated("compilers there are the host's")
    folder = tmp_path_factory.mktemp("c_decoder")
    shutil.copytree(checkout / "examples" / "c_decoder", folder, dirs_exist_ok=True)
    build(folder)
    modules = {name: load(folder, name) for name in LANGUAGES[1:]}
    folder = tmp_path_factory.mktemp("cython_decoder")
    shutil.copytree(checkout / "examples" / "cython_decoder", folder, dirs_exist_ok=True)
    build(folder)
    modules["plate_head"] = load(folder, "plate_head")
    return modules


@pytest.fixture(params=LANGUAGES)
def plugin(request: pytest.FixtureRequest, plugins: dict[str, ModuleType]) -> ModuleType:
    return plugins[request.param]


def plate_head(score: float = 0.9) -> np.ndarray:
    head = np.zeros((2, 30, 15), np.float32)
    head[0, 4] = [100, 80, 40, 20, score, 81, 71, 119, 69, 121, 90, 79, 91, 0.1, 0.8]
    head[0, 9, 4] = score / 2
    return head


def test_a_plugin_decodes_as_the_built_in_head_does(plugin: ModuleType) -> None:
    image = Letterbox(NET, "stretch")
    spec = decoders.Plugin(plugin, {"score": 0.4}, classes=["single", "double"])
    found = spec.decode({"y": plate_head()}, (640, 480), image)
    assert isinstance(found, results.Detections)
    assert found.labels == ["double"]
    built_in = decoders.Yolo(version="v5", points=4).decode({"y": plate_head()}, (640, 480), image)
    np.testing.assert_array_equal(found.boxes_xyxy, built_in.boxes_xyxy)
    np.testing.assert_array_equal(found.points, built_in.points)
    assert len(decoders.Plugin(plugin, {"score": 0.95}).decode({"y": plate_head()}, (640, 480), image)) == 0


def test_a_plugin_is_a_decoder_wherever_a_family_is(plugin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(decoders.as_decoder(plugin), decoders.Plugin)
    monkeypatch.setitem(sys.modules, "roadside", SimpleNamespace(plates=plugin))
    spec = decoders.from_dict({"family": "roadside:plates", "score": 0.5, "classes": ["a", "b"]})
    assert spec == decoders.Plugin("roadside:plates", {"score": 0.5}, classes=("a", "b"))
    assert decoders.from_dict(spec.to_dict()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.decode({"y": plate_head()}, (640, 480)).labels == ["b"]
    with pytest.raises(ArgumentError, match=r"wanted 'package.module:attribute'"):
        decoders.from_dict({"family": "roadside:signs"})


def test_a_plugin_decodes_in_a_task(plugin: ModuleType, tmp_path: Path) -> None:
    with mnnlite.Task(networks.convert(networks.plates(tmp_path)), decoder=plugin) as task:
        task.model.input("x")[...] = plate_head()
        assert len(task()) == 1
        task.model.input("x")[...] = 0
        assert len(task()) == 0


def test_a_plugin_says_what_it_does_not_take(plugin: ModuleType) -> None:
    with pytest.raises(DecoderError, match="plate_head: has no option colour"):
        decoders.Plugin(plugin, {"colour": 3})
    with pytest.raises(DecoderError, match=r"plate_head: wants one float32 output \[N, plates, 15\], got y"):
        decoders.Plugin(plugin).decode({"y": np.zeros((1, 3, 14), np.float32)}, (64, 64))


def test_a_plugin_runs_without_the_gil(plugins: dict[str, ModuleType]) -> None:
    spec = decoders.Plugin(plugins["plate_head_c"])
    head = np.zeros((1, 200_000, 15), np.float32)
    spec.decode({"y": head}, (64, 64))
    counted, stop = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0)

    # So long that nothing but a released GIL lets the other thread in.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    thread = threading.Thread(target=count)
    try:
        thread.start()
        before = counted
        for _ in range(200):
            spec.decode({"y": head}, (64, 64))
        after = counted
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        thread.join()
    assert after > before


def test_objects_that_are_no_plugins_are_refused() -> None:
    with pytest.raises(DecoderABIError, match="__mnnlite_decoder__"):
        decoders.Plugin(object())
    with pytest.raises(DecoderABIError, match="capsule named"):
        decoders.Plugin(SimpleNamespace(__mnnlite_decoder__=3))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    table = ctypes.create_string_buffer(256)
    with pytest.raises(DecoderABIError, match="capsule named"):
        decoders.Plugin(SimpleNamespace(__mnnlite_decoder__=new(ctypes.addressof(table), b"other", None)))
    ctypes.c_uint32.from_buffer(table).value = 77
    with pytest.raises(DecoderABIError, match=r"version 77 of decoder.h, this mnnlite has version 2"):
        decoders.Plugin(SimpleNamespace(__mnnlite_decoder__=new(ctypes.addressof(table), b"mnnlite_decoder_v2", None)))


def test_a_plugin_built_against_the_first_header_is_refused(checkout: Path, tmp_path: Path) -> None:
    skip_if_emulated("compilers there are the host's")
    library = tmp_path / f"plate_head_c{sysconfig.get_config_var('EXT_SUFFIX')}"
    # The example as it was then: its table had the first version's name.
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-Dmnnlite_decoder_v2=mnnlite_decoder_v1",
        f"-I{sysconfig.get_path('include')}",
    ]
    source = checkout / "examples" / "c_decoder" / "plate_head.c"
    subprocess.run([*command, f"-I{Path(__file__).parent / 'data' / 'abi1'}", "-o", library, source], check=True)
    old = load(tmp_path, "plate_head_c")
    with pytest.raises(DecoderABIError) as refused:
        decoders.Plugin(old)
    text = str(refused.value)
    assert "\n" not in text
    assert "built for version 1 of decoder.h, this mnnlite has version 2; rebuild it" in text


def test_the_header_and_the_cython_face_agree(tmp_path: Path) -> None:
    skip_if_emulated("compilers there are the host's")
    shutil.copy(Path(__file__).parent / "helpers" / "layout_check.pyx", tmp_path)
    (tmp_path / "setup.py").write_text(
        "import mnnlite\nfrom Cython.Build import cythonize\nfrom setuptools import Extension, setup\n"
        "setup(py_modules=[], ext_modules=cythonize([Extension('layout_check', ['layout_check.pyx'], "
        "include_dirs=[mnnlite.get_include()])]))\n"
    )
    build(tmp_path)
    module = load(tmp_path, "layout_check")
    assert module.sizes["mnnlite_row"] == _core.ROW_SIZE
    assert module.constants == {"abi": 2, "capsule": _core.DECODER_CAPSULE.encode(), "text": 240}
    header = (Path(mnnlite.get_include()) / "mnnlite" / "decoder.h").read_text()
    pxd = Path(str(mnnlite.__file__)).with_name("decoder.pxd").read_text()
    for struct in module.sizes:
        inside = re.search(rf"typedef struct {struct} \{{(.*?)\}} {struct};", header, re.S)
        assert inside is not None
        body = re.sub(r"/\*.*?\*/", "", inside[1], flags=re.S)
        fields = [name.split()[-1] for name in re.findall(r"[\w\s\*]+", re.sub(r"\[\w+\]", "", body)) if name.split()]
        mine = re.search(rf"ctypedef struct {struct}:\n((?:        .*\n)+)", pxd)
        assert mine is not None
        names = [re.sub(r"\[.*", "", line.split()[-1]).strip("*") for line in mine[1].splitlines()]
        assert names == [name.strip("*") for name in fields], struct
