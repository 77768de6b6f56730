"""An ONNX graph that is rewritten: its constants, shapes and operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

__all__ = ["Graph", "attribute", "refuse"]


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute; texts as `str`."""
    import onnx

    for each in node.attribute:
        if each.name == name:
            value = onnx.helper.get_attribute_value(each)
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return default


def refuse(node: onnx.NodeProto, why: str) -> UnsupportedModelError:
    """The error for an operator that the converter gets wrong and that cannot be written in another way."""
    name = node.name or (node.output[0] if node.output else "")
    return UnsupportedModelError(f"operator {name} ({node.op_type}): {why}", op="convert")


class Graph:
    """The main graph of a model; operators inside those with graphs of their own are left as they are.

    Parameters
    ----------
    model : onnx.ModelProto
        Is changed in place.
    given : dict of str to sequence of int, optional
        Shapes of inputs to reckon with instead of the file's.
    """

    def __init__(self, model: onnx.ModelProto, given: Mapping[str, Sequence[int]] | None = None) -> None:
        import onnx

        self.model, self._given = model, dict(given or {})
        self.notes: list[str] = []
        self.said: dict[str, Any] = {}  # what the description of the new file is to say
        self.opset = max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
            default=1,
        )
        self._arrays = onnx.numpy_helper
        self._shapes: dict[str, tuple[int | None, ...]] | None = None
        self._constants: dict[str, onnx.TensorProto] | None = None
        self._count = 0

    @property
    def graph(self) -> onnx.GraphProto:
        """The protocol buffer."""
        return self.model.graph

    def nodes(self, *kinds: str) -> Iterator[onnx.NodeProto]:
        """ONNX's own operators of some types, as they are now."""
        return iter(
            [
                node
                for node in self.graph.node
                if node.domain in ("", "ai.onnx") and (not kinds or node.op_type in kinds)
            ]
        )

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value of a tensor that does not depend on the inputs, None for others."""
        if self._constants is None:
            self._constants = {each.name: each for each in self.graph.initializer}
            for node in self.nodes("Constant"):
                for each in node.attribute:
                    if each.name == "value":
                        self._constants[node.output[0]] = each.t
                    elif each.name in ("value_int", "value_ints", "value_float", "value_floats"):
                        import numpy as np

                        dtype = np.int64 if each.name.startswith("value_int") else np.float32
                        value = np.asarray(attribute(node, each.name), dtype)
                        self._constants[node.output[0]] = self._arrays.from_array(value, node.output[0])
        found = self._constants.get(name)
        return None if found is None else self._arrays.to_array(found)

    def add_constant(self, value: NDArray[Any], hint: str) -> str:
        """Put a constant into the graph and give its name."""
        import numpy as np

        name = self.fresh(hint)
        tensor = self._arrays.from_array(np.ascontiguousarray(value), name)
        self.graph.initializer.append(tensor)
        if self._constants is not None:
            self._constants[name] = tensor
        return name

    def fresh(self, hint: str) -> str:
        """A name that no tensor has."""
        self._count += 1
        return f"{hint}/mnnlite_{self._count}"

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Shape of a tensor; None for axes that are open, and where even their number is not known."""
        if self._shapes is None:
            self._shapes = self._infer()
        return self._shapes.get(name)

    def whole_shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor if none of its axes is open."""
        shape = self.shape(name)
        if shape is None or any(extent is None for extent in shape):
            return None
        return tuple(extent for extent in shape if extent is not None)

    def dtype(self, name: str) -> int:
        """Data type of a tensor, as ONNX numbers them; that of floats where it is not known."""
        values = (*self._inferred().graph.value_info, *self.graph.input, *self.graph.output)
        return next((each.type.tensor_type.elem_type for each in values if each.name == name), 1)

    def _inferred(self) -> onnx.ModelProto:
        import contextlib

        import onnx

        model = self.model
        if self._given:
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            del model.graph.value_info[:]  # they are of other shapes
            for value in model.graph.input:
                axes = value.type.tensor_type.shape.dim
                wanted = self._given.get(value.name, ())
                for axis, extent in zip(axes, wanted, strict=False):
                    axis.dim_value = extent
            for value in model.graph.output:
                value.type.tensor_type.ClearField("shape")
        with contextlib.suppress(Exception):  # its errors have no common base; some files are too large for it
            return onnx.shape_inference.infer_shapes(model, data_prop=True)
        return model

    def _infer(self) -> dict[str, tuple[int | None, ...]]:
        inferred = self._inferred()
        shapes: dict[str, tuple[int | None, ...]] = {}
        for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
            kind = value.type.tensor_type
            if value.type.HasField("tensor_type") and kind.HasField("shape"):
                shapes[value.name] = tuple(
                    axis.dim_value if axis.HasField("dim_value") and axis.dim_value >= 0 else None
                    for axis in kind.shape.dim
                )
        for tensor in self.graph.initializer:
            shapes[tensor.name] = tuple(tensor.dims)
        return shapes

    def forget(self) -> None:
        """Find shapes and constants anew, of the graph as it is now."""
        self._shapes = self._constants = None

    def users(self, name: str) -> list[onnx.NodeProto]:
        """Operators that read a tensor."""
        return [node for node in self.graph.node if name in node.input]

    def replace(self, node: onnx.NodeProto, made: Sequence[onnx.NodeProto]) -> None:
        """Put other operators in the place of one."""
        nodes = list(self.graph.node)
        at = next(index for index, each in enumerate(nodes) if each is node or each == node)
        nodes[at : at + 1] = made
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def set_attribute(self, node: onnx.NodeProto, name: str, value: Any) -> None:
        """Set or replace an attribute; None takes it away."""
        import onnx

        kept = [each for each in node.attribute if each.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if value is not None:
            node.attribute.append(onnx.helper.make_attribute(name, value))

    def rename_input(self, old: str, new: str) -> None:
        """Let every operator read another tensor."""
        for node in self.graph.node:
            for index, name in enumerate(node.input):
                if name == old:
                    node.input[index] = new

    def drop_unused(self) -> None:
        """Take away operators that no output needs, and constants that none of those left reads."""
        wanted = {value.name for value in self.graph.output}
        kept = []
        for node in reversed(list(self.graph.node)):
            if wanted.isdisjoint(node.output):
                continue
            kept.append(node)
            wanted.update(_read_by(node))
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        initializers = [each for each in self.graph.initializer if each.name in wanted]
        del self.graph.initializer[:]
        self.graph.initializer.extend(initializers)
        self._constants = None


def _read_by(node: onnx.NodeProto) -> set[str]:
    """What an operator reads, the graphs inside it included."""
    names = set(node.input)
    for each in node.attribute:
        for graph in (each.g, *each.graphs):
            for inner in graph.node:
                names |= _read_by(inner)
            names.update(value.name for value in graph.output)
    return names
