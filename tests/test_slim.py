"""Rewrites that lower the peak of feature maps compute the same numbers, and are made where they lower it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import mnnlite
from helpers import litert
from helpers.graphs import network, run
from mnnlite import cli
from mnnlite.conversion import rewrites, tflite_tails
from mnnlite.conversion.liveness import held
from mnnlite.convert import convert

node = helper.make_node
RNG = np.random.default_rng(0)


def attention(rows=600, turned=False, scale=None):
    """Queries, keys and values of one picture; beside them a network that holds little."""
    nodes = [node("MatMul", ["q", "k"], ["scores"])]
    nodes += [node("Mul", ["scores", "scale"], ["scaled"])] if scale else []
    nodes += [node("Softmax", ["scaled" if scale else "scores"], ["weights"], axis=-1)]
    if turned:
        nodes += [node("Transpose", ["weights"], ["across"], perm=[0, 2, 1]), node("MatMul", ["v", "across"], ["y"])]
    else:
        nodes += [node("MatMul", ["weights", "v"], ["y"])]
    inputs = {"q": (1, rows, 4), "k": (1, 4, rows), "v": (1, 8, rows) if turned else (1, rows, 8)}
    return network(nodes, inputs, {"y": None}, {"scale": np.float32([scale])} if scale else None)


@pytest.mark.parametrize(("rows", "turned", "scale"), [(1200, False, None), (1201, True, None), (1999, False, 0.5)])
def test_slim__attention_goes_block_by_block(rows: int, turned: bool, scale: float | None) -> None:
    model = attention(rows, turned, scale)
    inputs = {
        each.name: RNG.standard_normal([axis.dim_value for axis in each.type.tensor_type.shape.dim]).astype(np.float32)
        for each in model.graph.input
    }
    (wanted,) = run(model, **inputs)
    (note,) = rewrites.slim(model, ["attention"])
    assert "blocks of rows" in note
    (found,) = run(model, **inputs)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    before, after = held(rewrites.Graph(attention(rows, turned, scale))), held(rewrites.Graph(model))
    assert max(each.bytes for each in before) > 2 * 4 * rows * rows
    assert max(each.bytes for each in after) < 0.3 * max(each.bytes for each in before)


def test_slim__attention_that_does_not_hold_the_peak_stays() -> None:
    model = attention(40)
    model.graph.node.extend([node("Tile", ["y", "often"], ["z"])])
    model.graph.output[0].name = "z"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.int64([1, 400, 1]), "often"))
    before = model.SerializeToString()
    assert rewrites.slim(model, ["attention"]) == [
        "attention scores stays whole: other operators hold the peak of feature maps"
    ]
    assert model.SerializeToString() == before


def test_slim__weights_that_are_read_elsewhere_stay() -> None:
    model = attention()
    model.graph.output.append(helper.make_tensor_value_info("weights", onnx.TensorProto.FLOAT, None))
    before = model.SerializeToString()
    assert rewrites.slim(model, ["slopes", "attention"]) == []
    assert model.SerializeToString() == before


def test_slim__slopes_have_all_axes() -> None:
    slopes = RNG.random((3, 1, 1)).astype(np.float32)
    model = network([node("PRelu", ["x", "s"], ["y"])], {"x": (2, 3, 4, 5)}, {"y": None}, {"s": slopes})
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    (wanted,) = run(model, x=x)
    assert rewrites.slim(model, ["slopes"]) == ["1 PRelu: their slopes have as many axes as what they are of"]
    (found,) = run(model, x=x)
    np.testing.assert_array_equal(found, wanted)
    assert rewrites.Graph(model).constant(model.graph.node[0].input[1]).shape == (1, 3, 1, 1)


def segmenter(
    rule="align_corners",
    size=(65, 97),
    after="Cast",
    scales=None,
    more_outputs=(),
    to=onnx.TensorProto.INT32,
    shape=None,
    perm=None,
):
    """A convolution makes scores of five classes at an eighth of the picture; they are resized, and the largest is taken."""
    draw = np.random.default_rng(1)
    perm = perm or [0, 1, 2, 3]
    constants = {"w": draw.standard_normal((5, 3, 3, 3)).astype(np.float32)}
    constants["sizes"] = np.int64([1, 5, *size])
    nodes = [node("Conv", ["x", "w"], ["scores"], pads=[1, 1, 1, 1], strides=[8, 8])]
    resize = ["scores", "", "", "sizes"]
    if scales is not None:
        constants["scales"], resize = np.float32([1, 1, *scales]), ["scores", "", "scales"]
    nodes += [node("Resize", resize, ["large"], mode="linear", coordinate_transformation_mode=rule)]
    if perm != [0, 1, 2, 3]:
        nodes += [node("Transpose", ["large"], ["turned"], perm=perm)]
    nodes += [node("ArgMax", [nodes[-1].output[0]], ["best"], axis=perm.index(1), keepdims=0)]
    if shape is not None:
        constants["shape"] = np.int64(shape)
    nodes += [node(after, ["best", *(["shape"] if shape else [])], ["y"], **({"to": to} if after == "Cast" else {}))]
    outputs = {"y": None, **dict.fromkeys(more_outputs)}
    model = network(nodes, {"x": (1, 3, 64, 96)}, outputs, constants)
    model.graph.output[0].type.tensor_type.elem_type = to if after == "Cast" else onnx.TensorProto.INT64
    return model


@pytest.mark.parametrize(
    ("rule", "size", "scales"),
    [
        ("align_corners", (65, 97), None),
        ("half_pixel", (64, 96), None),
        ("asymmetric", (96, 120), (12.0, 10.0)),
        ("pytorch_half_pixel", (70, 50), None),
    ],
)
def test_slim__a_tail_is_cut_and_the_decoder_does_the_same(rule: str, size: tuple[int, int], scales: object) -> None:
    model = segmenter(rule, size, scales=scales)
    x = RNG.standard_normal((1, 3, 64, 96)).astype(np.float32)
    (wanted,) = run(model, x=x)
    said: dict = {}
    (note,) = rewrites.slim(model, ["tails"], said)
    assert "cut off before large (Resize): the output is scores 1x5x8x12" in note
    assert said == {"upsample": {"scores": {"size": [size[1], size[0]], "by": rule.removeprefix("pytorch_")}}}
    (scores,) = run(model, x=x)
    facts = said["upsample"]["scores"]
    decoder = mnnlite.decoders.Segmentation(upsample=facts["size"], upsample_by=facts["by"])
    found = decoder.decode({"scores": scores}, (size[1], size[0]))
    assert wanted.shape == (1, *size)
    np.testing.assert_array_equal(found.class_map(), wanted[0])


def test_slim__tails_that_stay() -> None:
    for model in (
        segmenter("tf_crop_and_resize"),
        segmenter(scales=(4.3, 5.0)),  # which is not the ratio of the sizes
        segmenter(more_outputs=["large"]),
        segmenter(after="Neg"),
        segmenter(after="Cast", to=onnx.TensorProto.BOOL),
        segmenter(after="Reshape", shape=[-1]),
        segmenter(after="Reshape", shape=[1, 97, 65]),
        segmenter(perm=[0, 1, 3, 2]),  # a map on its side
        segmenter(perm=[0, 3, 2, 1]),
        segmenter("pytorch_half_pixel", (1, 9000)),  # its only row is the first of the small one's
    ):
        before = model.SerializeToString()
        assert rewrites.slim(model, ["tails"]) == []
        assert model.SerializeToString() == before
    model = segmenter(size=(9, 13))
    assert rewrites.slim(model, ["tails"]) == [
        "upsampling large (Resize) stays: other operators hold the peak of feature maps"
    ]


def test_slim__a_cut_network_of_half_floats_has_half_floats() -> None:
    model = segmenter()
    for each in (*model.graph.initializer, model.graph.input[0]):
        if each.name == "w":
            each.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(each).astype(np.float16), "w"))
        elif each.name == "x":
            each.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    assert len(rewrites.slim(model, ["tails"])) == 1
    (scores,) = run(model, x=RNG.standard_normal((1, 3, 64, 96)).astype(np.float16))
    assert scores.dtype == np.float16


def tflite_segmenter(path: Path, quantised: bool = True) -> None:
    """As `segmenter`, in whole numbers, with a resizing before that changes nothing."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    draw = np.random.default_rng(2)
    kind = 3 if quantised else 0
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, graph.tensors = 3, [graph], [schema.BufferT()], []

    def tensor(name: str, shape: list[int], dtype: int, data: object = None, scale: float = 0.0, zero: int = 0) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, dtype, 0
        if data is not None:
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(np.asarray(data).tobytes(), np.uint8)
            made.buffer = len(model.buffers) - 1
        if scale and quantised:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    weights = draw.integers(0, 256, (5, 1, 1, 3)).astype(np.uint8)
    x = tensor("x", [1, 9, 9, 3], kind, None, 1 / 128, 128)
    w = tensor("w", [5, 1, 1, 3], kind, weights if quantised else weights.astype(np.float32) / 50 - 2.5, 1 / 50, 128)
    b = tensor("b", [5], 2 if quantised else 0, np.zeros(5, np.int32 if quantised else np.float32), 1 / 6400)
    scores = tensor("scores", [1, 9, 9, 5], kind, None, 1 / 20, 128)
    same = tensor("same", [1, 9, 9, 5], kind, None, 1 / 20, 128)
    large = tensor("large", [1, 65, 97, 5], kind, None, 1 / 20, 128)
    sizes = [tensor(f"size{side}", [2], 2, np.int32(side)) for side in ((9, 9), (65, 97))]
    axis, best = tensor("axis", [], 2, np.int32(3)), tensor("best", [1, 65, 97], 4)
    codes = {3: "conv", 23: "resize", 56: "argmax"}
    model.operatorCodes = []
    for code in codes:
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = code
        model.operatorCodes.append(made)
    graph.inputs, graph.outputs, graph.operators = [x], [best], []

    def operator(code: int, inputs: list[int], output: int, kind: int, options: object) -> None:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = list(codes).index(code), inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        graph.operators.append(made)

    conv, resize, argmax = schema.Conv2DOptionsT(), schema.ResizeBilinearOptionsT(), schema.ArgMaxOptionsT()
    conv.strideW = conv.strideH = conv.dilationWFactor = conv.dilationHFactor = 1
    resize.alignCorners, argmax.outputType = True, 4
    kinds = schema.BuiltinOptions
    operator(3, [x, w, b], scores, kinds.Conv2DOptions, conv)
    operator(23, [scores, sizes[0]], same, kinds.ResizeBilinearOptions, resize)
    operator(23, [same, sizes[1]], large, kinds.ResizeBilinearOptions, resize)
    operator(56, [large, axis], best, kinds.ArgMaxOptions, argmax)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


