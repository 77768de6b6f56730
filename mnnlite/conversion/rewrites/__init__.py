"""What the engine's converter gets wrong, written on the ONNX graph in a way that it gets right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnnlite.conversion.rewrites import (
    attention,
    expansions,
    indices,
    others,
    padding,
    quantized,
    reductions,
    resize,
    scalars,
    slopes,
    softmax,
    suppression,
    tails,
)
from mnnlite.conversion.rewrites.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import onnx

    from mnnlite.conversion.onnx_source import OnnxFacts

__all__ = ["SLIM", "Graph", "for_the_converter", "meaning", "nothing", "slim", "suspects"]

# What the network is afterwards is another one, which is what is compared with.
_MEANING = (suppression.rewrite, quantized.rewrite)
# The same network, as the converter reads it.
_DIALECT = (
    others.rewrite,
    reductions.rewrite,
    padding.rewrite,
    scalars.rewrite,
    indices.rewrite,
    softmax.rewrite,
    resize.rewrite,
)
# With less memory, by the words that choose them: the same network, and for "tails" one that ends sooner.
SLIM = {
    "slopes": slopes.rewrite,
    "attention": attention.rewrite,
    "expansions": expansions.rewrite,
    "tails": tails.rewrite,
}


def suspects(facts: OnnxFacts) -> list[str]:
    """What in a file has to be looked at before it is converted."""
    found = []
    for kind in facts.operators:
        words = facts.words.get(kind, set())
        wanted = (
            kind in (*quantized.KINDS, *suppression.KINDS)
            or kind in ("LpNormalization", "MaxUnpool", "Round")
            or (kind == "GridSample" and "mode=nearest" in words)
            or (kind in reductions.KINDS and (facts.opset >= 18 or (facts.opset >= 13 and kind == "ReduceSum")))
            or (kind in padding.KINDS and "auto_pad=SAME_LOWER" in words)
            or (kind in softmax.KINDS and facts.opset < 13)
            or (kind in resize.KINDS and not _usual(words))
        )
        if wanted:
            found.append(kind)
    return [*found, *(["functions"] if facts.functions else [])]


def _usual(words: set[str]) -> bool:
    """What exporters write for upsampling by a whole factor."""
    unusual = ("mode=cubic", "coordinate_transformation_mode=tf", "coordinate_transformation_mode=half_pixel_symmetric")
    flags = ("antialias=1", "exclude_outside=1", "nearest_mode=ceil", "nearest_mode=round_prefer_ceil")
    return not any(word.startswith(unusual) or word in flags for word in words)


def meaning(model: onnx.ModelProto, said: dict[str, Any] | None = None) -> list[str]:
    """Change a model into one that the engine can be; say what was changed, and to `said` what the new file's description says.

    Raises
    ------
    UnsupportedModelError
        It cannot be.
    """
    import onnx.inliner

    if model.functions:
        model.CopyFrom(onnx.inliner.inline_local_functions(model))
    return _apply(model, _MEANING, said)


def for_the_converter(model: onnx.ModelProto) -> list[str]:
    """Write a model as the converter reads it right; say what was changed. It may be none for others afterwards.

    Raises
    ------
    UnsupportedModelError
        It cannot be written so.
    """
    return _apply(model, _DIALECT)


def slim(
    model: onnx.ModelProto,
    chosen: Sequence[str],
    said: dict[str, Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[str]:
    """Lower the peak of feature maps by the rewrites of these names in `SLIM`; say what was changed.

    `shapes` are those of inputs with which the peak is looked for, where the file leaves them open or says others.
    """
    return _apply(model, tuple(SLIM[name] for name in chosen), said, shapes)


def nothing(chosen: Sequence[str]) -> str:
    """The note of a network that none of them makes slimmer."""
    return f"nothing to make slimmer: no {' nor '.join(chosen)} that would lower the peak of feature maps"


def _apply(
    model: onnx.ModelProto,
    rewrites: tuple[Callable[[Graph], None], ...],
    said: dict[str, Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[str]:
    notes = []
    for rewrite in rewrites:
        graph = Graph(model, shapes)
        rewrite(graph)
        notes += graph.notes
        if said is not None:
            said |= graph.said
    return notes
