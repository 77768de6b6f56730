"""Tells an error of the input from one of the network: compares a preprocessed picture with the input of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnnlite import _core
from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame
from mnnlite.observe.metrics import Difference, difference
from mnnlite.reference.image import Image, convert
from mnnlite.video import to_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mnnlite.specs import ImageSpec

__all__ = ["InputFinding", "check_preprocessing", "compare_inputs", "picture_inputs"]

# Of the largest value. Bilinear sampling of libraries differs by their fixed point, which is far below; another way of
# resizing differs at edges, which is above and is an input error of its own kind.
TOLERANCE = 0.01
_EXPLAINS = 0.05  # a change explains the difference if it leaves less than this part of it


@dataclass(frozen=True)
class InputFinding:
    """What `compare_inputs` found.

    Parameters
    ----------
    equal : bool
    difference : Difference, optional
        None if the shapes have nothing in common.
    reason : str
        The change that would make the two equal, e.g. the other order of colours; empty if they are equal.
    """

    equal: bool
    difference: Difference | None
    reason: str = ""


def compare_inputs(found: NDArray[Any], reference: NDArray[Any], tolerance: float = TOLERANCE) -> InputFinding:
    """Compare a preprocessed input with the one of the reference preprocessing.

    Parameters
    ----------
    found : ndarray
        E.g. ``spec.apply(frame)``, 4 axes.
    reference : ndarray
        The input that the training framework, or its script, makes of the same picture.
    tolerance : float
        Largest difference, divided by the reference's largest value.

    Returns
    -------
    InputFinding
    """
    import numpy as np

    if found.ndim != 4 or reference.ndim != 4:
        raise ArgumentError(f"inputs of shape {found.shape} and {reference.shape}; wanted 4 axes each")
    if found.size != reference.size:
        return InputFinding(False, None, f"its size is {found.shape}, the reference's {reference.shape}")
    a, b = found.astype(np.float64), reference.astype(np.float64)
    if a.shape == b.shape:
        measured = difference(a, b)
        if measured.relative <= tolerance:
            return InputFinding(True, measured)
    else:
        measured = None
    return InputFinding(False, measured, _reason(a, b))


def picture_inputs(
    model: Any,
    spec: ImageSpec,
    frame: Frame,
    shapes: Mapping[str, Sequence[int]] | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """Make the input that a task gives its network for a picture, in the layout and type of the network's own input.

    Parameters
    ----------
    model : path
        An ``.mnn`` file with one input that takes pictures.
    spec : ImageSpec
    frame : Frame
    shapes, options : dict, optional
        As for `Model`.

    Returns
    -------
    dict of str to ndarray
        By the input's name.

    Raises
    ------
    ArgumentError
        The network has several inputs.
    """
    import numpy as np

    from mnnlite.model import Model
    from mnnlite.task import Task

    size = spec.size
    images = [] if size is None or shapes else [_core.ImageHint(width=size[0], height=size[1], channels=spec.channels)]
    with Model(model, shapes=shapes, _images=images, **(options or {})) as opened:
        if len(opened.inputs) != 1:
            raise ArgumentError(
                f"the network has the inputs {', '.join(map(repr, opened.inputs))}; a picture is one of them: give all with --input"
            )
        with Task(opened, image=spec) as task:
            task(frame)
        return {name: np.array(opened.input(name)) for name in opened.inputs}


def check_preprocessing(spec: ImageSpec, frame: Frame) -> InputFinding:
    """Compare the input that a picture becomes with the definition of its image spec, in `mnnlite.reference`.

    It finds an error in executing the spec, not one in the spec: for that see `compare_inputs`.

    Parameters
    ----------
    spec : ImageSpec
    frame : Frame
        The picture. It is compared as RGB: conversion from YUV is not checked.

    Returns
    -------
    InputFinding
    """
    pixels = to_rgb(frame)
    return compare_inputs(spec.apply(Frame(pixels, "RGB")), convert(spec, Image("RGB", (pixels,))))


def _reason(a: NDArray[Any], b: NDArray[Any]) -> str:
    """The simplest change that makes `a` into `b`."""
    import numpy as np

    planes = _channels_first(b)
    spread = float(np.linalg.norm(planes - planes.mean())) or 1.0

    def explained(value: NDArray[Any]) -> bool:
        return float(np.linalg.norm(value - planes)) < _EXPLAINS * spread

    ways = _layouts(a, planes.shape)
    for word, value in ways.items():
        parts = [] if not word else [word]
        if explained(value):
            return _sentence([*parts]) if parts else "values differ a little everywhere: another way of resizing"
        if value.shape[1] >= 3 and explained(value[:, ::-1]):
            return _sentence([*parts, "the order of colours is reversed (RGB for BGR)"])
    for word, value in ways.items():
        for turned, colour in ((value, ""), (value[:, ::-1], "the order of colours is reversed (RGB for BGR)")):
            fitted, scale, shift = _fit(turned, planes)
            if explained(fitted) and np.all(np.abs(scale) > 1e-6):
                text = f"mean or std: reference = input * {_numbers(scale)} + {_numbers(shift)}"
                return _sentence([each for each in (word, colour, text) if each])
    return "neither colours, mean, std nor layout explain it: another resize, crop or picture"


def _channels_first(value: NDArray[Any]) -> NDArray[Any]:
    return value.transpose(0, 3, 1, 2) if value.shape[1] > 4 >= value.shape[3] else value


def _layouts(a: NDArray[Any], shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """Readings of `a` in the reference's shape, channels first, by what is wrong with it then."""
    count, channels, height, width = shape
    ways: dict[str, NDArray[Any]] = {}
    if a.shape == shape:
        ways[""] = a
        ways["the layout is wrong: NHWC values in an NCHW tensor"] = a.reshape(
            count, height, width, channels
        ).transpose(0, 3, 1, 2)
    elif a.shape == (count, height, width, channels):
        ways["the layout is NHWC for NCHW, or the reverse"] = a.transpose(0, 3, 1, 2)
        ways["the layout is wrong: NCHW values in an NHWC tensor"] = a.reshape(shape)
    return ways


def _fit(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Scale and shift of each channel of `a` that bring it nearest to `b`."""
    import numpy as np

    x, y = (np.moveaxis(each, 1, 0).reshape(each.shape[1], -1) for each in (a, b))
    centred = x - x.mean(1, keepdims=True)
    scale = (centred * (y - y.mean(1, keepdims=True))).sum(1) / np.maximum((centred**2).sum(1), 1e-30)
    shift = y.mean(1) - scale * x.mean(1)
    axes = (None, slice(None), None, None)
    return a * scale[axes] + shift[axes], scale, shift


def _numbers(values: NDArray[Any]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"


def _sentence(parts: list[str]) -> str:
    return "; ".join(parts)