@litert.needed
@pytest.mark.parametrize(
    ("shape", "dtype", "cut"),
    [
        ([65, 97], 2, True),
        ([1, 65, 97, 1], 2, True),
        ([6305], 2, False),
        ([1, 97, 65], 2, False),
        ([1, 65, 97], 6, False),
    ],
)
def test_slim__tails_of_tflite_files_that_are_no_map_stay(
    tmp_path: Path, shape: list[int], dtype: int, cut: bool
) -> None:
    """After the class of each pixel comes an operator that makes another shape or a boolean of it."""
    from ai_edge_litert import schema_py_generated as schema

    tflite_segmenter(tmp_path / "a.tflite", quantised=False)
    model = schema.ModelT.InitFromPackedBuf((tmp_path / "a.tflite").read_bytes(), 0)
    graph = model.subgraphs[0]
    code, last, made = schema.OperatorCodeT(), schema.OperatorT(), schema.TensorT()
    code.builtinCode = code.deprecatedBuiltinCode = 53 if dtype == 6 else 22  # CAST, RESHAPE
    model.operatorCodes.append(code)
    made.name, made.shape, made.type, made.buffer = b"end", shape, dtype, 0
    graph.tensors.append(made)
    last.opcodeIndex, last.inputs, last.outputs = len(model.operatorCodes) - 1, graph.outputs, [len(graph.tensors) - 1]
    graph.operators.append(last)
    graph.outputs = last.outputs
    said: dict = {}
    assert len(tflite_tails.cut_tails(model, graph, said)) == cut
    assert said == ({"upsample": {"scores": {"size": [97, 65], "by": "align_corners"}}} if cut else {})
    assert len(graph.operators) == (1 if cut else 5)


