"""Where MNN implements an operator: the file to read once `compare` has named it. Names of MNN 3.6's source tree."""

from __future__ import annotations

__all__ = ["source_of"]

_CPU = "source/backend/cpu/"
_FILES = {
    "ArgMax": "CPUArgMax.cpp",
    "ArgMin": "CPUArgMax.cpp",
    "Attention": "CPUAttention.cpp",
    "BinaryOp": "CPUBinary.cpp",
    "Cast": "CPUCast.cpp",
    "Convolution": "compute/ConvolutionFloatFactory.cpp",
    "ConvolutionDepthwise": "CPUConvolutionDepthwise.cpp",
    "ConvInt8": "compute/ConvInt8TiledExecutor.cpp",
    "Deconvolution": "CPUDeconvolution.cpp",
    "DeconvolutionDepthwise": "CPUDeconvolutionDepthwise.cpp",
    "DepthwiseConvInt8": "CPUDepthwiseConvInt8.cpp",
    "Eltwise": "CPUEltwise.cpp",
    "EltwiseInt8": "CPUEltwiseInt8.cpp",
    "FloatToInt8": "CPUFloatToInt8.cpp",
    "GridSample": "CPUGridSample.cpp",
    "Int8ToFloat": "CPUInt8ToFloat.cpp",
    "Interp": "CPUInterp.cpp",
    "LayerNorm": "CPULayerNorm.cpp",
    "MatMul": "CPUMatMul.cpp",
    "PReLU": "CPURelu.cpp",
    "Pooling": "CPUPool.cpp",
    "Raster": "CPURaster.cpp",
    "ReLU": "CPURelu.cpp",
    "ReLU6": "CPURelu.cpp",
    "Reduction": "CPUReduction.cpp",
    "Scale": "CPUScale.cpp",
    "Select": "CPUSelect.cpp",
    "Softmax": "CPUSoftmax.cpp",
    "TopKV2": "CPUTopKV2.cpp",
    "UnaryOp": "CPUUnary.cpp",
}
_GPU = {
    "opencl": "source/backend/opencl/execution/",
    "opengl": "source/backend/opengl/",
    "vulkan": "source/backend/vulkan/",
}


def source_of(type_: str, backend: str) -> str:
    """Give the file, or the folder, in which the engine implements an operator type on a backend; empty if unknown."""
    if backend in _GPU:
        return _GPU[backend]
    if backend in ("cpu", "cpu-ext") and type_ in _FILES:
        kernels = " (kernels: x86_x64/avx2, or arm82 for half floats)" if backend == "cpu-ext" else ""
        return f"{_CPU}{_FILES[type_]}{kernels}"
    return ""
