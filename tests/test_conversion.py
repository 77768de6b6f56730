"""What happens to a file before the converter gets it: looked through, and written so that the converter reads it right."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import mnnlite
from helpers import litert
from helpers.graphs import network, run
from mnnlite import convert as conversions
from mnnlite.conversion import rewrites
from mnnlite.conversion.onnx_source import check_onnx
from mnnlite.conversion.tflite_source import check_tflite

node = helper.make_node
RNG = np.random.default_rng(0)


def pool(auto_pad, shape, **options):
    return network(
        [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto_pad, **options)],
        {"x": shape},
        {"y": None},
    )


def resized(shape=(1, 2, 7, 9), scales=(1, 1, 1.6, 0.7), opset=18, **options):
    return network(
        [node("Resize", ["x", "", "s"], ["y"], **options)], {"x": shape}, {"y": None}, {"s": np.float32(scales)}, opset
    )


SAME = {  # what ONNX Runtime computes for both
    "a convolution, SAME_LOWER": lambda: network(
        [node("Conv", ["x", "w"], ["y"], strides=[2, 1], auto_pad="SAME_LOWER")],
        {"x": (1, 3, 10, 11)},
        {"y": None},
        {"w": RNG.standard_normal((4, 3, 4, 3)).astype(np.float32)},
    ),
    "a pool, SAME_LOWER": lambda: pool("SAME_LOWER", (1, 2, 9, 8)),
    "softmax over the rest": lambda: network([node("Softmax", ["x"], ["y"])], {"x": (2, 3, 4)}, {"y": None}, opset=11),
    "softmax of one axis": lambda: network(
        [node("Softmax", ["x"], ["y"], axis=1)], {"x": (2, 5, 1)}, {"y": None}, opset=9
    ),
    "softmax of an open size": lambda: network(
        [node("Softmax", ["x"], ["y"], axis=1)], {"x": ("n", 3, "m")}, {"y": None}, opset=11
    ),
    "cubic": lambda: resized(mode="cubic"),
    "cubic, align corners": lambda: resized(mode="cubic", coordinate_transformation_mode="align_corners"),
    "cubic, another kernel": lambda: resized(mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
    "linear, antialiased": lambda: resized(mode="linear", antialias=1, scales=(1, 1, 0.5, 0.4)),
    "nearest, up": lambda: resized(mode="nearest", nearest_mode="ceil", coordinate_transformation_mode="asymmetric"),
    "nearest, round up": lambda: resized(mode="nearest", nearest_mode="round_prefer_ceil"),
}


@pytest.mark.parametrize("name", SAME)
def test_rewrites__compute_the_same(name: str, tmp_path: Path) -> None:
    model = SAME[name]()
    onnx.save(model, tmp_path / "n.onnx")
    assert rewrites.suspects(check_onnx(tmp_path / "n.onnx"))
    shape = [axis.dim_value or 2 for axis in model.graph.input[0].type.tensor_type.shape.dim]
    x = RNG.standard_normal(shape).astype(np.float32)
    (wanted,) = run(model, x=x)
    assert rewrites.for_the_converter(model)
    (found,) = run(model, x=x)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_reductions__have_their_axes_as_attribute() -> None:
    nodes = [node("ReduceMean", ["x", "a"], ["y"], keepdims=0), node("ReduceSum", ["x"], ["z"], noop_with_empty_axes=1)]
    model = network(nodes, {"x": (2, 3, 4)}, {"y": None, "z": None}, {"a": np.int64([1, -1])}, opset=18)
    rewrites.for_the_converter(model)
    mean, nothing = model.graph.node
    assert list(mean.input) == ["x"]
    assert {each.name: helper.get_attribute_value(each) for each in mean.attribute} == {"keepdims": 0, "axes": [1, -1]}
    assert nothing.op_type == "Identity"
    computed = network([node("ReduceMean", ["x", "a"], ["y"])], {"x": (2, 3), "a": (1,)}, {"y": None}, opset=18)
    with pytest.raises(mnnlite.UnsupportedModelError, match=r"y .ReduceMean.: its axes are computed"):
        rewrites.for_the_converter(computed)


def test_quantised__networks_become_floats() -> None:
    """The clipping stays: exporters leave the ReLU to it."""
    weights = RNG.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8)
    scales = np.float32([0.01, 0.02, 0.03, 0.04])
    nodes = [
        node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
        node("Conv", ["x", "wf"], ["c"]),
        node("QuantizeLinear", ["c", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    constants = {"w": weights, "ws": scales, "wz": np.zeros(4, np.int8), "s": np.float32(0.02), "z": np.uint8(0)}
    model = network(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 4, 6, 6)}, constants)
    x = RNG.standard_normal((1, 3, 8, 8)).astype(np.float32)
    (wanted,) = run(model, x=x)
    (note,) = rewrites.meaning(model)
    assert "1 constants dequantised, 1 QuantizeLinear" in note
    assert [each.op_type for each in model.graph.node] == ["Conv", "Clip", "Identity"]
    (found,) = run(model, x=x)
    assert found.min() == 0
    assert np.abs(found - wanted).max() <= 0.01 + 1e-6  # half a step


@litert.needed
@pytest.mark.parametrize(("top", "zero", "kind"), [(6.0, 0, 3), (2.5, 0, 3), (6.0, -128, 9), (6.0, 40, 3)])
def test_quantised__tflites_whole_numbers_cut_off_what_no_activation_says(tmp_path, top, zero, kind) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    dtype, scale = (np.uint8, np.int8)[kind == 9], top / 255
    low = np.iinfo(dtype).min
    weights = RNG.integers(low, np.iinfo(dtype).max, (4, 1, 1, 3)).astype(dtype)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.inputs, graph.outputs = [], [0], [3]
    parts = [
        ("x", (1, 5, 6, 3), kind, 1 / 128, low + 128, None),
        ("w", weights.shape, kind, 0.05, 0 if kind == 9 else 128, weights),
        ("b", (4,), 2, 0.05 / 128, 0, np.int32([0, 40, -700, 9000])),
        ("y", (1, 5, 6, 4), kind, scale, zero, None),
    ]
    for name, shape, of, step, origin, value in parts:
        tensor, buffer, how = schema.TensorT(), schema.BufferT(), schema.QuantizationParametersT()
        if value is not None:
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
        how.scale, how.zeroPoint = np.float32([step]), np.int64([origin])
        model.buffers.append(buffer)
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, np.int32(shape), of, len(model.buffers) - 1
        tensor.quantization = how
        graph.tensors.append(tensor)
    code, operator, options = schema.OperatorCodeT(), schema.OperatorT(), schema.Conv2DOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = 3
    code.version = 3
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.int32([0, 1, 2]), np.int32([3])
    operator.builtinOptionsType, operator.builtinOptions = 1, options
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "q.tflite").write_bytes(bytes(builder.Output()))

    interpreter = Interpreter(str(tmp_path / "q.tflite"))
    interpreter.allocate_tensors()
    x = RNG.integers(low, np.iinfo(dtype).max, (1, 5, 6, 3)).astype(dtype)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    whole = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    wanted = (whole.astype(np.float64) - zero) * scale
    conversions.convert(tmp_path / "q.tflite", tmp_path / "q.mnn")
    with mnnlite.Model(tmp_path / "q.mnn") as made:
        found = made.run({"x": ((x.astype(np.float32) - low - 128) / 128).astype(np.float32)})["y"]
    inside = (whole > low) & (whole < np.iinfo(dtype).max)
    assert inside.any()
    assert np.abs(found - wanted)[inside].max() <= 0.51 * scale  # half a step
    assert (found[whole == low] <= 0.51 * scale + (low - zero) * scale).all()
    if zero == low:
        assert found.min() == 0
        if top == 6:
            assert found.max() == 6


def suppressing():
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Reshape", ["c", "shape"], ["boxes"]),
        node("ReduceMax", ["boxes"], ["m"], axes=[2], keepdims=1),
        node("Transpose", ["m"], ["scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores", "most"], ["rows"]),
        node("Cast", ["rows"], ["y"], to=1),
    ]
    constants = {
        "w": RNG.standard_normal((4, 3, 1, 1)).astype(np.float32),
        "shape": np.int64([1, -1, 4]),
        "most": np.int64([9]),
    }
    return network(nodes, {"x": (1, 3, 5, 5)}, {"y": (None, 3)}, constants)


def test_scalars__a_constant_of_one_element_loses_its_axes() -> None:
    model = network(
        [node("Conv", ["x", "w"], ["c"]), node("Add", ["one", "c"], ["d"]), node("Mul", ["d", "one"], ["y"])],
        {"x": (1, 3, 9)},
        {"y": (1, 4, 7)},
        {"w": RNG.standard_normal((4, 3, 3)).astype(np.float32), "one": np.ones((1, 1, 1), np.float32)},
    )
    x = RNG.standard_normal((1, 3, 9)).astype(np.float32)
    (wanted,) = run(model, x=x)
    (note,) = rewrites.for_the_converter(model)
    assert note.startswith("2 constants of one element")
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert [sizes[name] for each in model.graph.node for name in each.input if name in sizes][1:] == [(1,), (1,)]
    np.testing.assert_array_equal(run(model, x=x)[0], wanted)
    assert not rewrites.for_the_converter(model)


@pytest.mark.parametrize("constant", [True, False])
def test_indices__none_counts_from_the_end(constant: bool) -> None:
    values = np.int64([[-1, 0, -2], [1, -3, 2]])
    nodes = [node("GatherElements", ["x", "i"], ["y"], axis=1)]
    model = network(nodes, {"x": (2, 3)}, {"y": (2, 3)}, {"i": values} if constant else {})
    fed = {"x": RNG.standard_normal((2, 3)).astype(np.float32)}
    if not constant:
        model.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, (2, 3)))
        fed["i"] = values
    (wanted,) = run(model, **fed)
    (note,) = rewrites.for_the_converter(model)
    assert "counts from the end" in note
    np.testing.assert_array_equal(run(model, **fed)[0], wanted)
    assert model.graph.node[-1].input[1] != "i"
    if constant:
        (used,) = [each for each in model.graph.initializer if each.name == model.graph.node[-1].input[1]]
        assert onnx.numpy_helper.to_array(used).min() >= 0


def test_suppression__is_cut_off() -> None:
    model = suppressing()
    (note,) = rewrites.meaning(model)
    assert "the outputs are boxes, m, no longer y" in note  # m: the scores of each box, before they were turned
    assert [value.name for value in model.graph.output] == ["boxes", "m"]
    assert "NonMaxSuppression" not in [each.op_type for each in model.graph.node]
    onnx.checker.check_model(model)


def small(folder: Path, location: str | None = None, size: int = 256) -> Path:
    weights = TensorProto(name="w", data_type=1, dims=[1, 64])
    if location is None:
        weights.raw_data = bytes(size)
    else:
        weights.data_location = 1
        entry = weights.external_data.add()
        entry.key, entry.value = "location", location
    model = network([node("Add", ["x", "w"], ["y"])], {"x": (1, 64)}, {"y": (1, 64)})
    model.graph.initializer.append(weights)
    path = folder / "n.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data__is_inside_the_folder_and_whole(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(bytes(256))
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "short").write_bytes(bytes(100))
    (inside / "whole").write_bytes(bytes(256))
    os.mkfifo(inside / "pipe")
    for location, words in {
        "../secret": "not inside the model's folder",
        str(tmp_path / "secret"): "not inside the model's folder",
        "link": "a link out of the model's folder",
        "pipe": "no regular file",
        "nowhere": "not beside it",
        "short": "too short",
    }.items():
        with pytest.raises(mnnlite.UnsupportedModelError, match=words):
            check_onnx(small(inside, location))
    assert check_onnx(small(inside, "whole")).files == ("whole",)


def test_damaged__files_are_refused_before_the_converter(tmp_path: Path) -> None:
    whole = small(tmp_path).read_bytes()
    for name, content in {
        "empty": b"",
        "text": b"no network\n" * 9,
        "cut": whole[:-9],
        "short weights": small(tmp_path, size=255).read_bytes(),
        "no graph": onnx.ModelProto(ir_version=8).SerializeToString(),
    }.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(mnnlite.ModelFormatError, match=name):
            check_onnx(path)
    for name, content in {
        "empty": b"",
        "text": b"no network\n" * 9,
        "zeros": bytes(64),
        "cut": b"\x1c\0\0\0TFL3\0\0",
    }.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        with pytest.raises(mnnlite.ModelFormatError, match=name):
            check_tflite(path)


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(resized(mode="cubic"), tmp_path / "n.onnx")
    find = conversions.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else find(name))
    with pytest.raises(mnnlite.MissingExtraError, match=r"has Resize, .* pip install .mnnlite\[compare\]"):
        conversions.convert(tmp_path / "n.onnx", tmp_path / "n.mnn")
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


@pytest.mark.slow  # child processes
def test_a_rewritten_network_is_equal_and_says_so(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], strides=[2, 2], auto_pad="SAME_LOWER"),
        node("ReduceL2", ["c", "axes"], ["n"]),
        node("Div", ["c", "n"], ["d"]),
        node("Resize", ["d", "", "s"], ["y"], mode="cubic"),
    ]
    constants = {
        "w": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "axes": np.int64([1]),
        "s": np.float32([1, 1, 2, 2]),
    }
    onnx.save(network(nodes, {"x": (1, 3, 12, 12)}, {"y": (1, 4, 12, 12)}, constants, 18), tmp_path / "n.onnx")
    made = conversions.convert(tmp_path / "n.onnx", tmp_path / "n.mnn")
    assert made.verdict.compared
    assert made.verdict.equal
    assert made.verdict.inputs == ("constant", "random", "signed")
    assert len([each for each in made.notes if "converter said" not in each]) == 3
    from mnnlite.descriptions import mnnfile

    said = mnnfile.read(tmp_path / "n.mnn")["conversion"]
    assert said["equal"]
    assert said["worst"] == made.verdict.worst
    onnx.save(suppressing(), tmp_path / "s.onnx")
    cut = conversions.convert(tmp_path / "s.onnx", tmp_path / "s.mnn")
    assert cut.verdict.equal
    with mnnlite.Model(tmp_path / "s.mnn") as model:
        assert set(model.outputs) == {"boxes", "m"}


@pytest.mark.slow  # child processes
@pytest.mark.parametrize("turned", [True, False], ids=["scores were turned", "scores by class"])
def test_suppression__a_decoder_takes_its_place(tmp_path: Path, turned: bool) -> None:
    """What is found is what NonMaxSuppression would have kept."""
    rng = np.random.default_rng(8)
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Reshape", ["c", "flat"], ["rows"]),
        node("Split", ["rows", "parts"], ["at", "side", "raw"], axis=1),
        node("Sigmoid", ["at"], ["unit"]),
        node("Mul", ["unit", "wide"], ["first"]),
        node("Sigmoid", ["side"], ["short"]),
        node("Mul", ["short", "large"], ["size"]),
        node("Add", ["first", "size"], ["second"]),
        node("Concat", ["first", "second"], ["corners"], axis=1),
        node("Transpose", ["corners"], ["boxes"], perm=[0, 2, 1]),
        node("Sigmoid", ["raw"], ["by_class"]),
        node("Transpose", ["by_class"], ["by_box"], perm=[0, 2, 1]),
        node("Transpose", ["by_box"], ["scores"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["boxes", "scores" if turned else "by_class", "most", "iou", "least"], ["kept"]),
        node("Cast", ["kept"], ["y"], to=1),
    ]
    constants = {
        "w": rng.standard_normal((7, 3, 1, 1)).astype(np.float32),
        "flat": np.int64([1, 7, -1]),
        "parts": np.int64([2, 2, 3]),
        "wide": np.float32(18),
        "large": np.float32(12),
        "most": np.int64([200]),
        "iou": np.float32([0.4]),
        "least": np.float32([0.5]),
    }
    model = network(nodes, {"x": (1, 3, 32, 32)}, {"y": (None, 3), "boxes": (1, 1024, 4)}, constants)
    model.producer_name = "pytorch"
    onnx.save(model, tmp_path / "s.onnx")
    made = conversions.convert(tmp_path / "s.onnx", tmp_path / "s.mnn", compare=False)
    said = mnnlite.describe(made)
    assert [reading.task_spec.decoder.units for reading in said.candidates] == ["pixels", "relative"]
    assert "NonMaxSuppression" in said.candidates[0].sources["decoder"]
    picture = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
    spec = replace(said.candidates[0].task_spec, image=mnnlite.ImageSpec(color="RGB", std=(255, 255, 255)))
    with mnnlite.Task(spec) as task:
        found = task(picture, "RGB")
    kept, boxes = run(model, x=np.float32(picture.transpose(2, 0, 1)[None] / 255))
    wanted = {(int(kind), *(round(float(each), 2) for each in boxes[0, int(row)])) for _, kind, row in kept}
    assert len(wanted) > 5
    rows = found.rows
    got = {(int(row["class_id"]), *(round(float(each), 2) for each in row["box"])) for row in rows}
    assert got == wanted


@pytest.mark.slow  # child processes
def test_other_formats_are_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnnlite import cache, conversion
    from mnnlite.conversion import store

    monkeypatch.setenv("MNNLITE_CACHE", str(tmp_path / "cache"))
    model = network(
        [node("Conv", ["x", "w"], ["c"]), node("GlobalAveragePool", ["c"], ["y"])],
        {"x": (1, 3, 8, 8)},
        {"y": (1, 4, 1, 1)},
        {"w": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)},
    )
    source = tmp_path / "n.onnx"
    onnx.save(model, source)
    spec = mnnlite.TaskSpec(str(source), mnnlite.ImageSpec(color="RGB", std=(255, 255, 255)), "raw")
    picture = RNG.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    with mnnlite.Task(spec) as task:
        found = task(picture, "RGB")["y"]
    (wanted,) = run(model, x=np.float32(picture.transpose(2, 0, 1)[None] / 255))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    (kept,) = cache.entries()
    assert (kept.kind, kept.path.suffix) == ("converted", ".mnn")
    monkeypatch.setattr(store, "converted_in", lambda *_, **__: pytest.fail("converted again"))
    with mnnlite.Runtime() as runtime:
        runtime.add("n", spec)
        result = runtime.process(mnnlite.Frame(picture, "RGB"))
        np.testing.assert_allclose(result["n"]["y"], wanted, atol=1e-5)
    assert conversion.ready(source) == str(kept.path)
    path, verdict = conversions.ready_compared(source)
    assert (path, verdict.compared, verdict.equal) == (kept.path, True, True)
    with pytest.raises(mnnlite.ModelFormatError, match="not the one that was written down"):
        mnnlite.Task(mnnlite.TaskSpec(str(source), sha256="0" * 64))
    source.write_bytes(source.read_bytes() + b"\0")
    with pytest.raises(mnnlite.ModelFormatError, match="damaged"):
        conversion.ready(source)
