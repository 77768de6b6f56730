"""Kinds of damage that the verifier refuses, each done to a network that has the operator."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

import mnnlite
from helpers import networks
from mnnlite.descriptions.flat import Table, root

_OPERATORS, _NAMES = 3, 7  # fields of a network
_INPUTS, _ATTRIBUTE, _OUTPUTS, _TYPE = 0, 2, 4, 5  # of an operator
_IDENTITY, _CONST, _INPUT, _BINARY, _SPLIT_GELU = 262, 11, 34, 7, 303
_GATHER_ELEMENTS, _SCATTER_ELEMENTS, _STRIDED_SLICE = 152, 151, 91
_SQUEEZE, _BATCH_TO_SPACE, _DILATION, _SCATTER_ND = 90, 5, 121, 118
_RASTER, _SHAPE, _SLICE_TF, _FILL, _TOP_K, _CONVOLUTION = 128, 80, 84, 27, 99, 12


class Editor:
    """A network's bytes, to be changed field by field."""

    def __init__(self, path: Path) -> None:
        self.content = bytearray(path.read_bytes())
        self.operators = list(root(bytes(self.content)).tables(_OPERATORS))

    def first(self, kind: int) -> Table:
        return next(each for each in self.operators if each.whole(_TYPE) == kind)

    def set_number(self, table: Table, field: int, value: int) -> None:
        assert table.offset(field), "the field has its default and no place"
        struct.pack_into("<i", self.content, table.offset(field), value)

    def set_element(self, table: Table, field: int, index: int, value: int) -> None:
        place = table.offset(field)
        vector = place + struct.unpack_from("<I", self.content, place)[0]
        struct.pack_into("<i", self.content, vector + 4 + 4 * index, value)

    def refused(self, said: str) -> None:
        with pytest.raises(mnnlite.MnnliteError, match=said):
            mnnlite.Model(bytes(self.content))


