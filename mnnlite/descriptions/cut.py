"""Networks that `mnnlite convert` cut off before their NonMaxSuppression: its inputs are what they give now.

Source: ONNX operator NonMaxSuppression: boxes (N, boxes, 4), as two corners, or as centre and size where ``center_point_box`` is 1.
It takes corners in either order and unit, so that neither is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mnnlite import decoders
from mnnlite.descriptions.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.descriptions.description import Network

__all__ = ["KEY", "fits"]

KEY = "suppression"
_MOST = 1000  # rows


def fits(network: Network, said: Any, names: tuple[str, ...]) -> Iterator[Fit]:
    """Ways to read boxes and scores; none where they are not the network's outputs."""
    if not isinstance(said, Mapping):
        return
    shapes = {info.name: info.shape for info in network.outputs}
    boxes, scores = (shapes.get(str(said.get(part))) for part in ("boxes", "scores"))
    if boxes is None or scores is None or len(boxes) != 3 or len(scores) != 3 or boxes[2] != 4:
        return
    classes = scores[2]
    if names and classes not in (-1, len(names)):
        return
    options: dict[str, Any] = {"tensors": (str(said["scores"]), str(said["boxes"])), "multi_label": classes != 1}
    options["top_k"] = 30_000  # it suppresses among all
    for name in ("score", "iou"):
        if isinstance(said.get(name), (int, float)) and 0 <= said[name] <= 1:
            options[name] = float(said[name])
    if isinstance(said.get("most"), int) and said["most"] > 0:
        options["max_detections"] = min(said["most"] * max(classes, 1), _MOST)
    if names:
        options["classes"] = names
    form = "centers" if said.get("centers") else "corners"
    # TensorFlow's boxes begin with y and are relative; PyTorch's begin with x, mostly in pixels.
    ways = [("xy", "pixels"), ("xy", "relative"), ("yx", "relative")]
    maker = str(said.get("maker", ""))
    if maker.startswith("tf2onnx"):
        ways = ways[2:]
    elif maker.startswith("pytorch") or form == "centers":
        ways = ways[:2]
    for order, units in ways:
        decoder = decoders.Ssd(boxes=form, order=order, units=units, **options)
        yield Fit(decoder, f"{network.listed()}: what NonMaxSuppression took, before which the network was cut off")