@litert.needed
@pytest.mark.slow  # child processes
@pytest.mark.parametrize("quantised", [True, False])
def test_slim__a_tflite_file_ends_before_its_classes(tmp_path: Path, quantised: bool) -> None:
    tflite_segmenter(tmp_path / "a.tflite", quantised)
    with pytest.raises(mnnlite.UnsupportedModelError, match=r"ARG_MAX.*with slim \(--slim\) the network is cut off"):
        convert(tmp_path / "a.tflite", tmp_path / "a.mnn")
    made = convert(tmp_path / "a.tflite", tmp_path / "a.mnn", slim=True)
    assert made.verdict.equal
    assert "the output is scores 1x9x9x5, of which Segmentation(upsample=(97, 65)" in made.notes[-1]
    spec = mnnlite.describe(made.path)
    (reading,) = spec.candidates or (spec,)
    decoder = reading.task_spec.decoder
    assert decoder == mnnlite.decoders.Segmentation(upsample=(97, 65), upsample_by="align_corners")


@pytest.mark.slow  # child processes
def test_slim__a_cut_network_says_how_it_is_read(tmp_path: Path) -> None:
    onnx.save(segmenter(), tmp_path / "a.onnx")
    made = convert(tmp_path / "a.onnx", tmp_path / "a.mnn", slim=["tails"])
    whole = convert(tmp_path / "a.onnx", tmp_path / "whole.mnn", compare=False)
    assert made.verdict.equal
    (found,) = mnnlite.describe(made.path).candidates
    image = mnnlite.ImageSpec(std=255)
    picture = RNG.integers(0, 256, (64, 96, 3), np.uint8)
    with (
        mnnlite.Task(made.path, image=image, decoder=found.task_spec.decoder) as task,
        mnnlite.Task(whole.path, image=image, decoder=mnnlite.decoders.Segmentation(background=-1)) as other,
    ):
        np.testing.assert_array_equal(task(picture, "BGR").class_map(), other(picture, "BGR").class_map())


