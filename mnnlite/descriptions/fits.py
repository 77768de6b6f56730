"""What tensors show: the decoders that fit them, with what the publishers of such networks feed.

A rule gives every reading that the shapes leave. Where a family's picture is not the same everywhere, the parts that nobody
says are listed as not known.
"""

from __future__ import annotations

from typing import Any

from mnnlite.descriptions import fit_boxes, fit_others, fit_yolo
from mnnlite.descriptions.description import Network, Reading, dims
from mnnlite.descriptions.fit import Fit, image_input
from mnnlite.specs import ImageSpec, TaskSpec

__all__ = ["NOT_SAID", "fits", "reading"]

NOT_SAID = "not said"  # the source of a part that nobody says
_PARTS = ("color", "mean", "std")
_ROOMS = (fit_yolo, fit_boxes, fit_others)


def reading(network: Network, fit: Fit, known: dict[str, Any], where: dict[str, str]) -> Reading:
    """A task of a fit; `known` is what is said of the picture, `where` its sources."""
    found = image_input(network)
    sources: dict[str, str] = {}
    image: Any = None
    if found is not None:
        info, width, height, layout = found
        options: dict[str, Any] = {"size": (width, height)} if width > 0 and height > 0 else {}
        sources |= {"image.size": "the input's shape"} if options else {}
        if layout:
            options["layout"] = layout
            sources["image.layout"] = f"the input is {dims(info.shape)}"
        channels = 1 if 1 in (info.shape[1], info.shape[3]) else 3
        usual = dict(fit.image or ({"color": "GRAY"} if channels == 1 else {}))
        options |= usual
        sources |= {f"image.{part}": f"usual for {fit.publisher}" for part in usual if fit.image is not None}
        options |= known
        sources |= {f"image.{part}": where.get(part, "") for part in known}
        missing = [
            part
            for part in _PARTS
            if fit.image is None and part not in known and not (part == "color" and channels == 1)
        ]
        sources |= {f"image.{part}": NOT_SAID for part in missing}
        image = ImageSpec(**options)
        if len(network.inputs) > 1:
            image = {info.name: image}
    sources["decoder"] = fit.why
    batch = found[0].shape[0] if found is not None else 1
    state = _state(network)
    outputs = None
    spec = TaskSpec(network.path, image, fit.decoder, outputs=outputs, batch=max(1, min(batch, 1024)), state=state)
    if state:
        sources["state"] = "outputs of the same shape and a like name as inputs"
    return Reading(spec, sources)


def _state(network: Network) -> dict[str, str]:
    """Inputs that an output of the same shape and name but for in and out feeds: ``lstm_h_in`` and ``lstm_h_out``."""
    outputs = {info.name: info.shape for info in network.outputs}
    picture = image_input(network)
    found = {}
    for info in network.inputs:
        if picture is not None and info is picture[0]:  # one that makes a picture of a picture
            continue
        for old, new in (("_in", "_out"), ("in_", "out_"), ("input", "output")):
            name = info.name.replace(old, new)
            if name != info.name and outputs.get(name) == info.shape:
                found[info.name] = name
                break
    return found


def fits(network: Network, names: tuple[str, ...] = ()) -> list[Fit]:
    """Every decoder that fits a network's outputs; rules that know a head by more than one mark come first and alone.

    Parameters
    ----------
    network : Network
    names : tuple of str
        Names of the classes, where somebody says them: their number excludes readings.
    """
    state = set(_state(network).values())
    outputs = [info for info in network.outputs if info.name not in state]
    network = Network(network.path, network.inputs, tuple(outputs), network.makers)
    for rule in (
        rule for room in _ROOMS for rule in room.ALONE
    ):  # known by several marks at once: nothing else has them
        found = list(rule(network, names))
        if found:
            return found
    return [fit for room in _ROOMS for rule in room.RULES for fit in rule(network, names)]
