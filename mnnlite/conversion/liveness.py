"""How much memory the feature maps of a graph hold from operator to operator, in the order that the file has."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import onnx

    from mnnlite.conversion.rewrites.graph import Graph

__all__ = ["Held", "alive", "held"]

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

    def size(name: str) -> int:
        shape = graph.whole_shape(name)
        return 0 if shape is None or name in without or name in constants else _BYTES * prod(shape)

    steps = [(node.input, [name for name in node.output if name]) for node in nodes]
    given = [value.name for value in graph.graph.input if value.name not in constants]
    found = alive(steps, given, [value.name for value in graph.graph.output], size)
    return [Held(node, tensors) for node, tensors in zip(nodes, found, strict=True)]


_Name = TypeVar("_Name")


def alive(
    steps: Sequence[tuple[Sequence[_Name], Sequence[_Name]]],
    given: Sequence[_Name],
    kept: Sequence[_Name],
    size: Callable[[_Name], int],
) -> list[dict[_Name, int]]:
    """Tensors with their bytes while each step works: `steps` read and write, `given` are there before, `kept` to the end."""
    last = dict.fromkeys(kept, len(steps))
    for index, (reads, _) in enumerate(steps):
        for name in reads:
            last[name] = max(index, last.get(name, -1))
    now = {name: size(name) for name in given}
    found = []
    for index, (_, writes) in enumerate(steps):
        now |= {name: size(name) for name in writes}
        found.append(dict(now))
        now = {name: value for name, value in now.items() if last.get(name, -1) > index}
    return found
