"""Predicts what a model will need at its peak, before it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mnnlite.proc import MIB

if TYPE_CHECKING:
    from mnnlite import cost

__all__ = ["HEAP_AND_STACK_MIB", "Prediction", "prediction_of"]

# The field's rule of thumb: MemoryHS, heap and stack, is 0.5 to 2 MB; the upper end makes an upper estimate.
HEAP_AND_STACK_MIB = 2.0


@dataclass(frozen=True)
class Prediction:
    """Anonymous memory that a model will need, MiB (2**20 bytes) over what the process held before.

    Parameters
    ----------
    model_buffer_mib, static_mib, dynamic_mib, inputs_mib, outputs_mib : float
        The file's content; weights, outputs and operators; feature maps; input tensors; the outputs' part of static.
    load_transient_mib : float
        The most that loading holds at once beyond model buffer, weights and inputs: weights in two forms.
    loaded_mib : float
        Memory of the loaded model with filled inputs. The outputs have addresses, but no pages yet.
    reading_mib, session_mib, running_mib : float
        Memory at the stages that can be the peak. Reading: the file is read and the engine copies it. Session: the engine
        creates the session beside the copy. Running: the model runs with feature maps and outputs, after the model buffer was
        released. The terms are never all in memory at the same time.
    peak_mib : float
        The largest of the three.
    field_sum_mib : float
        ``StaticMemory + DynamicMemory + ModelSize + MemoryHS`` with 2 MiB of heap and stack: the field's usual upper
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


def prediction_of(found: cost.Cost) -> Prediction:
    """Say what a model's cost means for its peak."""
    field_sum = found.upper_estimate / MIB + HEAP_AND_STACK_MIB
    return Prediction(
        model_buffer_mib=found.model_buffer / MIB,
        static_mib=found.static / MIB,
        dynamic_mib=found.dynamic / MIB,
        inputs_mib=(found.inputs + found.staging) / MIB,
        outputs_mib=found.outputs / MIB,
        load_transient_mib=found.load_transient / MIB,
        loaded_mib=found.loaded / MIB,
        reading_mib=2 * found.model_buffer / MIB,
        session_mib=found.loading / MIB,
        running_mib=found.running / MIB,
        peak_mib=found.peak / MIB,
        field_sum_mib=field_sum,
    )