@pytest.fixture
def elements(tmp_path: Path) -> Editor:
    """Values gathered from `x` by an index a value, along a constant axis."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("GatherElements", ["r", "places"], ["y"], axis=1),
    ]
    weights = [numpy_helper.from_array(np.zeros((2, 3), np.int64), "places")]
    source = networks.save(tmp_path, "elements", nodes, weights, {"x": (2, 3)}, {"y": (2, 3)})
    return Editor(networks.convert(source))


@pytest.fixture
def sums(tmp_path: Path) -> Editor:
    """Products with as many values as channels, which the engine computes in a loop, and a second input."""
    nodes = [
        helper.make_node("Mul", ["x", "s"], ["m"]),
        helper.make_node("Mul", ["m", "z"], ["y"]),
    ]
    weights = [numpy_helper.from_array(np.ones((1, 3, 1), np.float32), "s")]
    source = networks.save(tmp_path, "sums", nodes, weights, {"x": (2, 3, 4), "z": (2, 3, 4)}, {"y": (2, 3, 4)})
    return Editor(networks.convert(source))


def test_axis_of_an_index_a_value__must_be_constant(elements: Editor) -> None:
    gather = elements.first(_GATHER_ELEMENTS)
    assert len(gather.wholes(_INPUTS)) == 3
    with mnnlite.Model(bytes(elements.content)) as model:
        model.run()
    elements.set_element(gather, _INPUTS, 2, gather.wholes(_INPUTS)[0])
    elements.refused("its axis is not a constant")


@pytest.mark.parametrize("kind", [3, 4, 5, 18, 30, 31, 32, -1, 1 << 30])
def test_operation_that_nothing_computes__is_refused(sums: Editor, kind: int) -> None:
    attribute = sums.first(_BINARY).table(_ATTRIBUTE)
    assert attribute is not None
    sums.set_number(attribute, 0, kind)
    sums.refused("of a kind that is not known")


def test_identity_of_two__has_two_outputs(sums: Editor) -> None:
    sums.set_number(sums.first(_BINARY), _TYPE, _IDENTITY)
    sums.refused("not as many outputs as inputs")


def test_inputs_of_one_name__are_refused(sums: Editor) -> None:
    """The engine finds one of them; the other one has no memory."""
    content = bytes(sums.content)
    net = root(content)
    place = net.offset(_NAMES)
    vector = place + struct.unpack_from("<I", content, place)[0]
    one, other = (
        each.wholes(_OUTPUTS)[0] for each in sums.operators if each.whole(_TYPE) == _INPUT
    )  # names of tensors by their number
    at, to = vector + 4 + 4 * one, vector + 4 + 4 * other
    target = at + struct.unpack_from("<I", content, at)[0]
    if target <= to:
        at, to = to, at
        target = at + struct.unpack_from("<I", content, at)[0]
    struct.pack_into("<I", sums.content, to, target - to)
    sums.refused("another input of the network has its name")


def test_operator_of_three_axes__on_a_shape__is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Cast", ["s"], ["f"], to=1),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    source = networks.save(tmp_path, "shape", nodes, [], {"x": ("n", 3)}, {"y": (2,)})
    editor = Editor(networks.convert(source))
    with mnnlite.Model(bytes(editor.content), shapes={"x": (2, 3)}) as model:
        assert model.run()["y"].tolist() == [2, 3]
    last = editor.operators[-1]
    if last.offset(1):
        editor.content[last.offset(1)] = 0
    editor.set_number(last, _TYPE, _SPLIT_GELU)
    with pytest.raises(mnnlite.UnsupportedModelError, match="not three axes"):
        mnnlite.Model(bytes(editor.content), shapes={"x": (2, 3)})


def test_model_file__cut_while_it_is_described__is_damage(sums: Editor, tmp_path: Path) -> None:
    from mnnlite.descriptions import mnnfile
    from mnnlite.descriptions.pages import Pages

    path = tmp_path / "n.mnn"
    path.write_bytes(sums.content)
    with path.open("rb") as file:
        pages = Pages(file)
        path.write_bytes(b"")
        with pytest.raises(mnnlite.ModelFormatError, match="became shorter"):
            root(pages)
    with pytest.raises(mnnlite.ModelFormatError, match="is empty"):
        mnnfile.read(path)


def test_scattered_elements_without_an_operation__are_refused(elements: Editor) -> None:
    gather = elements.first(_GATHER_ELEMENTS)
    assert not gather.offset(_ATTRIBUTE)
    elements.set_number(gather, _TYPE, _SCATTER_ELEMENTS)
    elements.refused("its attribute is missing")


@pytest.fixture
def part(tmp_path: Path) -> Editor:
    """A part along two axes, and a constant of three numbers."""
    numbers = {"starts": [0, 1], "ends": [2, 3], "axes": [1, 2], "steps": [1, 1], "three": [1, 2, 3]}
    weights = [numpy_helper.from_array(np.int64(value), name) for name, value in numbers.items()]
    nodes = [
        helper.make_node("Slice", ["x", "starts", "ends", "axes", "steps"], ["y"]),
        helper.make_node("Gather", ["x", "three"], ["z"], axis=2),
    ]
    source = networks.save(tmp_path, "part", nodes, weights, {"x": (1, 4, 5)}, {"y": (1, 2, 2), "z": (1, 4, 3)})
    return Editor(networks.convert(source))


def test_part__without_ends_of_its_kind__is_refused(part: Editor) -> None:
    found = part.first(_STRIDED_SLICE)
    attribute = found.table(_ATTRIBUTE)
    assert attribute is not None
    place = found.offset(_INPUTS)
    struct.pack_into("<I", part.content, place + struct.unpack_from("<I", part.content, place)[0], 3)
    part.set_number(attribute, 7, 0)  # TensorFlow's, which has all of them
    part.refused("wrong number of inputs")


def test_part__of_more_numbers_than_begins__is_refused(part: Editor) -> None:
    with mnnlite.Model(bytes(part.content)) as model:
        assert model.run()["y"].shape == (1, 2, 2)
    constants = {
        each.wholes(_OUTPUTS)[0]: shape.wholes(0)
        for each in part.operators
        if each.whole(_TYPE) == _CONST and (shape := each.table(_ATTRIBUTE)) is not None
    }
    three = next(tensor for tensor, shape in constants.items() if shape == (3,))
    part.set_element(part.first(_STRIDED_SLICE), _INPUTS, 2, three)
    part.refused("not one number for each axis")


def test_convolution_of_bytes__is_refused(models: Path) -> None:
    editor = Editor(models / "classes.mnn")
    attribute = editor.first(_INPUT).table(_ATTRIBUTE)
    assert attribute is not None
    editor.set_number(attribute, 1, 4)  # uint8
    editor.refused("reads whole numbers")


def test_function_of_bytes__is_refused(models: Path) -> None:
    editor = Editor(models / "types.mnn")
    cast = next(each for each in editor.operators if each.text(3) == "i8.float")
    editor.set_number(cast, _TYPE, _IDENTITY)
    editor.refused("reads whole numbers")


def test_squeeze__without_what_it_squeezes__is_refused(elements: Editor) -> None:
    gather = elements.first(_GATHER_ELEMENTS)
    place = gather.offset(_INPUTS)
    struct.pack_into("<I", elements.content, place + struct.unpack_from("<I", elements.content, place)[0], 1)
    elements.set_number(gather, _TYPE, _SQUEEZE)
    elements.refused("its attribute is missing")


def test_block_of_a_shape__is_refused(elements: Editor) -> None:
    """Two axes are no picture: batch, channels and one axis for each number of the block are."""
    elements.set_number(elements.first(_GATHER_ELEMENTS), _TYPE, _BATCH_TO_SPACE)
    elements.refused("not enough axes")


def test_dilation_of_packed_weights__is_refused(models: Path) -> None:
    editor = Editor(models / "classes.mnn")
    convolution = editor.first(12)
    attribute = convolution.table(_ATTRIBUTE)
    assert attribute is not None
    editor.set_number(convolution, _TYPE, _DILATION)
    editor.refused("weights are not as many")


def test_copy_without_regions__is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Cast", ["s"], ["y"], to=1)]
    source = networks.save(tmp_path, "shape", nodes, [], {"x": ("n", 3)}, {"y": (2,)})
    editor = Editor(networks.convert(source))
    editor.set_number(editor.first(_SHAPE), _TYPE, _RASTER)
    editor.refused("its regions are missing")


def test_slice_or_fill__by_a_matrix__is_refused(elements: Editor) -> None:
    gather = elements.first(_GATHER_ELEMENTS)
    elements.set_number(gather, _TYPE, _SLICE_TF)
    elements.refused("not one number for each axis")
    values, numbers, _ = gather.wholes(_INPUTS)
    elements.set_element(gather, _INPUTS, 0, numbers)
    elements.set_element(gather, _INPUTS, 1, values)
    elements.set_number(gather, _TYPE, _FILL)
    elements.refused("wrong number of inputs|its shape is not possible")


def test_best_of_too_few__are_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("TopK", ["x", "k"], ["t", "i"], axis=1),
        helper.make_node("Add", ["t", "z"], ["y"]),
    ]
    weights = [numpy_helper.from_array(np.array([3], np.int64), "k")]
    source = networks.save(tmp_path, "best", nodes, weights, {"x": (2, 6), "z": (2, 3)}, {"y": (2, 3)})
    editor = Editor(networks.convert(source))
    best = editor.first(_TOP_K)
    with mnnlite.Model(bytes(editor.content)) as model:
        model.run()
    with pytest.raises(mnnlite.UnsupportedModelError, match="it wants more than there are"):
        mnnlite.Model(bytes(editor.content), shapes={"x": (2, 2)})
    editor.set_element(best, _INPUTS, 0, best.wholes(_INPUTS)[1])  # the one number that says how many
    editor.refused("its axis is not one of its input's")


def test_bias_that_is_longer_than_the_outputs__is_refused(models: Path) -> None:
    """The engine copies all of it to where the outputs have room."""
    editor = Editor(models / "branches.mnn")
    convolution = editor.first(_CONVOLUTION).table(_ATTRIBUTE)
    assert convolution is not None
    place = convolution.offset(2)
    vector = place + struct.unpack_from("<I", editor.content, place)[0]
    (length,) = struct.unpack_from("<I", editor.content, vector)
    struct.pack_into("<I", editor.content, vector, length + 1)
    editor.refused("its bias is not as long as its outputs")


@pytest.fixture
def arithmetic(tmp_path: Path) -> Editor:
    """A reshape by what is computed from the shape of `x`, as exporters write it that do not know their sizes."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Shape", ["r"], ["s"]),
        helper.make_node("Mod", ["s", "three"], ["m"]),
        helper.make_node("Sub", ["s", "m"], ["down"]),
        helper.make_node("Div", ["down", "three"], ["thirds"]),
        helper.make_node("Less", ["thirds", "one"], ["few"]),
        helper.make_node("Where", ["few", "one", "thirds"], ["parts"]),
        helper.make_node("Max", ["parts", "one"], ["p"]),
        helper.make_node("Gather", ["p", "last"], ["q"], axis=0),
        helper.make_node("Slice", ["s", "from", "to"], ["first"]),
        helper.make_node("Mul", ["q", "zero"], ["nothing"]),
        helper.make_node("Sub", ["nothing", "one"], ["open"]),
        helper.make_node("Concat", ["first", "open"], ["shape"], axis=0),
        helper.make_node("Reshape", ["r", "shape"], ["y"]),
        helper.make_node("Cast", ["p"], ["z"], to=1),
    ]
    weights = [
        numpy_helper.from_array(np.array(values, np.int64), name)
        for name, values in {"three": [3], "one": [1], "zero": [0], "last": [2], "from": [0], "to": [1]}.items()
    ]
    shapes = {"x": ("n", 4, "w")}
    source = networks.save(tmp_path, "arithmetic", nodes, weights, shapes, {"y": ("n", "k"), "z": (3,)})
    return Editor(networks.convert(source))


