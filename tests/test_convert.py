"""The converter in a child process: its crashes, its silence and its lies become errors, and no half file stays."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import mnnlite
from helpers import networks
from helpers.child import run_python
from helpers.cli import mnnlite as cli
from mnnlite.convert import convert

# The engine's Sigmoid on ARM: its exponential ends with the fourth power of at most ln(2) / 2, so it is up to 5.6e-5 of
# itself off, and the sigmoid a quarter of that where it changes most.
SIGMOID = 1.4e-5 if platform.machine() == "aarch64" else 0.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.two_branches(tmp_path_factory.mktemp("convert"))


def outputs_of(path: Path, x: np.ndarray) -> dict[str, np.ndarray]:
    with mnnlite.Model(path) as model:
        return model.run({"image": x})


@pytest.mark.slow  # each form is compared, in child processes
@pytest.mark.parametrize(
    ("options", "tolerance"),
    [({}, 1e-5), ({"fp16": True}, 1e-2), ({"weight_bits": 8}, 0.1), ({"external": True}, 1e-5)],
    ids=str,
)
def test_a_converted_network_computes_the_same(network: Path, tmp_path: Path, options: dict, tolerance: float) -> None:
    target = tmp_path / "net.mnn"
    made = convert(network, target, **options)
    assert made.path == target
    assert made.verdict.equal
    assert (made.verdict.loss is not None) == ("fp16" in options or "weight_bits" in options)
    x = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
    wanted = networks.original(network, {"image": x})
    got = outputs_of(target, x)
    for name, value in wanted.items():
        assert np.abs(got[name] - value).max() <= tolerance + (SIGMOID if name == "heat" else 0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == (["net.mnn", "net.mnn.weight"] if options.get("external") else ["net.mnn"])


def test_smaller_weights_make_smaller_files(tmp_path: Path) -> None:
    source = networks.two_branches(tmp_path, width=64)
    sizes = [
        convert(source, tmp_path / f"{index}.mnn", compare=False, **options).path.stat().st_size
        for index, options in enumerate([{}, {"fp16": True}, {"weight_bits": 8}])
    ]
    assert sizes[0] > 1.8 * sizes[1] > 1.8 * 1.7 * sizes[2]


def test_an_older_file_is_replaced_only_by_a_whole_one(network: Path, tmp_path: Path) -> None:
    target = tmp_path / "net.mnn"
    target.write_bytes(b"older")
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(mnnlite.ModelFormatError):
        convert(tmp_path / "bad.onnx", target)
    assert target.read_bytes() == b"older"
    convert(network, target)
    assert target.stat().st_size > 1000


def unknown_operator(folder: Path) -> Path:
    node = helper.make_node("Nonsense", ["x"], ["y"], domain="some.where")
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    path = folder / "unknown.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("some.where", 1)]), path)
    return path


def test_what_the_converter_cannot_do_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network\n" * 99)
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "text.tflite").write_text("no network\n" * 99)  # the converter crashes on it
    (tmp_path / "zeros.tflite").write_bytes(bytes(4096))
    unknown_operator(tmp_path)
    for name in ("text.onnx", "empty.onnx", "text.tflite", "zeros.tflite", "unknown.onnx"):
        kind = mnnlite.UnsupportedModelError if name == "unknown.onnx" else mnnlite.ModelFormatError
        with pytest.raises(kind, match=name) as caught:
            convert(tmp_path / name, tmp_path / "net.mnn")
        assert "\n" not in str(caught.value)
    assert {path.suffix for path in tmp_path.iterdir()} == {".onnx", ".tflite"}


def test_the_converters_words_are_in_the_error(tmp_path: Path) -> None:
    source = unknown_operator(tmp_path)
    with pytest.raises(mnnlite.UnsupportedModelError, match=r"it said: .*Nonsense"):
        convert(source, tmp_path / "net.mnn")


@pytest.mark.parametrize("external", [False, True])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, external: bool) -> None:
    """The converter says "Converted Success!" then."""
    source = networks.two_branches(tmp_path, width=64)
    code = """
        import resource, sys
        from mnnlite.convert import convert
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        try:
            convert(sys.argv[1], sys.argv[2], external=sys.argv[3] == "True", compare=False)
        except Exception as error:
            print(type(error).__name__, error)
    """
    said = run_python(code, str(source), str(tmp_path / "net.mnn"), str(external)).stdout
    assert said.startswith("ModelFormatError"), said
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_what_was_asked_for_in_vain(network: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.mnn").mkdir()
    (tmp_path / "stray.mnn.weight").touch()
    (tmp_path / "net.pb").touch()
    for source, target, options, kind, message in [
        (tmp_path / "nope.onnx", "a.mnn", {}, mnnlite.ModelNotFoundError, "there is no model file"),
        (tmp_path, "a.mnn", {}, mnnlite.ModelNotFoundError, "there is no model file"),
        (tmp_path / "net.pb", "a.mnn", {}, mnnlite.ArgumentError, r"wanted \.onnx or \.tflite"),
        (network, "a.onnx", {}, mnnlite.ArgumentError, r"wanted \.mnn"),
        (network, "none/a.mnn", {}, mnnlite.ArgumentError, "there is no folder"),
        (network, "folder.mnn", {}, mnnlite.ArgumentError, "is a folder"),
        (network, "a.mnn", {"weight_bits": 1}, mnnlite.ArgumentError, "2 to 8"),
        (network, "a.mnn", {"weight_bits": 2.5}, mnnlite.ArgumentError, "2 to 8"),
        (network, "stray.mnn", {}, mnnlite.ArgumentError, "would be read as its weights"),
    ]:
        with pytest.raises(kind, match=message):
            convert(source, tmp_path / target, compare=False, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.mnn", "net.pb", "stray.mnn.weight"]


def test_a_name_with_spaces_and_dashes(network: Path, tmp_path: Path) -> None:
    odd = tmp_path / "-a net.onnx"
    odd.write_bytes(network.read_bytes())
    assert convert(odd, tmp_path / "-the net.mnn", compare=False).path.exists()


@pytest.mark.slow  # child processes
def test_the_command(network: Path, tmp_path: Path) -> None:
    ran = cli("convert", network, "-o", tmp_path / "net.mnn", "--external", "--json")
    (said,) = ran.lines
    assert (ran.code, ran.err) == (0, "")
    assert said["output"] == str(tmp_path / "net.mnn")
    assert said["files"] == {str(path): path.stat().st_size for path in sorted(tmp_path.iterdir())}
    (tmp_path / "copy.onnx").write_bytes(network.read_bytes())
    assert f"wrote {tmp_path / 'copy.mnn'}" in cli("convert", tmp_path / "copy.onnx", "--weight-bits", 8).out


def line_reader(folder: Path, height: int) -> Path:
    """Lines of text of one height, open in height and width, as recognisers are exported."""
    weight = np.random.default_rng(2).standard_normal((4, 3, height, 3)).astype(np.float32)
    return networks.save(
        folder,
        f"lines_{height}",
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[0, 1, 0, 1]),
            helper.make_node("Reshape", ["c", "shape"], ["y"]),  # fits one height alone
        ],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.int64([1, 4, -1, 320]), "shape")],
        {"x": ["n", 3, "h", "w_"]},
        {"y": [1, 4, "rows", 320]},
    )


@pytest.mark.parametrize("height", [48, 32])
def test_an_open_line_of_text_is_tried_in_its_usual_heights(tmp_path: Path, height: int) -> None:
    from mnnlite.conversion import converted_in

    with converted_in(tmp_path, line_reader(tmp_path, height)) as made:
        assert made.shapes is not None
        assert made.shapes["x"][0] == 1
        assert made.shapes["x"][2] >= height


@pytest.mark.slow
def test_open_shapes_that_nothing_fits_say_what_to_type(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    source = networks.save(
        tmp_path,
        "odd",
        nodes,
        [numpy_helper.from_array(np.int64([1, 3, 7, 11]), "shape")],
        {"x": ["n", 3, "h", "w"]},
        {"y": [1, 3, 7, 11]},
    )
    ran = cli("convert", source, "-o", tmp_path / "odd.mnn")
    assert ran.code == 2
    assert "--shape x=1x3x320x320" in ran.error()
    assert cli("convert", source, "-o", tmp_path / "odd.mnn", "--shape", "x=1x3x7x11").code == 0
