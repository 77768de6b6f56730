"""What comes in is verified before the engine sees it: structure, hashes, files of weights."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

import mnnlite
from mnnlite import _core, integrity
from mnnlite.proc import process

ENGINE_LEAKS = 300  # KiB that a hundred refused loads may leave: what malloc keeps, whatever the size of the file


def damaged(content: bytes) -> bytes:
    """A network whose first operator claims to be another one: same size, one changed number."""
    root = struct.unpack_from("<I", content)[0]

    def table(at: int, slot: int) -> int:
        directory = at - struct.unpack_from("<i", content, at)[0]
        return at + struct.unpack_from("<H", content, directory + 4 + 2 * slot)[0]

    def follow(at: int) -> int:
        return at + struct.unpack_from("<I", content, at)[0]

    operators = follow(table(root, 3))
    first = follow(operators + 4 + 4)  # the second one; the first is the input
    changed = bytearray(content)
    changed[table(first, 1)] = 48  # rank: a table without fields, which is whole wherever one is
    return bytes(changed)


def test_model__another_operators_attribute__is_named(models: Path) -> None:
    with pytest.raises(mnnlite.ModelFormatError, match=r'damaged MNN model: operator 1 ".*" \(\w+\): ') as caught:
        mnnlite.Model(damaged((models / "branches.mnn").read_bytes()))
    assert caught.value.op == "load"


def test_model__refused_file__names_the_file(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.mnn"
    path.write_bytes(damaged((models / "branches.mnn").read_bytes()))
    with pytest.raises(mnnlite.ModelFormatError, match=r"bad\.mnn: a damaged MNN model"):
        mnnlite.Model(path)


def test_model__refused_loads__leave_nothing(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.mnn"
    path.write_bytes(damaged((models / "branches.mnn").read_bytes()) + bytes(1 << 20))
    growth = []
    for _ in range(2):  # the first round is what malloc and Python keep
        before = process().anonymous
        for _ in range(100):
            with pytest.raises(mnnlite.ModelFormatError):
                mnnlite.Model(path)
        growth.append(process().anonymous - before)
    assert growth[1] < ENGINE_LEAKS * 1024


def test_model__sha256__is_compared_and_both_are_named(models: Path) -> None:
    content = (models / "tiny.mnn").read_bytes()
    right = hashlib.sha256(content).hexdigest()
    mnnlite.Model(models / "tiny.mnn", sha256=right).close()
    mnnlite.Model(content, sha256=right.upper()).close()
    wrong = "0" * 64
    with pytest.raises(mnnlite.ModelFormatError, match=rf"tiny\.mnn .*{right}.*{wrong}"):
        mnnlite.Model(models / "tiny.mnn", sha256=wrong)
    with pytest.raises(mnnlite.ModelFormatError, match=right):
        mnnlite.Model(content, sha256=wrong)


@pytest.mark.parametrize("bad", ["", "12", "g" * 64, 5, b"0" * 64])
def test_model__no_hash__is_refused(models: Path, bad: object) -> None:
    with pytest.raises(mnnlite.ArgumentError, match="64 hexadecimal digits"):
        mnnlite.Model(models / "tiny.mnn", sha256=bad)  # type: ignore[arg-type]


def test_model__weights_hash_without_weights__is_refused(models: Path) -> None:
    with pytest.raises(mnnlite.ArgumentError, match="no file with weights"):
        mnnlite.Model(models / "tiny.mnn", weights_sha256="0" * 64)


def test_model__replaced_while_it_is_read__is_what_was_hashed(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.mnn"
    shutil.copy(models / "tiny.mnn", path)
    opened, _ = integrity.open_model(path)
    path.write_bytes(b"rewritten in place")  # a mapping would show this
    assert bytes(memoryview(opened)) == (models / "tiny.mnn").read_bytes()  # type: ignore[arg-type]


def test_model__pipe__does_not_wait_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mnn")
    with pytest.raises(mnnlite.ModelError, match="not a regular file"):
        mnnlite.Model(tmp_path / "pipe.mnn")


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose weights are in a file beside it."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("external")
    weight = np.random.default_rng(3).standard_normal((64, 16, 3, 3), dtype=np.float32)
    nodes = [onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], name="conv")]
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [info("x", 1, (1, 16, 8, 8))],
        [info("y", 1, (1, 64, 8, 8))],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), folder / "n.onnx"
    )
    from mnnlite.convert import convert

    convert(folder / "n.onnx", folder / "n.mnn", external=True)
    return folder / "n.mnn"


def test_external__whole__runs_and_keeps_no_descriptor(external: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with mnnlite.Model(external) as model:
        model.input("x")[...] = 1
        assert np.abs(model.run()["y"]).sum() > 0
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "not there"),
        ("empty", "is cut"),
        ("half", "is cut"),
        ("one byte short", "is cut"),
        ("zeros", "nothing but zeros"),
    ],
)
def test_external__not_whole__is_refused(external: Path, tmp_path: Path, how: str, said: str) -> None:
    shutil.copy(external, tmp_path / "n.mnn")
    content = Path(f"{external}.weight").read_bytes()
    parts = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "one byte short": content[:-1],
        "zeros": bytes(len(content)),
    }
    if how in parts:
        (tmp_path / "n.mnn.weight").write_bytes(parts[how])
    with pytest.raises(mnnlite.ModelFormatError, match=said):
        mnnlite.Model(tmp_path / "n.mnn")


def test_external__hash__finds_other_weights(external: Path, tmp_path: Path) -> None:
    shutil.copy(external, tmp_path / "n.mnn")
    content = bytearray(Path(f"{external}.weight").read_bytes())
    right = hashlib.sha256(content).hexdigest()
    content[5] ^= 1
    (tmp_path / "n.mnn.weight").write_bytes(content)
    mnnlite.Model(external, weights_sha256=right).close()
    with pytest.raises(mnnlite.ModelFormatError, match=f"file with the weights .*{right}"):
        mnnlite.Model(tmp_path / "n.mnn", weights_sha256=right)


def test_external__stays_open_for_resizing(external: Path, tmp_path: Path) -> None:
    shutil.copy(external, tmp_path / "n.mnn")
    shutil.copy(f"{external}.weight", tmp_path / "n.mnn.weight")
    with mnnlite.Model(tmp_path / "n.mnn", resizable=True) as model, mnnlite.Model(external) as other:
        (tmp_path / "n.mnn.weight").unlink()  # the descriptor goes on showing it
        model.resize({"x": (1, 16, 12, 12)})
        model.input("x")[...] = 1
        other.input("x")[...] = 1
        assert np.array_equal(model.run()["y"][:, :, 2:6, 2:6], other.run()["y"][:, :, 2:6, 2:6])


def test_external__said_for_bytes(external: Path) -> None:
    with mnnlite.Model(external.read_bytes(), external=f"{external}.weight") as model:
        assert model.outputs["y"].shape == (1, 64, 8, 8)
    with pytest.raises(mnnlite.ModelFormatError, match="not there"):
        mnnlite.Model(external.read_bytes())


def test_model_file__is_let_go_at_the_load(models: Path) -> None:
    file = _core.ModelFile(os.fsencode(models / "tiny.mnn"))
    assert len(memoryview(file)) == (models / "tiny.mnn").stat().st_size
    arena = mnnlite.Arena()
    _core.Model(file, None, arena=arena.native, outputs=[], shapes={}, images=[], resizable=False)
    assert len(memoryview(file)) == 0


_HUGE = 2 << 20  # bytes of a huge page where pages have 4 KiB


@pytest.mark.parametrize(
    "size", [1, 4096, _HUGE - 129, _HUGE - 128, _HUGE - 127, _HUGE, 2 * _HUGE + 3, 5 * _HUGE - 128]
)
def test_model_file__is_the_files_content_and_is_let_go(tmp_path: Path, size: int) -> None:
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "n.mnn").write_bytes(content)
    file = _core.ModelFile(os.fsencode(tmp_path / "n.mnn"))
    view = np.frombuffer(file, np.uint8)
    first = view.ctypes.data
    assert view.tobytes() == content
    assert _is_mapped(first)
    assert _is_mapped(first + size - 1)
    if size >= _HUGE - 128 and os.sysconf("SC_PAGESIZE") == 4096:  # else there are no huge pages of that size
        assert first % _HUGE == 64
    del view, file
    before = _mapped_bytes()
    for _ in range(20):
        file = _core.ModelFile(os.fsencode(tmp_path / "n.mnn"))
        del file
    assert _mapped_bytes() - before < 10 * _HUGE  # what one reading left behind would be there twenty times


def _mapped() -> list[range]:
    ranges = (line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines())
    return [range(int(begin, 16), int(end, 16)) for begin, end in ranges]


def _mapped_bytes() -> int:
    return sum(len(each) for each in _mapped())


def _is_mapped(address: int) -> bool:
    return any(address in each for each in _mapped())


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer is to see the engine's own blocks"
)
def test_model_file__is_what_the_engine_has(models: Path) -> None:
    content = (models / "tiny.mnn").read_bytes()
    file = _core.ModelFile(os.fsencode(models / "tiny.mnn"))
    address = np.frombuffer(file, np.uint8).ctypes.data
    arena = mnnlite.Arena()
    model = _core.Model(file, None, arena=arena.native, outputs=[], shapes={}, images=[], resizable=True)
    assert _is_mapped(address)
    assert ctypes.string_at(address, len(content)) == content
    model.close()
