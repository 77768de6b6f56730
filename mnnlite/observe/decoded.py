"""Compares what two networks find on many pictures: a quantised network and the one it was made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.arena import Arena
from mnnlite.engine_options import EngineOptions
from mnnlite.errors import ArgumentError
from mnnlite.observe.metrics import difference
from mnnlite.results import Classes, Embeddings, Masks, Results, Texts
from mnnlite.task import Task

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from mnnlite.frame import Frame
    from mnnlite.specs import TaskSpec

__all__ = ["Agreement", "DecodedComparison", "compare_decoded"]

AGREEMENT = 0.9
# Of a spec's engine options: here the arenas say how they compute.
_NOT_SAID: dict[str, Any] = {each.name: None for each in fields(EngineOptions)}
_IOU = 0.5  # boxes that overlap less are not the same thing (PASCAL VOC's criterion)


@dataclass(frozen=True)
class Agreement:
    """How well results of one decoder agree over all pictures.

    Parameters
    ----------
    name : str
        Name of the decoder, or of a raw output.
    kind : str
        The results' class, or ``"array"``.
    agreement : float
        0 to 1. For results with a box: ``2 n / (a + b)`` for n pairs of equal label whose boxes overlap by an IoU of 0.5 or
        more, best pairs first. For masks: fraction of equal pixels. For classes: fraction of items with the same best class.
        For embeddings and arrays: cosine.
    worst : float
        The least agreement on any picture.
    worst_picture : int
        The index of that picture, from 0.
    found, wanted, matched : int
        How many results each network found, and how many pairs. Classes count items, masks pixels, and arrays pictures.
    other_label : int
        How many pairs overlap but differ in the label (for texts, in the text). They are in no other count.
    iou : float
        Mean IoU over the pairs; for masks, over the classes that either has. 1 if there is none.
    score_difference : float
        Largest difference of scores in a pair.
    """

    name: str
    kind: str
    agreement: float
    worst: float
    worst_picture: int
    found: int
    wanted: int
    matched: int
    other_label: int
    iou: float
    score_difference: float


@dataclass(frozen=True)
class DecodedComparison:
    """What `compare_decoded` found.

    Parameters
    ----------
    pictures : int
    decoders : tuple of Agreement
    least : float
        The least agreement that is enough.
    """

    pictures: int
    decoders: tuple[Agreement, ...]
    least: float

    @property
    def agree(self) -> bool:
        """Whether every decoder's agreement is enough."""
        return all(each.agreement >= self.least for each in self.decoders)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "agree": self.agree}


def compare_decoded(
    a: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    spec: TaskSpec,
    frames: Iterable[Frame],
    *,
    least: float = AGREEMENT,
    options: Mapping[str, Any] | None = None,
) -> DecodedComparison:
    """Compare what two networks find on pictures.

    Parameters
    ----------
    a, reference : path
        ``.mnn`` files with the same inputs and outputs.
    spec : TaskSpec
        The image spec and the decoder. Its model is not used.
    frames : iterable of Frame
    least : float
        The least agreement that is enough, 0 to 1.
    options : dict, optional
        ``precision``, ``memory_mode`` and so on of `a`, as for `Arena`.

    Returns
    -------
    DecodedComparison

    Raises
    ------
    ArgumentError
        There are no pictures, or `least` is not a number from 0 to 1.
    MnnliteError
        A network cannot be loaded or run with the spec.
    """
    if not 0 <= least <= 1:
        raise ArgumentError(f"the agreement is {least!r}; wanted a number from 0 to 1")
    with (
        Arena(**(options or {})) as one,
        Arena() as other,
        _task(a, spec, one) as tested,
        _task(reference, spec, other) as wanted,
    ):
        counted = _Counted(frames)
        found = compare_results((tested(frame), wanted(frame)) for frame in counted)
    if not counted.count:
        raise ArgumentError("there are no pictures to compare on")
    return DecodedComparison(counted.count, found, least)


def compare_results(pairs: Iterable[tuple[Any, Any]]) -> tuple[Agreement, ...]:
    """Compare what two tasks found on the same pictures, as pairs of what a `Task` gives: one for each decoder."""
    tallies: dict[str, _Tally] = {}
    for number, (found, wanted) in enumerate(pairs):
        for (name, one), (_, right) in zip(_parts(found), _parts(wanted), strict=True):
            tallies.setdefault(name, _Tally()).add(number, one, right)
    return tuple(each.result(name) for name, each in tallies.items())


