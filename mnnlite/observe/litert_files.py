"""TFLite files as LiteRT's own operators: MediaPipe's transposed convolution with a bias is one that LiteRT has under another name.

Source: mediapipe/util/tflite/operations/transpose_conv_bias.cc: weights (outputs, height, width, inputs), the options of TFLite's
TRANSPOSE_CONV as three little-endian int32: padding (1 same, 2 valid), strides of x and y.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

__all__ = ["of_builtins"]

_NAME = b"Convolution2DTransposeBias"
_TRANSPOSE_CONV, _WITH_BIAS = 67, 3  # BuiltinOperator, and its version that takes a bias
_INT32 = 2  # TensorType


def of_builtins(path: str | os.PathLike[str]) -> bytes | None:
    """The file with the operators that LiteRT lacks written as ones that it has; None where that changes nothing.

    Notes
    -----
    Needs the schema's classes, which come with ai-edge-litert.
    """
    data = Path(path).read_bytes()
    if _NAME not in data:
        return None
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = _TRANSPOSE_CONV
    code.version = _WITH_BIAS
    model.operatorCodes.append(code)
    for graph in model.subgraphs:
        for operator in graph.operators:
            if model.operatorCodes[operator.opcodeIndex].customCode == _NAME:
                _write_out(schema, model, graph, operator)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _write_out(schema: Any, model: Any, graph: Any, operator: Any) -> None:
    import numpy as np

    padding, step_x, step_y = struct.unpack_from("<3i", bytes(operator.customOptions))
    options = schema.TransposeConvOptionsT()
    options.padding, options.strideW, options.strideH = padding - 1, step_x, step_y
    size = schema.BufferT()
    size.data = np.frombuffer(np.asarray(graph.tensors[operator.outputs[0]].shape, "<i4").tobytes(), np.uint8)
    model.buffers.append(size)
    tensor = schema.TensorT()
    tensor.name, tensor.type = b"output_shape", _INT32
    tensor.shape, tensor.buffer = np.asarray([4], np.int32), len(model.buffers) - 1
    graph.tensors.append(tensor)
    source, weights, bias = (int(index) for index in operator.inputs)
    operator.inputs = np.asarray([len(graph.tensors) - 1, weights, source, bias], np.int32)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.customOptions = None
    operator.builtinOptionsType = schema.BuiltinOptions.TransposeConvOptions
    operator.builtinOptions = options
