"""Plain data that describes tensors, images and tasks. Frozen, comparable, without behaviour that needs a model."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TensorInfo"]


@dataclass(frozen=True)
class TensorInfo:
    """What an input or output of a network looks like from Python.

    Parameters
    ----------
    name : str
    shape : tuple of int
    dtype : str
        ``"float32"``, ``"float16"``, ``"int32"``, ``"uint8"`` or ``"int8"``.
    layout : str
        ``"NCHW"`` or ``"NHWC"`` for four axes, ``"plain"`` otherwise. This is what the network's file says: exporters
        are known to put NHWC data into a tensor that calls itself NCHW.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
