"""Networks in the form they were trained in, run with every intermediate tensor kept: ONNX Runtime and LiteRT."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite.errors import MissingExtraError, ModelFormatError, ModelNotFoundError, UnsupportedModelError
from mnnlite.extras import need
from mnnlite.observe.litert_files import of_builtins
from mnnlite.observe.recording import Recording, TensorRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["OnnxModel", "TfliteModel"]


def _existing(path: str | os.PathLike[str]) -> Path:
    if not Path(path).is_file():
        raise ModelNotFoundError(f"there is no model file {os.fspath(path)}")
    return Path(path)


class OnnxModel:
    """An ONNX file on ONNX Runtime's CPU provider, without its optimisations.

    Where that cannot load the file, or cannot be imported although it is installed, ONNX's own definition in Python computes,
    slowly, and `fallback` says why.

    Parameters
    ----------
    path : path
    shapes : dict of str to tuple of int, optional
        For inputs whose file leaves axes open; open axes are 1 otherwise.

    Raises
    ------
    MissingExtraError
        onnx or onnxruntime is not installed.
    ModelNotFoundError, ModelFormatError, UnsupportedModelError
    """

    def __init__(self, path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        onnx = need("comparing with an ONNX file needs onnx", "compare", "onnx")
        onnxruntime, broken = _runtime()
        self.fallback = ""
        self.name = os.fspath(path)
        try:
            self._model = onnx.load(os.fspath(_existing(path)))
        except ModelNotFoundError:
            raise
        except Exception as error:  # protobuf's errors have no common base
            raise ModelFormatError(f"{self.name} is not an ONNX model, or a damaged one: {error}") from None
        graph = self._model.graph
        constants = {each.name for each in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        self._inputs = {value.name: _open_shape(value, (shapes or {}).get(value.name)) for value in inputs}
        for value in inputs:
            _declare(graph, value, (shapes or {}).get(value.name))
        self.outputs = [value.name for value in graph.output]
        # Every tensor becomes an output; the runtime finds their types itself.
        known = set(self.outputs)
        for node in graph.node:
            if node.op_type != "Constant":
                graph.output.extend(
                    onnx.ValueInfoProto(name=name) for name in node.output if name and name not in known
                )
        self._names = [value.name for value in graph.output]
        self._run: Callable[[list[str], dict[str, NDArray[Any]]], list[Any]]
        if onnxruntime is None:
            self._run = self._evaluator(broken)
            return
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = onnxruntime.InferenceSession(
                self._model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._run = session.run
            self._names = [each.name for each in session.get_outputs()]
        except Exception as error:  # its errors have no common base
            self._run = self._evaluator(f"ONNX Runtime cannot load {self.name}: {_short(error)}")

    def _evaluator(self, reason: str) -> Callable[[list[str], dict[str, NDArray[Any]]], list[Any]]:
        """ONNX's own definition in Python: slow."""
        try:
            from onnx.reference import ReferenceEvaluator

            opset = max(
                (each.version for each in self._model.opset_import if each.domain in ("", "ai.onnx")), default=0
            )
            evaluator = ReferenceEvaluator(self._model, new_ops=[_inferring_norm()] if opset < 14 else None)
        except Exception:  # its errors have no common base either
            raise UnsupportedModelError(reason) from None
        self.fallback = f"{reason}; ONNX's own definition computes instead, slowly"

        def run(names: list[str], inputs: dict[str, NDArray[Any]]) -> list[Any]:
            import numpy as np

            with np.errstate(all="ignore"):  # exp of a large number, on the way to a sigmoid
                return list(evaluator.run(names, inputs))

        return run

    def cases(self) -> None:
        """Any."""

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """As the file says."""
        return dict(self._inputs)

    def record(self, case: str, inputs: Mapping[str, NDArray[Any]]) -> Recording:
        """Run on `inputs`."""
        names = self._names
        try:
            values = dict(zip(names, self._run(names, dict(inputs)), strict=True))
        except Exception as error:
            engine = "ONNX's own definition" if self.fallback else "ONNX Runtime"
            raise UnsupportedModelError(f"{engine} cannot run {self.name}: {error}") from None
        by = "onnx" if self.fallback else "onnxruntime"
        tensors = [
            TensorRecord(name, node.op_type, by, values[name], tuple(node.input), siblings=tuple(node.output))
            for node in self._model.graph.node
            for name in node.output
            if name in values and hasattr(values[name], "shape")
        ]
        return Recording(dict(inputs), {name: values[name] for name in self.outputs}, tuple(tensors))


