"""Without a track: places that follow from each frame's boxes alone, in metres from the camera. That is not a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.mapping.views import boxes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnnlite.mapping.camera import Camera
    from mnnlite.mapping.measurements import Measurements

__all__ = ["places_of"]

REFERENCE = "metres from the camera: right, forward, up along the vehicle"


def places_of(given: Measurements, camera: Camera) -> Iterator[dict[str, Any]]:
    """A dict for each object whose distance follows from its size or from the road."""
    camera = camera.scaled(*given.frame_size)
    boxes, turn, above = boxes_of(given, camera), camera.mounting.turn, camera.mounting.height
    for row, (owner, rule) in enumerate(zip(given.owner.tolist(), given.rule.tolist(), strict=True)):
        each = given.rules.elements[rule]
        if not boxes.whole[row] or each.shape != "point":
            continue
        if each.size:
            place = np.append(boxes.middle[row], 1.0) @ turn * (each.size / max(float(boxes.size[row, 1]), 1e-4))
            part = each.size_sigma
        elif each.ground:
            ray = np.append(boxes.foot[row], 1.0) @ turn
            if ray[2] > -above / 100:
                continue
            place, part = ray * (above / -ray[2]), 0.02 / above * float(np.linalg.norm(ray[:2] * (above / -ray[2])))
        else:
            continue
        kind, label, _, text, _ = given.texts[row]
        yield {
            "frame": int(given.frame[owner]),
            "time_s": round(float(given.time[owner]), 3),
            "kind": each.kind or kind,
            "label": label,
            "text": text,
            "confidence": round(float(given.score[row]), 3),
            "metres": np.round(place, 2).tolist(),
            "sigma_m": round(float(np.linalg.norm(place)) * part, 2),
            "reference": REFERENCE,
        }