@pytest.mark.parametrize("shape", [(1, 4, 1), (2, 4, 3), (5, 4, 7), (3, 4, 100)])
def test_shapes_computed_from_shapes__are_followed(arithmetic: Editor, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with mnnlite.Model(bytes(arithmetic.content), shapes={"x": shape}) as model:
        got = model.run({"x": x})
    assert np.array_equal(got["y"], np.maximum(x, 0).reshape(shape[0], -1))
    assert got["z"].tolist() == [max(1, each // 3) for each in shape]


def test_shape_divided_by_zero__is_refused(arithmetic: Editor) -> None:
    """The engine divides while it loads: on x86 the process is killed."""
    blobs = [each.table(_ATTRIBUTE) for each in arithmetic.operators if each.whole(_TYPE) == _CONST]
    three = next(blob for blob in blobs if blob is not None and list(blob.wholes(5)) == [3])
    arithmetic.set_element(three, 5, 0, 0)
    with pytest.raises(mnnlite.UnsupportedModelError, match="divides whole numbers by zero"):
        mnnlite.Model(bytes(arithmetic.content), shapes={"x": (2, 4, 3)})


def test_scattering__by_indices_without_an_axis__is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Shape", ["r"], ["s"]),
        helper.make_node("ConstantOfShape", ["rank"], ["zeros"]),
        helper.make_node("Cast", ["zeros"], ["whole"], to=7),
        helper.make_node("ScatterND", ["whole", "places", "s"], ["made"]),
        helper.make_node("Cast", ["made"], ["y"], to=1),
    ]
    weights = [
        numpy_helper.from_array(np.array([3]), "rank"),
        numpy_helper.from_array(np.array([[0], [1], [2]]), "places"),
    ]
    source = networks.save(tmp_path, "scatter", nodes, weights, {"x": ("n", 4, "w")}, {"y": (3,)})
    editor = Editor(networks.convert(source))
    with mnnlite.Model(bytes(editor.content), shapes={"x": (2, 4, 3)}) as model:
        assert model.run({"x": np.zeros((2, 4, 3), np.float32)})["y"].tolist() == [2, 4, 3]
    scatter = editor.first(_SCATTER_ND)
    editor.set_element(scatter, _INPUTS, 0, scatter.wholes(_INPUTS)[1])
    with pytest.raises(mnnlite.UnsupportedModelError, match="its indices have more numbers"):
        mnnlite.Model(bytes(editor.content), shapes={"x": (2, 4, 3)})
