"""A quantised TFLite file as floats: on it the converter crashes, or writes a network that gives the same for every input.

Constants are dequantised, tensors between operators become floats, QUANTIZE and DEQUANTIZE fall away. What is converted is the
network that was quantised: where an operator's whole numbers begin at 0, those below are cut off by the type alone, and
exporters leave the activation out that does it. Source: TFLite's quantization specification (real = scale * (whole - zero)); the schema's
classes come with ai-edge-litert.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.conversion.rewrites import nothing
from mnnlite.conversion.tflite_tails import cut_tails
from mnnlite.errors import UnsupportedModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["prepare"]

_DTYPES = {2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8"}  # TensorType
_FLOAT = 0
_QUANTIZE, _DEQUANTIZE = 114, 6  # BuiltinOperator


def prepare(request: dict[str, Any], said: dict[str, Any], first: int | None) -> None:
    """Rewrite the file of a request, as `mnnlite.conversion.worker.prepare` says."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(Path(request["source"]).read_bytes(), 0)
    if len(model.subgraphs) != 1:
        if first is None:
            return
        raise UnsupportedModelError("it has several graphs", op="convert")
    graph = model.subgraphs[0]
    changed = _to_floats(schema, model, graph)
    if changed:
        said["notes"] = [
            f"quantised: {changed} tensors are floats now; mnnlite quantize makes the network whole numbers again"
        ]
    if request["slim"]:
        cut = cut_tails(model, graph, said["described"])
        said["notes"] += cut or [nothing(request["slim"])]
    if first is not None:
        said["operator"] = _cut(model, graph, first)
    if changed or request["slim"] or first is not None:
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        Path("rewritten.tflite").write_bytes(bytes(builder.Output()))
        said["source"] = os.path.abspath("rewritten.tflite")
        if first is None:
            said["reference"] = said["source"]


def _to_floats(schema: Any, model: Any, graph: Any) -> int:
    """How many tensors became floats."""
    import numpy as np

    changed = 0
    done: dict[int, int] = {}  # tensors may share a buffer
    _say_activations(np, model, graph)
    for tensor in graph.tensors:
        scale = None if tensor.quantization is None else tensor.quantization.scale
        if scale is None or len(scale) == 0 or tensor.type not in _DTYPES:
            continue
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            values = np.asarray(data, np.uint8).view(_DTYPES[tensor.type])
            real = _real(values.reshape(tensor.shape), tensor.quantization)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(real.tobytes(), np.uint8)
            if tensor.buffer in done:
                tensor.buffer = done[tensor.buffer]
            else:
                model.buffers.append(buffer)
                done[tensor.buffer] = tensor.buffer = len(model.buffers) - 1
        tensor.type, tensor.quantization = _FLOAT, None
        changed += 1
    if changed:
        _leave_out_casts(model, graph)
    return changed


_NONE, _RELU, _RELU6 = 0, 1, 3  # ActivationFunctionType
_CHOOSING = (1, 2, 17)  # AVERAGE_POOL_2D, CONCATENATION, MAX_POOL_2D: nothing they give is beyond what they get


def _say_activations(np: Any, model: Any, graph: Any) -> None:
    """Give operators the activation that the range of their output stands for: from 0 on, or from 0 to 6."""
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) in _CHOOSING and _within(np, graph, operator):
            continue
        options = operator.builtinOptions
        if getattr(options, "fusedActivationFunction", None) != _NONE or len(operator.outputs) != 1:
            continue
        tensor = graph.tensors[int(operator.outputs[0])]
        scale = None if tensor.quantization is None else tensor.quantization.scale
        if scale is None or len(scale) != 1 or _DTYPES.get(tensor.type) not in ("uint8", "int8"):
            continue
        ends = np.iinfo(_DTYPES[tensor.type])
        zero = 0 if tensor.quantization.zeroPoint is None else int(tensor.quantization.zeroPoint[0])
        if zero == ends.min:
            top = (ends.max - zero) * float(scale[0])
            options.fusedActivationFunction = _RELU6 if abs(top - 6) < 1.5 * float(scale[0]) else _RELU


def _within(np: Any, graph: Any, operator: Any) -> bool:
    """Whether an operator's inputs have no more range than its output."""
    low, high, step = _range(np, graph.tensors[int(operator.outputs[0])])
    ranges = [_range(np, graph.tensors[int(index)]) for index in operator.inputs]
    return all(each[0] >= low - step / 2 and each[1] <= high + step / 2 for each in ranges)


def _range(np: Any, tensor: Any) -> tuple[float, float, float]:
    """The least and the largest number that a quantised tensor can hold, and the step between two."""
    found = tensor.quantization
    if tensor.type not in (3, 9) or found is None or found.scale is None or len(found.scale) != 1:
        return -float("inf"), float("inf"), 0.0
    ends, scale = np.iinfo(_DTYPES[tensor.type]), float(found.scale[0])
    zero = 0 if found.zeroPoint is None else int(found.zeroPoint[0])
    return (ends.min - zero) * scale, (ends.max - zero) * scale, scale


def _real(values: NDArray[Any], quantization: Any) -> NDArray[Any]:
    import numpy as np

    scale = np.asarray(quantization.scale, np.float64)
    zero = np.asarray(quantization.zeroPoint if quantization.zeroPoint is not None else [0], np.float64)
    if scale.size > 1:
        shape = [-1 if axis == quantization.quantizedDimension else 1 for axis in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.size > 1 else zero
    return ((values.astype(np.float64) - zero) * scale).astype(np.float32)


def _leave_out_casts(model: Any, graph: Any) -> None:
    """QUANTIZE and DEQUANTIZE now take floats to floats: what reads them reads what they read."""
    codes = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in model.operatorCodes]
    same: dict[int, int] = {}
    kept = []
    for operator in graph.operators:
        operator.inputs = [same.get(int(index), int(index)) for index in operator.inputs]
        floats = all(
            graph.tensors[int(index)].type == _FLOAT for index in (*operator.inputs, *operator.outputs) if index >= 0
        )
        if codes[operator.opcodeIndex] in (_QUANTIZE, _DEQUANTIZE) and floats:
            source, target = int(operator.inputs[0]), int(operator.outputs[0])
            if target not in [int(index) for index in graph.outputs] or source not in [
                int(index) for index in graph.inputs
            ]:
                same[target] = source
                continue
        kept.append(operator)
    graph.operators = kept
    names = {int(index): graph.tensors[int(index)].name for index in graph.outputs}
    graph.outputs = [same.get(int(index), int(index)) for index in graph.outputs]
    for before, name in names.items():
        if before in same:  # the output keeps its name
            graph.tensors[before].name, graph.tensors[same[before]].name = graph.tensors[same[before]].name, name
    for signature in model.signatureDefs or []:
        for each in (*(signature.inputs or []), *(signature.outputs or [])):
            each.tensorIndex = same.get(each.tensorIndex, each.tensorIndex)


def _cut(model: Any, graph: Any, first: int) -> list[Any]:
    """Leave the first operators alone; say what the last is called, and how many there are."""
    count = len(graph.operators)
    graph.operators = graph.operators[:first]
    read = {int(index) for operator in graph.operators for index in operator.inputs}
    made = [int(index) for operator in graph.operators for index in operator.outputs]
    graph.outputs = [index for index in made if index not in read]
    model.signatureDefs = []
    last = graph.operators[-1]
    name = graph.tensors[int(last.outputs[0])].name if len(last.outputs) else b""
    code = model.operatorCodes[last.opcodeIndex]
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name, f"builtin {kind}", count]
