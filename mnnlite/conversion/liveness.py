"""How much memory the feature maps of an ONNX graph hold from operator to operator, in the order that the file has."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["Held", "held"]

_BYTES = 4  # the engine computes in float32


@dataclass(frozen=True)
class Held:
    """What is alive while one operator works.

    Parameters
    ----------
    node : onnx.NodeProto
    tensors : dict of str to int
        Feature maps with their bytes: what it reads and writes, and what later operators still need.
    """

    node: onnx.NodeProto
    tensors: dict[str, int]

    @property
    def bytes(self) -> int:
        """Of all of them."""
        return sum(self.tensors.values())


def held(graph: Graph, without: Collection[str] = ()) -> list[Held]:
    """What is alive at each operator. Tensors of open shape, and those of `without`, count nothing.

    The engine works in place where it can, so what it holds is somewhat less; what holds the peak is the same.
    """
    constants = {each.name for each in graph.graph.initializer}
    constants |= {name for node in graph.nodes("Constant") for name in node.output}
    nodes = [node for node in graph.graph.node if node.op_type != "Constant"]
    last: dict[str, int] = {value.name: len(nodes) for value in graph.graph.output}
    for index, node in enumerate(nodes):
        for name in node.input:
            last[name] = max(index, last.get(name, -1))

    def size(name: str) -> int:
        shape = graph.whole_shape(name)
        return 0 if shape is None or name in without or name in constants else _BYTES * prod(shape)

    alive = {value.name: size(value.name) for value in graph.graph.input if value.name not in constants}
    found = []
    for index, node in enumerate(nodes):
        for name in node.output:
            if name:
                alive[name] = size(name)
        found.append(Held(node, dict(alive)))
        for name in [each for each in alive if last.get(each, -1) <= index]:
            del alive[name]
    return found