def test_slim__words(tmp_path: Path) -> None:
    onnx.save(attention(), tmp_path / "a.onnx")
    with pytest.raises(
        mnnlite.ArgumentError,
        match="slim is 'heads'; it must be True or some of 'slopes', 'attention', 'expansions', 'tails'",
    ):
        convert(tmp_path / "a.onnx", tmp_path / "a.mnn", slim=["heads"])
    (tmp_path / "b.tflite").write_bytes(b"x" * 100)
    with pytest.raises(mnnlite.ArgumentError, match="of a TFLite file only tails are cut"):
        convert(tmp_path / "b.tflite", tmp_path / "b.mnn", slim=["slopes"])
    (tmp_path / "c.mnn").write_bytes(b"x" * 100)
    with pytest.raises(mnnlite.ArgumentError, match="that it was converted from"):
        convert(tmp_path / "c.mnn", tmp_path / "d.mnn", slim=True)


def test_slim__a_network_behind_it_is_not_taken_for_a_part(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        cli.main(["convert", "--slim", "a.onnx"])
    assert "'a.onnx' is no part; write the network before --slim" in capsys.readouterr().err


@pytest.mark.slow  # child processes
def test_slim__networks_hold_less(tmp_path: Path) -> None:
    onnx.save(attention(1200), tmp_path / "a.onnx")
    plain, slim = (
        convert(tmp_path / "a.onnx", tmp_path / f"{slim}.mnn", slim=slim, compare=slim) for slim in (False, True)
    )
    assert slim.verdict.equal
    assert any("attention scores in 7 blocks" in note for note in slim.notes), slim.notes
    with mnnlite.Model(plain.path) as whole, mnnlite.Model(slim.path) as blocks:
        inputs = {name: RNG.random(each.shape).astype(np.float32) for name, each in whole.inputs.items()}
        np.testing.assert_array_equal(blocks.run(inputs)["y"], whole.run(inputs)["y"])
        assert blocks.memory()["dynamic"] < 0.3 * whole.memory()["dynamic"]


def residual(channels=64, activation="Relu", stride=2, bias=True, more=None):
    """A convolution makes 64 channels of 8, one filters each by itself, one projects them."""
    draw = np.random.default_rng(3)

    def weights(*shape: int) -> np.ndarray:
        return draw.standard_normal(shape).astype(np.float32) / 4

    constants = {"we": weights(channels, 8, 1, 1), "wd": weights(channels, 1, 3, 3), "wp": weights(8, channels, 1, 1)}
    constants |= {
        "be": weights(channels),
        "bd": weights(channels),
        "bp": weights(8),
        "low": np.float32(0),
        "high": np.float32(6),
    }
    ends = ["low", "high"] if activation == "Clip" else []
    nodes = [
        node("Conv", ["x", "we", *(["be"] if bias else [])], ["e"]),
        node(activation, ["e", *ends], ["ea"]),
        node(
            "Conv", ["ea", "wd", *(["bd"] if bias else [])], ["d"], group=channels, pads=[1] * 4, strides=[stride] * 2
        ),
        node(activation, ["d", *ends], ["da"]),
        node("Conv", ["da", "wp", *(["bp"] if bias else [])], ["y"]),
    ]
    return network(nodes, {"x": (1, 8, 40, 48)}, {"y": None, **(more or {})}, constants)


@pytest.mark.parametrize(
    ("channels", "activation", "stride", "bias"),
    [(64, "Relu", 2, True), (60, "Clip", 1, False), (96, "HardSwish", 1, True)],
)
def test_slim__inverted_residuals_go_by_channels(channels: int, activation: str, stride: int, bias: bool) -> None:
    model = residual(channels, activation, stride, bias)
    x = RNG.standard_normal((1, 8, 40, 48)).astype(np.float32)
    (wanted,) = run(model, x=x)
    before = max(each.bytes for each in held(rewrites.Graph(model)))
    (note,) = rewrites.slim(model, ["expansions"])
    assert "1 inverted residuals in blocks of channels (e)" in note
    (found,) = run(model, x=x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    after = max(each.bytes for each in held(rewrites.Graph(model)))
    assert after < 0.55 * before
    assert rewrites.slim(model, ["expansions"]) == []


def test_slim__residuals_that_are_read_elsewhere_stay() -> None:
    for model in (residual(more={"ea": None}), residual(channels=8)):
        before = model.SerializeToString()
        assert rewrites.slim(model, ["expansions"]) == []
        assert model.SerializeToString() == before


def test_slim__looks_for_the_peak_in_the_shapes_that_are_given() -> None:
    model = residual()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "rows"
    before = model.SerializeToString()
    assert rewrites.slim(model, ["expansions"]) == []
    assert model.SerializeToString() == before
    (note,) = rewrites.slim(model, ["expansions"], None, {"x": (1, 8, 400, 48)})
    assert "MiB of feature maps at the peak become" in note
    assert model.graph.input[0].type.tensor_type.shape.dim[2].dim_param == "rows"
