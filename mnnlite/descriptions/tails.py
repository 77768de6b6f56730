"""Networks that `mnnlite convert --slim` cut off before they made their scores as large as the picture: the decoder does that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mnnlite.decoders import Segmentation
from mnnlite.descriptions.description import Network, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnnlite.decoders import Decoder

__all__ = ["KEY", "upsampling"]

KEY = "upsample"
_WHERE = "it was cut off before that (mnnlite convert --slim)"


def upsampling(network: Network, readings: Sequence[Reading], said: Any) -> list[Reading]:
    """The readings, where scores are read by a decoder that upsamples them as the network did."""
    if not isinstance(said, Mapping):
        return list(readings)
    return [_reading(network, each, said) for each in readings]


def _reading(network: Network, found: Reading, said: Mapping[str, Any]) -> Reading:
    decoder = found.task_spec.decoder
    if isinstance(decoder, Mapping):
        several = {name: _decoder(each, [name], said) for name, each in decoder.items()}
        return Reading(replace(found.task_spec, decoder=several), {**found.sources, "decoder.upsample": _WHERE})
    names = list(getattr(decoder, "tensors", ())) or [info.name for info in network.outputs]
    made = _decoder(decoder, names, said)
    if made is decoder:
        return found
    where = dict.fromkeys(("decoder.upsample", "decoder.upsample_by"), _WHERE)
    return Reading(replace(found.task_spec, decoder=made), {**found.sources, **where})


def _decoder(decoder: Decoder | str, names: Sequence[str], said: Mapping[str, Any]) -> Any:
    facts = said.get(names[0]) if len(names) == 1 else None
    if not isinstance(decoder, Segmentation) or decoder.upsample or not isinstance(facts, Mapping):
        return decoder
    return replace(decoder, upsample=tuple(facts.get("size", ())), upsample_by=facts.get("by", "half_pixel"))
