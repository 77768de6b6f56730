"""Which tensor of one network is which of another's, after a converter fused, renamed and turned some of them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnnlite.observe.recording import Recording, TensorRecord

__all__ = ["Match", "match"]

# Operators that the converter folds into the one before them; its name stays, its values become theirs.
_FOLDED = {
    *("BatchNormalization", "Relu", "Clip", "LeakyRelu", "Add", "Mul", "Sub", "Div", "Identity", "Dropout", "Cast"),
    *("RELU", "RELU6", "MUL", "ADD"),
}
# Operators of the engine that the converter makes of several, a norm or an activation written out, under the name of the last:
# what they read is not what that last step reads.
_MADE_OF_SEVERAL = {"LayerNorm", "GroupNorm", "UnaryOp", "Attention"}
_STEPS = {"Add", "Mul", "Sub", "Div", "Pow", "MatMul"}
_PRODUCTS = {"MatMul", "Gemm", "Conv", "ConvTranspose"}
_RASTER = re.compile(r"_raster_\d+$")  # an operator of the engine that moves data for the one it is named after
_ADDED = re.compile(r"__[A-Za-z]\w*$")  # what the converter appends: __before_tr, __matmul_converted
_CLOSE = 1e-4  # of the largest value: near enough to be called the same tensor where the name is lost

# Axes of a reference that has the channels elsewhere: NHWC to NCHW and back come first.
_PERMS = {rank: [p for p in permutations(range(rank)) if p != tuple(range(rank))] for rank in (2, 3)}
_PERMS[4] = [(0, 3, 1, 2), (0, 2, 3, 1)]


@dataclass(frozen=True)
class Match:
    """A tensor of the one network and the tensor of the other that it should equal.

    Parameters
    ----------
    tensor : TensorRecord
    reference : TensorRecord
        Where operators were fused, the last of them.
    perm : tuple of int, optional
        Axes of the reference that give it the tensor's order, where they differ.
    by : {"name", "place", "value"}
        ``place``: the copy that the engine makes of an operator's input, which is where it joins, pads and transposes tensors.
    covers : tuple of str
        The reference's tensors that were fused into this one, in order.
    """

    tensor: TensorRecord
    reference: TensorRecord
    perm: tuple[int, ...] | None
    by: str
    covers: tuple[str, ...]

    def wanted(self, value: NDArray[Any]) -> NDArray[Any]:
        """Give a value of the reference's tensor in the tensor's shape."""
        permuted = value if self.perm is None else value.transpose(self.perm)
        return permuted.reshape(self.tensor.value.shape)


def base_name(name: str) -> str:
    """``conv1`` of ``conv1__before_tr_raster_0``."""
    plain = _RASTER.sub("", name)
    while _ADDED.search(plain):
        plain = _ADDED.sub("", plain)
    return plain


def match(found: Recording, reference: Recording) -> tuple[list[Match], list[TensorRecord]]:
    """Match tensors by name, then by shape and value where only one fits.

    Returns
    -------
    list of Match
        In order of execution of `found`. A reference's tensor may appear twice: before and after a copy.
    list of TensorRecord
        Tensors of `found` that have no partner.
    """
    chains: dict[str, tuple[str, ...]]
    if reference.is_engine or not found.is_engine:
        chains = {tensor.name: (tensor.name,) for tensor in reference.tensors}
    else:
        chains = _chains(found, reference)
    by_name = {tensor.name: tensor for tensor in reference.tensors}
    finals = _finals(found.tensors)
    matches: list[Match] = []
    rest: list[TensorRecord] = []
    for tensor in found.tensors:
        made = _by_name(tensor, by_name, chains, finals)
        (rest if made is None else matches).append(tensor if made is None else made)  # type: ignore[arg-type]
    found_by_place = _by_place(found, reference, matches, rest)
    matches += found_by_place
    rest = [tensor for tensor in rest if all(tensor is not each.tensor for each in found_by_place)]
    taken = {each.reference.name for each in matches}
    covered = {name for each in matches for name in each.covers}
    free = [tensor for tensor in reference.tensors if tensor.name not in taken | covered]
    unmatched = []
    for tensor in rest:
        fitting = [(each, perm) for each in free for perm in _same(tensor.value, each.value)]
        if len(fitting) == 1:
            each, perm = fitting[0]
            matches.append(Match(tensor, each, perm, "value", (each.name,)))
        else:
            unmatched.append(tensor)
    order = {id(tensor): number for number, tensor in enumerate(found.tensors)}
    return sorted(matches, key=lambda each: order[id(each.tensor)]), unmatched


def _finals(tensors: Sequence[TensorRecord]) -> dict[str, str]:
    """By base name the engine's name of the tensor that has the operator's own value.

    Copies that feed an operator carry its name and a number and come before it; where the operator is nothing but
    copies, the last is its result.
    """
    finals: dict[str, str] = {}
    for tensor in tensors:
        base = base_name(tensor.name)
        if base not in finals or not _RASTER.search(tensor.name) or _RASTER.search(finals[base]):
            finals[base] = tensor.name
    return finals


def _by_name(
    tensor: TensorRecord,
    references: dict[str, TensorRecord],
    chains: dict[str, tuple[str, ...]],
    finals: dict[str, str],
) -> Match | None:
    name = tensor.name
    operator, _, number = name.rpartition(":")
    if name not in references and number.isdigit() and operator in references:  # an operator's second output, or third
        siblings = references[operator].siblings
        if int(number) < len(siblings) and siblings[int(number)] in references:
            name = siblings[int(number)]
    if name not in references:
        base = base_name(name)
        if base not in references or finals.get(base) != name:
            return None
        name = base
    chain = chains.get(name, (name,))
    for last in range(len(chain), 0, -1):
        partner = references[chain[last - 1]]
        perms = _perms(tensor.value.shape, partner.value.shape)
        if perms:
            # A square leaves more than one way to lie: the nearest is it.
            perm = perms[0] if len(perms) == 1 else min(perms, key=lambda each: _distance(tensor, partner, each))
            return Match(tensor, partner, perm, "name", chain[:last])
    return None


def _by_place(
    found: Recording, reference: Recording, matches: Sequence[Match], rest: Sequence[TensorRecord]
) -> list[Match]:
    """Match what an operator reads, where each network has one tensor there that has no partner yet."""
    by_name = {tensor.name: tensor for tensor in reference.tensors}
    taken = {name for each in matches for name in each.covers}
    copies = {tensor.tensor_id: tensor for tensor in rest if tensor.type == "Raster" and tensor.tensor_id >= 0}
    made: dict[str, Match] = {}
    for each in matches:
        read = [source for source in by_name[each.covers[0]].sources if source in by_name]
        if each.by != "name" or len(read) != 1 or read[0] in taken or len(each.tensor.source_ids) != 1:
            continue
        if each.tensor.type in _MADE_OF_SEVERAL and by_name[each.covers[0]].type in _STEPS:
            continue
        tensor, partner = copies.get(each.tensor.source_ids[0]), by_name[read[0]]
        if tensor is not None and tensor.value.shape == partner.value.shape:
            made[partner.name] = Match(tensor, partner, None, "place", (partner.name,))
    return list(made.values())


def _chains(found: Recording, reference: Recording) -> dict[str, tuple[str, ...]]:
    """For each of the reference's tensors: it, those after it that were folded into its operator, and a product before it.

    A product with a bias has the bias's name where the two were apart.
    """
    known = {name for tensor in found.tensors for name in (tensor.name, base_name(tensor.name))} | set(found.outputs)
    produced = {tensor.name for tensor in reference.tensors}
    uses = Counter(source for tensor in reference.tensors for source in tensor.sources)
    users = {source: tensor for tensor in reference.tensors for source in tensor.sources}
    makers = {tensor.name: tensor for tensor in reference.tensors}
    chains = {}
    for tensor in reference.tensors:
        chain = [tensor.name]
        while chain[-1] not in reference.outputs and uses[chain[-1]] == 1:
            user = users[chain[-1]]
            variable = [source for source in user.sources if source in produced and source != chain[-1]]
            if user.type not in _FOLDED or user.name in known or variable or user.value.shape != tensor.value.shape:
                break
            chain.append(user.name)
        read = [makers[source] for source in tensor.sources if source in produced]
        if tensor.type == "Add" and len(read) == 1 and _is_its_product(read[0], tensor, known, uses):
            chain.insert(0, read[0].name)
        chains[tensor.name] = tuple(chain)
    return chains if uses else _chains_by_order(reference, known)


def _is_its_product(product: TensorRecord, bias: TensorRecord, known: set[str], uses: Counter[str]) -> bool:
    """Whether a product is read by this bias alone, and is nowhere in the other network."""
    return (
        product.type in _PRODUCTS
        and product.name not in known
        and uses[product.name] == 1
        and product.value.shape == bias.value.shape
    )


def _chains_by_order(reference: Recording, known: set[str]) -> dict[str, tuple[str, ...]]:
    """The same of a recording that does not say what reads what: tensors of equal shape that follow."""
    chains = {}
    for index, tensor in enumerate(reference.tensors):
        chain = [tensor.name]
        for after in reference.tensors[index + 1 :]:
            if after.name in known or after.value.shape != tensor.value.shape:
                break
            chain.append(after.name)
        chains[tensor.name] = tuple(chain)
    return chains


def _perms(shape: tuple[int, ...], other: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    """Ways to lay out a tensor of shape `other` as `shape`: as it is, or with its axes turned; axes of 1 do not count."""
    plain = tuple(extent for extent in shape if extent != 1)
    ways: list[tuple[int, ...] | None] = []
    if plain == tuple(extent for extent in other if extent != 1):
        ways.append(None)
    if len(other) in _PERMS and len(plain) > 1:
        ways += [
            perm for perm in _PERMS[len(other)] if tuple(other[axis] for axis in perm if other[axis] != 1) == plain
        ]
    return ways


def _distance(tensor: TensorRecord, partner: TensorRecord, perm: tuple[int, ...] | None) -> float:
    import numpy as np

    value = partner.value if perm is None else partner.value.transpose(perm)
    apart = np.abs(tensor.value.astype(np.float64).ravel() - value.astype(np.float64).ravel())
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def _same(value: NDArray[Any], other: NDArray[Any]) -> list[tuple[int, ...] | None]:
    """Ways in which `other` is the same values; several that give the same are one."""
    import numpy as np

    if value.size != other.size or value.size < 2 or value.dtype.kind != other.dtype.kind:
        return []
    scale = float(np.abs(other).max(initial=0.0))
    if scale == 0 or float(np.ptp(other)) == 0:
        return []  # a constant equals any other
    for perm in _perms(value.shape, other.shape):
        permuted = other if perm is None else other.transpose(perm)
        if float(np.abs(value.ravel() - permuted.ravel()).max()) <= _CLOSE * scale:
            return [perm]
    return []