class _Counted:
    """What an iterable gives, and how many."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames, self.count = frames, 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.count += 1
            yield frame


def _task(path: str | os.PathLike[str], spec: TaskSpec, arena: Arena) -> Task:
    return Task(replace(spec, model=path, **_NOT_SAID), arena=arena)


def _parts(found: Any) -> Iterator[tuple[str, Any]]:
    """Results by decoder; raw outputs by name."""
    if isinstance(found, dict):
        yield from found.items()
    else:
        yield "result", found


class _Tally:
    """Counts of one decoder."""

    def __init__(self) -> None:
        self._kind = ""
        self._parts: list[float] = []  # of each picture
        self._found = self._wanted = self._matched = self._other = 0
        self._ious: list[float] = []
        self._score = 0.0

    def add(self, picture: int, found: Any, wanted: Any) -> None:
        self._kind = type(wanted).__name__ if isinstance(wanted, Results) else "array"
        if isinstance(wanted, Masks):
            self._masks(found, wanted)
        elif isinstance(wanted, Classes):
            self._classes(found, wanted)
        elif isinstance(wanted, Embeddings):
            self._arrays(found.vectors, wanted.vectors)
        elif isinstance(wanted, Results):
            self._boxes(found, wanted)
        else:
            self._arrays(found, wanted)

    def result(self, name: str) -> Agreement:
        worst = int(np.argmin(self._parts))
        if self._kind in ("array", "Embeddings"):
            agreement = float(np.mean(self._parts))
        else:
            total = self._found + self._wanted
            agreement = 2 * self._matched / total if total else 1.0
        iou = float(np.mean(self._ious)) if self._ious else 1.0
        return Agreement(
            name,
            self._kind,
            agreement,
            self._parts[worst],
            worst,
            self._found,
            self._wanted,
            self._matched,
            self._other,
            iou,
            self._score,
        )

    def _count(self, found: int, wanted: int, matched: int) -> None:
        self._found += found
        self._wanted += wanted
        self._matched += matched
        self._parts.append(2 * matched / (found + wanted) if found + wanted else 1.0)

    def _boxes(self, found: Any, wanted: Any) -> None:
        overlap = _ious(found.boxes_xyxy, wanted.boxes_xyxy)
        overlap[found.items[:, None] != wanted.items[None]] = 0
        names = [each.text if isinstance(each, Texts) else each.labels for each in (found, wanted)]
        matched = 0
        while overlap.size and overlap.max() >= _IOU:
            one, other = (int(index) for index in np.unravel_index(int(overlap.argmax()), overlap.shape))
            if names[0][one] == names[1][other]:
                matched += 1
                self._ious.append(float(overlap[one, other]))
                self._score = max(self._score, abs(float(found.scores[one]) - float(wanted.scores[other])))
            else:
                self._other += 1
            overlap[one] = overlap[:, other] = 0
        self._count(len(found), len(wanted), matched)

    def _masks(self, found: Masks, wanted: Masks) -> None:
        items = sorted({*found.items.tolist(), *wanted.items.tolist()})
        equal = pixels = 0
        for item in items:
            a, b = _map(found, wanted, item), _map(wanted, found, item)
            equal += int((a == b).sum())
            pixels += a.size
            for label in np.union1d(np.unique(a), np.unique(b)):
                self._ious.append(float(((a == label) & (b == label)).sum() / ((a == label) | (b == label)).sum()))
        self._count(pixels, pixels, equal)

    def _classes(self, found: Classes, wanted: Classes) -> None:
        best = [_best(each) for each in (found, wanted)]
        same = [item for item in best[1] if item in best[0] and best[0][item][0] == best[1][item][0]]
        self._score = max([self._score, *(abs(best[0][item][1] - best[1][item][1]) for item in same)])
        self._other += sum(item in best[0] for item in best[1]) - len(same)
        self._count(len(best[0]), len(best[1]), len(same))

    def _arrays(self, found: NDArray[Any], wanted: NDArray[Any]) -> None:
        if found.shape != wanted.shape:
            raise ArgumentError(f"an output has shape {found.shape}, the reference's has {wanted.shape}")
        self._found, self._wanted, self._matched = (each + 1 for each in (self._found, self._wanted, self._matched))
        self._parts.append(difference(found, wanted).cosine)


def _best(found: Classes) -> dict[int, tuple[int, float]]:
    """By item its best class and score."""
    best: dict[int, tuple[int, float]] = {}
    for item, label, score in zip(found.items.tolist(), found.class_ids.tolist(), found.scores.tolist(), strict=True):
        if item not in best or score > best[item][1]:
            best[item] = (label, score)
    return best


def _map(found: Masks, other: Masks, item: int) -> NDArray[Any]:
    """A class map; zeros of the other's shape where this one found nothing at all."""
    return found.class_map(item) if item in found.items else np.zeros_like(other.class_map(item))


def _ious(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes x1, y1, x2, y2."""
    first, second = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(each[..., 2:] - each[..., :2], axis=-1) for each in (first, second)]
    found: NDArray[np.float64] = shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)
    return found
