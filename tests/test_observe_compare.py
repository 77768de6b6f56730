"""The first operator where two networks part: clean networks, faults of known place, dumps, inputs, and the command."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import mnnlite
from helpers import litert, models, networks
from helpers.cli import mnnlite as command
from mnnlite import observe
from mnnlite.observe.matching import base_name
from mnnlite.observe.metrics import difference

CHANNELS = 8


def network(folder, name="net", *, change=None):
    """conv1, batch norm, relu, conv2, concat, max pool, conv3, sigmoid; `change(nodes, weights)` puts a fault in."""
    rng = np.random.default_rng(5)
    weights = {}
    for conv, channels in (("conv1", 3), ("conv2", CHANNELS), ("conv3", 2 * CHANNELS)):
        scale = 1 / np.sqrt(9 * channels)
        weights[f"{conv}.w"] = (rng.standard_normal((CHANNELS, channels, 3, 3)) * scale).astype(np.float32)
    for part in ("scale", "bias", "mean"):
        weights[f"bn.{part}"] = rng.uniform(0.5, 1, CHANNELS).astype(np.float32)
    weights["bn.var"] = rng.uniform(0.5, 1, CHANNELS).astype(np.float32)
    nodes = {
        "conv1": helper.make_node("Conv", ["image", "conv1.w"], ["conv1"], pads=[1, 1, 1, 1]),
        "bn": helper.make_node("BatchNormalization", ["conv1", "bn.scale", "bn.bias", "bn.mean", "bn.var"], ["bn"]),
        "relu": helper.make_node("Relu", ["bn"], ["relu"]),
        "conv2": helper.make_node("Conv", ["relu", "conv2.w"], ["conv2"], pads=[1, 1, 1, 1]),
        "joined": helper.make_node("Concat", ["relu", "conv2"], ["joined"], axis=1),
        "pool": helper.make_node("MaxPool", ["joined"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        "conv3": helper.make_node("Conv", ["pool", "conv3.w"], ["conv3"], pads=[1, 1, 1, 1]),
        "out": helper.make_node("Sigmoid", ["conv3"], ["out"]),
    }
    if change is not None:
        change(nodes, weights)
    return networks.save(
        folder,
        name,
        list(nodes.values()),
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
        {"image": [1, 3, 24, 20]},
        {"out": [1, CHANNELS, 12, 10]},
    )


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    source = network(tmp_path_factory.mktemp("clean"))
    networks.convert(source)
    return source


def scaled(key, factor):
    def change(nodes, weights):
        weights[key] = weights[key].copy()
        weights[key][3] *= factor

    return change


def shifted_padding(nodes, weights):
    nodes["conv2"].attribute[0].CopyFrom(helper.make_attribute("pads", [0, 0, 2, 2]))


def without_relu(nodes, weights):
    nodes["relu"].op_type = "Identity"


def transposed(nodes, weights):
    weights["conv2.w"] = np.ascontiguousarray(weights["conv2.w"].transpose(0, 1, 3, 2))


def average(nodes, weights):
    nodes["pool"].op_type = "AveragePool"


def swapped(nodes, weights):
    del nodes["joined"].input[:]
    nodes["joined"].input.extend(["conv2", "relu"])


FAULTS = {
    "a weight": (scaled("conv2.w", 1.1), "conv2"),
    "padding": (shifted_padding, "conv2"),
    "a transposed kernel": (transposed, "conv2"),
    "an attribute": (average, "pool"),
    "an order": (swapped, "joined"),
    "the last layer": (scaled("conv3.w", 0.9), "conv3"),
    "a fused batch norm": (scaled("bn.mean", 1.2), "conv1"),
    "a fused activation": (without_relu, "conv1"),
}


def test_clean__networks_are_equal(clean):
    found = observe.compare(clean.with_suffix(".mnn"), clean)
    assert found.equal
    assert found.first_deviation is None
    assert [case.name for case in found.cases] == ["constant", "random"]
    assert found.outputs["out"].max_abs < 1e-4
    named = {each.op: each for each in found.cases[0].operators if each.matched_by != "value"}
    assert {"conv1", "conv2", "joined", "pool", "conv3", "out"} <= named.keys()
    assert named["conv1"].covers == ("conv1", "bn", "relu")
    assert named["conv1"].tensor == "relu"


@pytest.mark.parametrize("name", [n for n in models.RUNNABLE if n in ("branches", "classes", "nhwc", "ranks")])
def test_clean__a_network_equals_itself(name):
    with mnnlite.Model(models.path(name)) as one, mnnlite.Model(models.path(name)) as other:
        assert observe.compare(one, other).equal


@pytest.mark.parametrize("fault", FAULTS)
def test_fault__is_found_where_it_is(fault, clean, tmp_path):
    change, where = FAULTS[fault]
    deployed = networks.convert(network(tmp_path, change=change))
    first = observe.compare(deployed, clean).first_deviation
    assert first is not None
    assert (first.op, first.born_here) == (where, True)
    assert first.max_abs > 0
    assert first.relative > observe.compare(deployed, clean).tolerance


def test_fault__that_a_constant_hides_is_shown_by_the_random_input(tmp_path):
    """A 1x1 convolution with two input channels swapped."""

    def save(folder, order):
        weights = np.arange(1, 13, dtype=np.float32).reshape(4, 3, 1, 1)[:, order]
        node = helper.make_node("Conv", ["x", "w"], ["y"], name="y")
        return networks.save(
            folder, "one", [node], [numpy_helper.from_array(weights, "w")], {"x": [1, 3, 4, 4]}, {"y": [1, 4, 4, 4]}
        )

    (tmp_path / "a").mkdir()
    right, wrong = save(tmp_path, [0, 1, 2]), save(tmp_path / "a", [1, 0, 2])
    found = observe.compare(networks.convert(wrong), right)
    assert [case.deviation is None for case in found.cases] == [True, False]
    assert found.first_deviation.case == "random"


def test_two_faults__the_first_is_named_and_the_second_is_born_too(clean, tmp_path):
    def both(nodes, weights):
        scaled("conv2.w", 1.3)(nodes, weights)
        scaled("conv3.w", 1.3)(nodes, weights)

    found = observe.compare(networks.convert(network(tmp_path, change=both)), clean)
    assert found.first_deviation.op == "conv2"
    own = {each.op: each.own.relative for each in found.cases[1].operators}
    # What lies between only inherits.
    assert own["conv3"] > found.tolerance > own["pool"]


def test_nothing_finite__is_reported(clean, tmp_path):
    def poison(nodes, weights):
        weights["conv2.w"] = weights["conv2.w"].copy()
        weights["conv2.w"][2, 0, 0, 0] = np.nan

    found = observe.compare(networks.convert(network(tmp_path, change=poison)), clean)
    assert found.first_deviation.op == "conv2"
    detail = found.first_deviation.detail.own
    assert detail.not_finite > 0 or detail.max_abs > 1e30  # the engine makes NaN the largest float here and there
    json.dumps(found.to_dict(), allow_nan=False)


def test_users_input__comes_third(clean):
    image = np.random.default_rng(0).random((1, 3, 24, 20), np.float32)
    found = observe.compare(clean.with_suffix(".mnn"), clean, input={"image": image})
    assert [case.name for case in found.cases] == ["constant", "random", "input"]
    with pytest.raises(mnnlite.LayoutError):
        observe.compare(clean.with_suffix(".mnn"), clean, input={"image": image[:, :, :4]})
    with pytest.raises(mnnlite.TensorNotFoundError):
        observe.compare(clean.with_suffix(".mnn"), clean, input={"picture": image})


def test_either_order_and_files_without_an_engine(clean, tmp_path):
    deployed = networks.convert(network(tmp_path, change=scaled("conv2.w", 1.2)))
    assert observe.compare(clean, deployed).first_deviation.op == "conv2"
    faulty = deployed.with_suffix(".onnx")
    first = observe.compare(faulty, clean).first_deviation
    assert (first.op, first.born_here) == ("conv2", True)
    assert observe.compare(clean, clean).equal
    with mnnlite.Model(clean.with_suffix(".mnn")) as model:
        assert observe.compare(clean, observe.dump(model, tmp_path / "d.npz")).equal


def test_shapes__of_open_axes(tmp_path):
    source = networks.two_branches(tmp_path, dynamic=True)
    deployed = networks.convert(source)
    found = observe.compare(deployed, source, shapes={"image": (1, 3, 16, 16)})
    assert found.equal
    assert sorted(found.outputs) == ["heat", "points"]


# Dumps ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dumped(clean):
    with mnnlite.Model(clean.with_suffix(".mnn")) as model:
        return observe.dump(model, clean.with_name("dump.npz"))


def test_dump__equals_the_run_it_was_made_of(clean, dumped):
    for other in (clean, clean.with_suffix(".mnn"), dumped):
        found = observe.compare(dumped, other)
        assert found.equal, other
        assert found.outputs.keys() == {"out"}


def test_dump__of_a_faulty_device_is_fed_to_the_reference(clean, tmp_path):
    with mnnlite.Model(networks.convert(network(tmp_path, change=scaled("conv2.w", 1.2)))) as model:
        path = observe.dump(model, tmp_path / "device.npz")
    for other in (clean, clean.with_suffix(".mnn")):
        first = observe.compare(path, other).first_deviation
        assert (first.op, first.born_here) == ("conv2", True)
    assert observe.compare(path, clean.with_suffix(".mnn")).cases[0].operators[0].own is not None


def test_dump__of_a_frameworks_hook(clean, tmp_path):
    """Names and arrays, as ten lines of a hook write them."""
    from mnnlite.observe.references import OnnxModel

    image = np.random.default_rng(2).random((1, 3, 24, 20), np.float32)
    run = OnnxModel(clean).record("", {"image": image})
    path = tmp_path / "hook.npz"
    np.savez(path, **{"inputs/image": image}, **{tensor.name: tensor.value for tensor in run.tensors})
    found = observe.compare(clean.with_suffix(".mnn"), path)
    assert found.equal
    assert {each.op for each in found.cases[0].operators} >= {"conv1", "conv2", "joined", "conv3"}


def test_dump__whose_names_say_nothing_is_matched_by_value(clean, tmp_path):
    from mnnlite.observe.references import OnnxModel

    image = np.random.default_rng(2).random((1, 3, 24, 20), np.float32)
    run = OnnxModel(clean).record("", {"image": image})
    path = tmp_path / "hook.npz"
    modules = {f"module{number}": tensor.value for number, tensor in enumerate(run.tensors)}
    np.savez(path, **{"inputs/image": image}, **modules)
    found = observe.compare(clean.with_suffix(".mnn"), path)
    assert found.equal
    assert {each.matched_by for each in found.cases[0].operators} == {"value"}
    # What is wrong has no partner then; it must not pass for equal.
    faulty = networks.convert(network(tmp_path, change=scaled("conv2.w", 1.5)))
    found = observe.compare(faulty, path)
    assert not found.equal
    assert found.first_deviation is None
    assert next(name for name in found.cases[0].unmatched if "raster" not in name) == "conv2"
    assert "without a partner: conv2" in command("compare", faulty, path).out


def test_dump__passes_through_little_memory(clean, tmp_path, monkeypatch):
    import mnnlite.observe.dumps as dumps

    monkeypatch.setattr(dumps, "_AT_ONCE", 1)
    with mnnlite.Model(clean.with_suffix(".mnn")) as model:
        path = observe.dump(model, tmp_path / "small.npz")
    assert observe.compare(path, clean.with_suffix(".mnn")).equal


def test_dump__damaged_or_missing(dumped, tmp_path):
    with pytest.raises(mnnlite.ModelNotFoundError):
        observe.compare(tmp_path / "no.npz", dumped)
    (tmp_path / "cut.npz").write_bytes(dumped.read_bytes()[:500])
    with pytest.raises(mnnlite.ModelFormatError):
        observe.compare(tmp_path / "cut.npz", dumped)
    np.savez(tmp_path / "empty.npz", **{"inputs/x": np.zeros(1)})
    with pytest.raises(mnnlite.ModelFormatError, match="no tensors"):
        observe.compare(tmp_path / "empty.npz", dumped)


# TFLite ---------------------------------------------------------------------------------------------------------


def test_onnx__a_norm_written_out_is_not_what_its_last_step_reads(tmp_path):
    """The engine copies the input of the norm, and the norm has the name of its last step, which adds a constant."""
    make = helper.make_node
    nodes = [
        make("Reshape", ["image", "shape"], ["flat"]),
        make("Transpose", ["flat"], ["rows"], perm=[0, 2, 1]),
        make("ReduceMean", ["rows"], ["mean"], axes=[-1]),
        make("Sub", ["rows", "mean"], ["centred"]),
        make("Pow", ["centred", "two"], ["squares"]),
        make("ReduceMean", ["squares"], ["variance"], axes=[-1]),
        make("Add", ["variance", "small"], ["safe"]),
        make("Sqrt", ["safe"], ["deviation"]),
        make("Div", ["centred", "deviation"], ["normal"]),
        make("Mul", ["normal", "gamma"], ["scaled"]),
        make("Add", ["scaled", "beta"], ["out"]),
    ]
    rng = np.random.default_rng(6)
    constants = {"two": np.float32(2), "small": np.float32(1e-5)}
    constants |= {name: rng.uniform(0.5, 1, 12).astype(np.float32) for name in ("gamma", "beta")}
    constants["shape"] = np.int64([1, 12, 20])
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    source = networks.save(tmp_path, "norm", nodes, weights, {"image": [1, 12, 5, 4]}, {"out": [1, 20, 12]})
    found = observe.compare(networks.convert(source), source, signed=True)
    assert found.equal, found.first_deviation


def test_fused__a_product_is_named_by_its_bias_and_covers_both(tmp_path):
    """The engine has one operator of the two, under the name of the second."""
    rng = np.random.default_rng(7)

    def save(name, scale):
        weight = (rng.standard_normal((6, 5)) if name == "right" else numpy_helper.to_array(weights[0])) * scale
        return networks.save(
            tmp_path,
            name,
            [
                helper.make_node("MatMul", ["image", "w"], ["product"]),
                helper.make_node("Add", ["product", "b"], ["out"]),
            ],
            [
                numpy_helper.from_array(weight.astype(np.float32), "w"),
                numpy_helper.from_array(np.ones(5, np.float32), "b"),
            ],
            {"image": [1, 6]},
            {"out": [1, 5]},
        )

    source = save("right", 1)
    weights = onnx.load(source).graph.initializer
    found = observe.compare(networks.convert(save("wrong", 1.1)), source)
    assert found.first_deviation.op == "out"
    assert found.first_deviation.detail.covers == ("product", "out")


def test_outputs__one_that_is_next_to_nothing_on_one_input_is_measured_by_the_others(clean):
    found = observe.compare(clean.with_suffix(".mnn"), clean)
    worst = found.worst_outputs["out"]
    assert 0 < worst < 2e-3
    nothing = difference(np.float32([1e-9]), np.float32([0]))
    assert nothing.relative > 1e10
    fine = difference(np.float32([1]), np.float32([1.001]))
    cases = [observe.CaseResult(name, (), {"out": each}, (), None) for name, each in (("a", nothing), ("b", fine))]
    assert observe.Comparison("a", "b", tuple(cases), 2e-3).worst_outputs["out"] == pytest.approx(1e-3, rel=1e-2)


def test_tflite__without_litert_names_the_extra(monkeypatch, tmp_path):
    import sys

    for name in ("ai_edge_litert", "ai_edge_litert.interpreter"):  # which another test may have imported already
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(mnnlite.MissingExtraError, match=r"mnnlite\[compare\]"):
        observe.compare(models.path("tiny"), tmp_path / "x.tflite")


def test_onnx__without_onnxruntime_names_the_extra(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(mnnlite.MissingExtraError, match=r"mnnlite\[compare\]"):
        observe.compare(models.path("tiny"), tmp_path / "x.onnx")


@pytest.fixture
def broken_onnxruntime(monkeypatch, tmp_path):
    """It is installed, and its import fails."""
    import sys

    package = tmp_path / "packages" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('libgomp.so.1: cannot allocate memory')\n")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(package.parent)


def test_onnx__an_onnxruntime_that_cannot_be_imported_leaves_onnx_itself(clean, broken_onnxruntime):
    found = observe.compare(clean.with_suffix(".mnn"), clean)
    assert found.equal
    assert any(
        "importing onnxruntime fails: libgomp.so.1" in text and "own definition" in text for text in found.warnings
    )


def test_onnx__onnx_itself_finds_the_same_operator(clean, broken_onnxruntime, tmp_path):
    def change(nodes, weights):
        weights["conv2.w"] = weights["conv2.w"] * np.float32(1.1)

    found = observe.compare(clean.with_suffix(".mnn"), network(tmp_path, change=change))
    assert not found.equal
    assert found.first_deviation.op == "conv2"
    assert found.fallbacks


def test_command__says_which_engine_computed_and_why(clean, tmp_path):
    package = tmp_path / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('cannot allocate memory in static TLS block')\n")
    ran = command("compare", clean.with_suffix(".mnn"), clean, env={"PYTHONPATH": str(tmp_path)})
    assert ran.code == 0, ran.err
    assert "warning: comparing with an ONNX file needs onnxruntime, which is installed" in ran.out
    assert "cannot allocate memory in static TLS block; ONNX's own definition computes instead" in ran.out


@litert.needed
def test_tflite__mediapipes_transposed_convolution_is_one_of_litert(tmp_path):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from mnnlite.observe.references import TfliteModel

    rng = np.random.default_rng(9)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.inputs, graph.outputs = [], [0], [3]
    values = [None, rng.standard_normal((2, 2, 2, 3)).astype(np.float32), np.float32([0.25, -1]), None]
    for name, shape, value in zip("xwby", ((1, 4, 5, 3), (2, 2, 2, 3), (2,), (1, 8, 10, 2)), values, strict=True):
        tensor, buffer = schema.TensorT(), schema.BufferT()
        if value is not None:
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, np.int32(shape), 0, len(model.buffers) - 1
        graph.tensors.append(tensor)
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, b"Convolution2DTransposeBias"
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.int32([0, 1, 2]), np.int32([3])
    operator.customOptions = np.frombuffer(np.asarray([1, 2, 2], "<i4").tobytes(), np.uint8)
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "up.tflite").write_bytes(bytes(builder.Output()))
    x = rng.standard_normal((1, 4, 5, 3)).astype(np.float32)
    (found,) = TfliteModel(tmp_path / "up.tflite").record("", {"x": x}).outputs.values()
    wanted = np.einsum("nhwi,oabi->nhawbo", x, values[1]).reshape(1, 8, 10, 2) + values[2]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


# Inputs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return mnnlite.Frame(np.ascontiguousarray(small.repeat(10, 0).repeat(10, 1)), "BGR")


TRAINED = {"size": (40, 32), "color": "RGB", "mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"color": "BGR", "mean": (103.5, 116.3, 123.7), "std": (57.4, 57.1, 58.4)}, "order of colours"),
        ({"mean": (0, 0, 0)}, "mean or std"),
        ({"std": (255, 255, 255)}, "mean or std"),
        ({"layout": "NHWC"}, "NHWC"),
        ({"fit": "letterbox"}, "another resize"),
    ],
)
def test_input__error_is_told_from_a_model_error(wrong, reason, frame):
    right = mnnlite.ImageSpec(**TRAINED).apply(frame)
    found = observe.compare_inputs(mnnlite.ImageSpec(**{**TRAINED, **wrong}).apply(frame), right)
    assert not found.equal
    assert reason in found.reason


def test_input__in_the_wrong_layout_of_the_right_shape(frame):
    right = mnnlite.ImageSpec(**TRAINED).apply(frame)
    wrong = np.ascontiguousarray(right.transpose(0, 2, 3, 1)).reshape(right.shape)
    assert "layout" in observe.compare_inputs(wrong, right).reason


def test_input__equal(frame):
    right = mnnlite.ImageSpec(**TRAINED).apply(frame)
    assert observe.compare_inputs(right, right + np.float32(1e-4)).equal
    assert "size" in observe.compare_inputs(right, right[:, :, :4]).reason
    with pytest.raises(mnnlite.ArgumentError):
        observe.compare_inputs(right[0], right)


# Names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("conv1_raster_0", "conv1"),
        ("758__before_tr_raster_0", "758"),
        ("fc__matmul_converted", "fc"),
        ("input.60", "input.60"),
        ("a__1", "a__1"),
        ("/x/Conv_output_0", "/x/Conv_output_0"),
    ],
)
def test_names__of_what_the_converter_made_of_them(name, base):
    assert base_name(name) == base


# The command ----------------------------------------------------------------------------------------------------


def test_command__gives_the_keys_that_others_rely_on(clean, tmp_path):
    faulty = networks.convert(network(tmp_path, change=scaled("conv2.w", 1.2)))
    ran = command("compare", faulty, clean, "--json", "--report", tmp_path / "r.html")
    assert ran.code == 1, ran.err
    (found,) = ran.lines
    assert {"op", "type", "backend", "tensor", "max_abs", "cosine", "born_here"} <= found["first_deviation"].keys()
    assert found["first_deviation"]["op"] == "conv2"
    assert found["first_deviation"]["type"] == "Convolution"
    assert found["input_equal"] is True
    assert {"max_abs", "cosine", "ok"} <= found["outputs"]["out"].keys()
    assert found["matched"] >= 6
    assert isinstance(found["unmatched"], int)
    page = (tmp_path / "r.html").read_text()
    assert page.count("class=strip") == 2
    assert "conv2" in page


def test_command__of_equal_networks(clean):
    ran = command("compare", clean.with_suffix(".mnn"), clean, "--json")
    assert ran.code == 0, ran.err
    assert ran.lines[0]["first_deviation"] is None
    assert "deviates by itself" in command("compare", clean.with_suffix(".mnn"), clean).out


PIPELINE = """\
[[task]]
name = "net"
model = "net.mnn"
image = { size = [20, 24], %s }
"""


WRONG = {
    "nothing": ("", ""),
    "colours": ('color = "BGR"', "order of colours"),
    "mean": ("mean = [20, 30, 40]", "mean or std"),
    "std": ("std = [128, 128, 128]", "mean or std"),
    "layout": ('layout = "NHWC"', "layout"),
}


@pytest.fixture
def pictured(clean, tmp_path):
    """A network, a picture, and what the training framework fed and computed for it."""
    from mnnlite import video

    shutil.copy(clean.with_suffix(".mnn"), tmp_path / "net.mnn")
    picture = np.random.default_rng(1).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    video.write_picture(tmp_path / "p.png", picture)
    frame = next(iter(video.open_source(str(tmp_path / "p.png"))))
    right = mnnlite.ImageSpec(size=(20, 24), std=(255, 255, 255)).apply(frame)
    np.savez(tmp_path / "right.npz", image=right)
    with mnnlite.Model(tmp_path / "net.mnn") as model:
        run = observe.trace_run(model, {"image": right}, values=True)
        tensors = {op.name: op.outputs[0].values for op in run.operators}
    np.savez(tmp_path / "framework.npz", **{"inputs/image": right}, **tensors)
    return tmp_path


@pytest.mark.parametrize("by", ["input", "dump"])
@pytest.mark.parametrize("wrong", WRONG)
def test_command__calls_a_wrong_spec_an_input_error(wrong, by, pictured, clean):
    extra, reason = WRONG[wrong]
    keys = {"color": '"RGB"', "std": "[255, 255, 255]"}
    if extra:
        keys[extra.split(" = ")[0]] = extra.split(" = ")[1]
    spec = ", ".join(f"{key} = {value}" for key, value in keys.items())
    (pictured / "p.toml").write_text(PIPELINE % spec)
    arguments = ("--image", "p.png", "--pipeline", "p.toml", "--json")
    if by == "input":
        ran = command("compare", "net.mnn", clean, *arguments, "--input", "right.npz", cwd=pictured)
    else:
        ran = command("compare", "net.mnn", "framework.npz", *arguments, cwd=pictured)
    assert ran.code == (1 if extra else 0), ran.err
    (found,) = ran.lines
    assert found["input_equal"] is not bool(extra)
    assert found["first_deviation"] is None  # the model is not to blame
    assert reason in (found["input"]["reason"] or "")


def test_command__holds_a_picture_against_the_definition_of_its_spec(pictured, clean):
    (pictured / "p.toml").write_text(PIPELINE % 'color = "BGR", mean = [1, 2, 3]')
    ran = command("compare", "net.mnn", clean, "--image", "p.png", "--pipeline", "p.toml", "--json", cwd=pictured)
    assert ran.code == 0, ran.err
    (found,) = ran.lines
    assert found["input_equal"] is True
    assert found["input"]["difference"]["max_abs"] < 1e-3
    assert [case["name"] for case in found["cases"]] == ["constant", "random", "input"]


def test_preprocessing__that_is_not_what_its_spec_says_is_found(frame, monkeypatch):
    spec = mnnlite.ImageSpec(**TRAINED)
    assert observe.check_preprocessing(spec, frame).equal
    real = mnnlite.ImageSpec.apply

    def swapped(self, frame):
        return real(self, frame)[:, ::-1] if self == spec else real(self, frame)

    monkeypatch.setattr(mnnlite.ImageSpec, "apply", swapped)
    assert "order of colours" in observe.check_preprocessing(spec, frame).reason


def test_command__dump(clean, tmp_path):
    ran = command("dump", clean.with_suffix(".mnn"), "-o", tmp_path / "d.npz", "--json")
    assert ran.code == 0, ran.err
    assert ran.lines[0]["bytes"] == (tmp_path / "d.npz").stat().st_size
    assert command("compare", tmp_path / "d.npz", clean).code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["compare", "a.mnn", "b.onnx"], "a.mnn"),
        (["compare", "tiny.mnn", "b.onnx"], "b.onnx"),
        (["compare", "tiny.mnn", "b.txt"], "wanted .mnn"),
        (["compare", "junk.onnx", "tiny.mnn"], "not an ONNX model"),
        (["compare", "tiny.mnn", "branches.mnn"], "has shape"),
        (["compare", "tiny.mnn", "tiny.mnn", "--input", "no.npz"], "cannot read"),
        (["compare", "tiny.mnn", "tiny.mnn", "--input", "junk.onnx"], "not an .npz"),
        (["compare", "tiny.mnn", "tiny.mnn", "--image", "p.png"], "--pipeline"),
        (["compare", "tiny.mnn", "tiny.mnn", "--tolerance", "0"], "tolerance"),
        (["compare", "tiny.mnn", "tiny.mnn", "--report", "no/r.html"], "cannot write"),
        (["dump", "tiny.mnn", "-o", "d.txt"], "wanted .npz"),
        (["dump", "tiny.mnn", "-o", "no/d.npz"], "cannot write"),
        (["dump", "a.mnn", "-o", "d.npz"], "a.mnn"),
    ],
)
def test_command__bad_input_is_one_line_and_2(args, said, tmp_path):
    for name in ("tiny", "branches"):
        shutil.copy(models.path(name), tmp_path / f"{name}.mnn")
    (tmp_path / "junk.onnx").write_bytes(b"\xff" * 100)
    before = sorted(tmp_path.iterdir())
    assert said in command(*args, cwd=tmp_path).error()
    assert sorted(tmp_path.iterdir()) == before


def test_onnx__helper_networks_are_valid(clean):
    onnx.checker.check_model(onnx.load(clean))
