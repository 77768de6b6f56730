"""What a model will need at its peak, said before it runs anywhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mnnlite.observe.life import measure_in_child
from mnnlite.observe.proc import MIB

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["Prediction", "predict"]

# The field's rule of thumb: MemoryHS, heap and stack, is 0.5 to 2 MB; the upper end makes an upper estimate.
_HEAP_AND_STACK_MIB = 2.0


@dataclass(frozen=True)
class Prediction:
    """Anonymous memory that a model will need, MiB (2**20 bytes) over what the process held before.

    Parameters
    ----------
    model_buffer_mib, static_mib, dynamic_mib, inputs_mib, outputs_mib : float
        The file's content; weights, outputs and operators; feature maps; input tensors; the outputs' part of static.
    load_transient_mib : float
        The most that loading holds at once beyond model buffer, static and inputs: weights in two forms.
    loaded_mib : float
        What is there once the model is loaded and its inputs are filled. The outputs have their place, but no page yet.
    reading_mib, session_mib, running_mib : float
        The stages that can be the peak: the file is read; the session is made beside it; the model runs, with
        feature maps and outputs, when the model buffer is gone. The terms are never all there at once.
    peak_mib : float
        The largest of the three.
    field_sum_mib : float
        ``StaticMemory + DynamicMemory + ModelSize + MemoryHS`` with 2 MiB of heap and stack: the field's usual, upper
        estimate.
    """

    model_buffer_mib: float
    static_mib: float
    dynamic_mib: float
    inputs_mib: float
    outputs_mib: float
    load_transient_mib: float
    loaded_mib: float
    reading_mib: float
    session_mib: float
    running_mib: float
    peak_mib: float
    field_sum_mib: float

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return asdict(self)


def predict(
    source: str | os.PathLike[str],
    *,
    outputs: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    external: str | os.PathLike[str] | None = None,
    **arena_options: Any,
) -> Prediction:
    """Predict a model's peak of anonymous memory.

    Parameters
    ----------
    source : path
        An ``.mnn`` file.
    outputs, shapes, external, **arena_options
        As for `Model`.

    Returns
    -------
    Prediction

    Raises
    ------
    ModelNotFoundError, ModelFormatError, UnsupportedModelError, ArgumentError, TensorNotFoundError, EngineError
        What loading it raises.

    Notes
    -----
    A child process loads the model and fills its inputs; it never runs it.
    """
    found = measure_in_child(source, False, outputs=outputs, shapes=shapes, external=external, **arena_options)
    terms = {name: size / MIB for name, size in found["terms"].items()}
    stages = {stage["name"]: stage for stage in found["stages"]}
    reading = stages["load"]["peak_mib"]
    session = max(stages["session"]["peak_mib"], stages["release model buffer"]["peak_mib"])
    loaded = stages["input"]["anonymous_mib"]
    # The engine takes feature maps and outputs from malloc while it loads; their pages appear when the first run
    # writes them.
    running = loaded + terms["dynamic"] + terms["outputs"]
    return Prediction(
        model_buffer_mib=terms["file"],
        static_mib=terms["static"],
        dynamic_mib=terms["dynamic"],
        inputs_mib=terms["inputs"],
        outputs_mib=terms["outputs"],
        load_transient_mib=max(0.0, session - terms["file"] - terms["static"] - terms["inputs"]),
        loaded_mib=loaded,
        reading_mib=reading,
        session_mib=session,
        running_mib=running,
        peak_mib=max(reading, session, running),
        field_sum_mib=terms["file"] + terms["static"] + terms["dynamic"] + _HEAP_AND_STACK_MIB,
    )
