"""Random frames, specs and geometries: refused with a reason, or equal to the definition on every instruction set."""

from __future__ import annotations

import math
import os
import time

import numpy as np

import mnnlite
from helpers.image_cases import PACKED, YUV, make, region_of
from mnnlite import ImageSpec, _core
from mnnlite.reference import image as reference

EDGES = (0.0, -0.0, 1e-9, 1.0, 255.0, -255.0, 1e9, 1e300, math.inf, -math.inf, math.nan)


def odd(rng, low, high):
    """A number from the range, now and then one that nobody expects."""
    return EDGES[rng.integers(len(EDGES))] if rng.random() < 0.03 else float(rng.uniform(low, high))


def random_spec(rng, *, area):
    color = str(rng.choice(["RGB", "BGR", "RGBA", "BGRA", "GRAY"]))
    channels = {"GRAY": 1, "RGBA": 4, "BGRA": 4}.get(color, 3)
    plain = rng.random() < 0.3
    dtype = [None, "float32", "float16", "uint8", "int8"][rng.integers(5)]
    size = tuple(int(v) for v in rng.integers(0 if rng.random() < 0.02 else 1, 70, 2))
    fit = str(rng.choice(["stretch", "letterbox", "crop"]))
    return {
        "size": size,
        "fit": fit,
        "color": color,
        "mean": 0 if plain else tuple(odd(rng, 0, 255) for _ in range(channels)),
        "std": 1 if plain else tuple(odd(rng, 0.5, 255) for _ in range(channels)),
        "pad": odd(rng, 0, 255),
        "filter": str(rng.choice(["nearest", "bilinear", "bilinear", "area"] if area else ["nearest", "bilinear"])),
        "anchor": str(rng.choice(["center", "top_left", "bottom"])),
        "dtype": dtype,
        "layout": [None, "NCHW", "NHWC", "NC4HW4", "NC8HW8"][rng.integers(5)],
        "scale": odd(rng, 0.001, 2) if dtype in ("uint8", "int8") and rng.random() < 0.5 else None,
        "zero_point": int(rng.integers(-128, 128)) if rng.random() < 0.3 else None,
    }


def random_part(rng, frame):
    """The frame or a part of it, and whether it is axis-aligned."""
    w, h = frame.width, frame.height
    kind = rng.integers(5)
    if kind == 1:
        return frame.roi(odd(rng, -20, w), odd(rng, -20, h), odd(rng, 0.1, w + 30), odd(rng, 0.1, h + 30)), True
    if kind == 2:
        x, y = int(rng.integers(w)), int(rng.integers(h))
        return frame.roi(x, y, int(rng.integers(1, w - x + 1)), int(rng.integers(1, h - y + 1))), True
    if kind >= 3:
        corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
        spread = min(w, h) * rng.uniform(0, 0.6)
        return frame.quad(corners * rng.uniform(0.1, 1.5) + rng.normal(0, spread + 0.1, (4, 2))), False
    return frame, True


def fuzz(seconds, seed):
    rng = np.random.default_rng(seed)
    end = time.monotonic() + seconds
    compared, refused = 0, []
    while time.monotonic() < end or compared < 50:
        format = str(rng.choice([*PACKED, *YUV]))
        frame, image = make(
            rng,
            format,
            *(int(v) for v in rng.integers(1, 80, 2)),
            **(
                {"dtype": np.uint16, "bits": int(rng.integers(10, 17))}
                if format in PACKED and rng.random() < 0.2
                else {}
            ),
            gap=int(rng.integers(6)),
            offset=int(rng.integers(5)),
            matrix=str(rng.choice(["bt601", "bt709"])),
            range=str(rng.choice(["limited", "full"])),
        )
        try:
            part, upright = random_part(rng, frame)
            options = random_spec(rng, area=upright)
            spec = ImageSpec(**options)
            got = spec.apply(part)
        except mnnlite.ArgumentError as error:
            refused.append(str(error))
            continue
        with np.errstate(all="ignore"):
            wanted = reference.convert(spec, image, region_of(part))
        for isa in _core.cpu_isas():
            _core.force_isa(isa)
            try:
                got = spec.apply(part)
            finally:
                _core.force_isa(None)
            np.testing.assert_array_equal(got, wanted, err_msg=f"{isa} {spec} {part!r} {image.format} seed {seed}")
        compared += 1
    assert len(refused) < compared
    assert all(len(text) > 20 and "\n" not in text for text in refused)
    return compared


def test_random_specs_and_geometries():
    """Two seconds, always the same; MNNLITE_FUZZ_SECONDS=60 runs a minute with a seed of its own and prints it."""
    seconds = os.environ.get("MNNLITE_FUZZ_SECONDS")
    seed = time.time_ns() if seconds else 1
    compared = fuzz(float(seconds or 2), seed)
    print(f"seed {seed}: {compared} conversions equal to the definition")