def _runtime() -> tuple[Any, str]:
    """ONNX Runtime, or None and why it cannot be imported although it is there."""
    try:
        return need("comparing with an ONNX file needs onnxruntime", "compare", "onnxruntime"), ""
    except MissingExtraError as error:
        if "broken" not in error.details:
            raise
        return None, str(error)


def _inferring_norm() -> Any:
    """BatchNormalization before opset 14, which onnx's own evaluator takes for one that is still trained."""
    import numpy as np
    from onnx.reference.op_run import OpRun

    class BatchNormalization(OpRun):
        op_domain = ""

        def _run(self, x: Any, scale: Any, bias: Any, mean: Any, var: Any, epsilon: Any = 1e-5, **_: Any) -> Any:
            each = (-1, *(1,) * (x.ndim - 2))
            scale, bias, mean, var = (value.reshape(each) for value in (scale, bias, mean, var))
            return ((scale * (x - mean) / np.sqrt(var + np.float32(epsilon)) + bias).astype(x.dtype),)

    return BatchNormalization


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _open_shape(value: Any, given: tuple[int, ...] | None) -> tuple[tuple[int, ...], str]:
    import onnx

    kind = value.type.tensor_type
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return given or tuple(axis.dim_value if axis.dim_value > 0 else 1 for axis in kind.shape.dim), dtype


def _declare(graph: Any, value: Any, given: tuple[int, ...] | None) -> None:
    """Write a shape into the file where it declares another: what it says of other tensors then goes."""
    dims = value.type.tensor_type.shape.dim
    if given is None or (
        len(dims) == len(given) and all(axis.dim_value in (0, extent) for axis, extent in zip(dims, given, strict=True))
    ):
        return
    del dims[:]
    for extent in given:
        dims.add().dim_value = extent
    del graph.value_info[:]
    for output in graph.output:
        for axis in output.type.tensor_type.shape.dim:
            axis.Clear()


class TfliteModel:
    """A TFLite file on LiteRT's reference interpreter, without delegates.

    Parameters
    ----------
    path : path
    shapes : dict of str to tuple of int, optional
        Of inputs that shall have others than the file says.

    Raises
    ------
    MissingExtraError
        ai-edge-litert is not installed.
    ModelNotFoundError, ModelFormatError
    """

    fallback = ""

    def __init__(self, path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        litert = need("comparing with a TFLite file needs ai-edge-litert", "compare", "ai_edge_litert.interpreter")
        self.name = os.fspath(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that keeping every tensor takes memory is what is wanted
            content = of_builtins(_existing(path))
            file = {"model_path": self.name} if content is None else {"model_content": content}
            try:
                self._interpreter = litert.Interpreter(
                    **file,
                    experimental_preserve_all_tensors=True,
                    experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                )
                for each in self._interpreter.get_input_details():
                    if shapes and each["name"] in shapes and tuple(each["shape"]) != tuple(shapes[each["name"]]):
                        self._interpreter.resize_tensor_input(each["index"], list(shapes[each["name"]]))
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise ModelFormatError(f"LiteRT cannot load {self.name}: {error}") from None

    def cases(self) -> None:
        """Any."""

    def input_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """As the file says."""
        import numpy as np

        return {
            each["name"]: (tuple(int(extent) for extent in each["shape"]), str(np.dtype(each["dtype"])))
            for each in self._interpreter.get_input_details()
        }

    def record(self, case: str, inputs: Mapping[str, NDArray[Any]]) -> Recording:
        """Run on `inputs`."""
        import numpy as np

        details = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        for each in self._interpreter.get_input_details():
            self._interpreter.set_tensor(each["index"], inputs[each["name"]])
        self._interpreter.invoke()
        tensors = []
        for op in self._interpreter._get_ops_details():
            sources = tuple(details[int(index)]["name"] for index in op["inputs"] if int(index) in details)
            for index in op["outputs"]:
                detail = details[int(index)]
                try:
                    value = np.array(self._interpreter.get_tensor(int(index)))
                except ValueError:  # a constant that was folded away
                    continue
                scale, zero = detail["quantization"]
                if scale and value.dtype.kind in "iu":
                    value = (value.astype(np.float32) - zero) * np.float32(scale)
                tensors.append(TensorRecord(detail["name"], op["op_name"], "litert", value, sources))
        outputs = {
            each["name"]: np.array(self._interpreter.get_tensor(each["index"]))
            for each in self._interpreter.get_output_details()
        }
        return Recording(dict(inputs), outputs, tuple(tensors))
