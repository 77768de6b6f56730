"""How good the networks of the pack are: on scenes of seeds that they never saw, each beside a trivial baseline.

    python -m mnnlite.demo.metrics [--scenes 500] [--json]

Runs the shipped files through the pipeline's own image specs and decoders.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnnlite import pipeline
from mnnlite.decoders import Segmentation
from mnnlite.demo.classes import LANES, OBJECTS, SIGNS
from mnnlite.demo.pack import pipeline_file
from mnnlite.demo.scenes import scene
from mnnlite.errors import ArgumentError
from mnnlite.frame import Frame
from mnnlite.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mnnlite.demo.render import SceneObject, SceneTruth
    from mnnlite.specs import TaskSpec

    Scene = tuple[NDArray[np.uint8], SceneTruth]

__all__ = ["BARS", "TEST_SEED", "measure", "specs_of", "fresh_scenes"]

TEST_SEED = 5_000_000  # the first; what the networks learned from are other seeds
PRIOR_SEED = 4_000_000  # of the scenes that baselines are made of
BARS = {"objects mAP50": 0.80, "lane pixel F1": 0.85, "sign accuracy": 0.97, "text exact match": 0.90}
LEAST_SIGN = 14  # pixels of the frame: the shorter side of signs that are classified
LOW = 0.05  # score from which boxes enter the precision-recall curve


class Score(NamedTuple):
    """A figure in [0, 1] beside its baseline, and of how many."""

    value: float
    baseline: float
    of: int


def fresh_scenes(count: int, first: int = TEST_SEED) -> Iterator[Scene]:
    """Scenes that nothing was trained on."""
    return (scene(first + index) for index in range(count))


def specs_of(path: str | Path) -> dict[str, TaskSpec]:
    """The pipeline's tasks as the measurement needs them: all boxes, and lines as a map of pixels."""
    tasks = dict(pipeline.load(path).tasks)
    tasks["objects"] = replace(tasks["objects"], decoder=replace(tasks["objects"].decoder, score=LOW))
    decoders = dict(tasks["scene"].decoder)
    whole = Segmentation(size="frame", resize="linear", background=-1)
    tasks["scene"] = replace(tasks["scene"], decoder={**decoders, "drivable": whole, "lanes": whole})
    return {name: replace(spec, batch=1) for name, spec in tasks.items()}


# ---- boxes


def overlaps(box: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Intersection over union of one x1, y1, x2, y2 box with (N, 4) others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - common
    ratio: NDArray[np.float64] = common / np.maximum(areas, 1e-9)
    return ratio


def average_precision(hits: Sequence[tuple[float, bool]], wanted: int) -> float:
    """Area under the precision-recall curve, precision made monotonic (Everingham et al. 2010, all points).

    Parameters
    ----------
    hits : list of (score, right)
        Of all found boxes of a class.
    wanted : int
        How many there are.
    """
    if not wanted or not hits:
        return 0.0
    order = sorted(hits, key=lambda hit: -hit[0])
    right = np.cumsum([hit[1] for hit in order])
    precision = right / np.arange(1, len(order) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], right / wanted])
    return float(np.sum(np.diff(recall) * precision))


def match(
    boxes: NDArray[Any], scores: NDArray[Any], objects: Sequence[SceneObject], least: float = 0.5
) -> list[tuple[float, bool]]:
    """Which of a scene's boxes of one class are right, best first; an object is found once.

    Boxes on objects that are not `clear` (too small, hidden, cut off) count neither way.
    """
    if not len(boxes):
        return []
    places = np.array([obj.box for obj in objects], np.float64).reshape(-1, 4)
    clear = np.array([obj.clear for obj in objects], bool)
    taken = np.zeros(len(objects), bool)
    hits = []
    for index in np.argsort(-scores, kind="stable"):
        ratio = overlaps(boxes[index].astype(np.float64), places)
        free = np.where(clear & ~taken, ratio, 0)
        if len(free) and free.max() >= least:
            taken[int(free.argmax())] = True
            hits.append((float(scores[index]), True))
        elif not (len(ratio) and ratio[~clear].max(initial=0) >= 0.3):
            hits.append((float(scores[index]), False))
    return hits


# ---- all of it


class _Tally:
    """What was seen of scenes, network by network."""

    def __init__(self) -> None:
        self.hits: dict[str, list[tuple[float, bool]]] = {kind: [] for kind in OBJECTS}
        self.wanted: Counter[str] = Counter()
        self.lanes = np.zeros((len(LANES), 3), np.int64)  # right, found, wanted; of class 0: any line
        self.drivable = np.zeros(2, np.int64)
        self.surface: list[tuple[str, str]] = []
        self.signs: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.chain = np.zeros(3, np.int64)  # signs that are clear, of these found, of these named right

    def objects(self, found: Any, truth: SceneTruth) -> None:
        for class_id, kind in enumerate(OBJECTS):
            objects = [obj for obj in truth.objects if obj.kind == kind]
            mine = found.class_ids == class_id
            self.hits[kind] += match(found.boxes_xyxy[mine], found.scores[mine], objects)
            self.wanted[kind] += sum(obj.clear for obj in objects)

    def maps(self, lanes: NDArray[Any], drivable: NDArray[Any], truth: SceneTruth) -> None:
        for class_id in range(len(LANES)):
            found, wanted = (map_ > 0 if class_id == 0 else map_ == class_id for map_ in (lanes, truth.lane_map))
            self.lanes[class_id] += [np.count_nonzero(each) for each in (found & wanted, found, wanted)]
        road = drivable == 1
        self.drivable += [np.count_nonzero(road & truth.drivable), np.count_nonzero(road | truth.drivable)]

    def f1(self, class_id: int) -> float:
        right, found, wanted = self.lanes[class_id]
        return float(2 * right / max(found + wanted, 1))


def _accuracy(pairs: Sequence[tuple[str, str]], usual: str) -> Score:
    """Pairs of found and wanted; the baseline always says the same."""
    count = max(len(pairs), 1)
    return Score(
        sum(found == wanted for found, wanted in pairs) / count,
        sum(wanted == usual for _, wanted in pairs) / count,
        len(pairs),
    )


def _known(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Where the network does not look is nothing."""
    return np.where(classes == 255, 0, classes).astype(np.uint8)


def _crop(frame: Frame, box: Sequence[float], padding: float) -> Frame:
    x1, y1, x2, y2 = (float(value) for value in box)
    wide, high = x2 - x1, y2 - y1
    return frame.roi(x1 - padding * wide, y1 - padding * high, wide * (1 + 2 * padding), high * (1 + 2 * padding))


def measure(
    tasks: Mapping[str, Callable[[Frame], Any]],
    scenes: Iterable[Scene],
    paddings: Mapping[str, float],
    prior: Sequence[SceneTruth],
) -> dict[str, Score]:
    """Run networks on scenes and compare with the truth.

    Parameters
    ----------
    tasks : dict
        ``objects``, ``scene``, ``signs`` and ``texts``: what takes a frame and gives results, as `Task` does.
    scenes : iterable of (image, truth)
    paddings : dict
        Of the crops of ``signs`` and ``texts``.
    prior : sequence of SceneTruth
        Of other scenes: what baselines know.

    Returns
    -------
    dict of str to Score
    """
    tally, plain = _Tally(), _Tally()
    usual = _Usual(prior)
    for image, truth in scenes:
        frame = Frame(image, "RGB")
        found = tasks["objects"](frame)
        tally.objects(found, truth)
        plain.objects(usual, truth)
        where = tasks["scene"](frame)
        tally.maps(_known(where["lanes"].over_frame()), _known(where["drivable"].over_frame()), truth)
        plain.maps(usual.lanes, usual.drivable, truth)
        tally.surface.append((where["surface"].labels[0], truth.surface))
        _read_crops(tally, tasks, frame, truth, found, paddings)
    result = {"objects mAP50": _mean_precision(tally, plain)}
    for kind in OBJECTS:
        wanted = tally.wanted[kind]
        result[f"  AP50 {kind}"] = Score(
            average_precision(tally.hits[kind], wanted), average_precision(plain.hits[kind], wanted), wanted
        )
    result["lane pixel F1"] = Score(tally.f1(0), plain.f1(0), int(tally.lanes[0, 2]))
    for class_id, kind in enumerate(LANES[1:], 1):
        result[f"  F1 {kind}"] = Score(tally.f1(class_id), plain.f1(class_id), int(tally.lanes[class_id, 2]))
    shares = [float(each.drivable[0] / max(each.drivable[1], 1)) for each in (tally, plain)]
    result["drivable IoU"] = Score(shares[0], shares[1], 0)
    result["surface accuracy"] = _accuracy(tally.surface, usual.surface)
    result["sign accuracy"] = _accuracy(tally.signs, usual.sign)
    result["text exact match"] = _accuracy(tally.texts, usual.text)
    clear, seen, named = (int(value) for value in tally.chain)
    result["signs found and named"] = Score(named / max(clear, 1), 0.0, clear)
    result["  of those found"] = Score(named / max(seen, 1), 0.0, seen)
    return result


def _mean_precision(tally: _Tally, plain: _Tally) -> Score:
    kinds = [kind for kind in OBJECTS if tally.wanted[kind]]
    means = [
        float(np.mean([average_precision(each.hits[kind], tally.wanted[kind]) for kind in kinds])) if kinds else 0.0
        for each in (tally, plain)
    ]
    return Score(means[0], means[1], sum(tally.wanted.values()))


def _read_crops(
    tally: _Tally,
    tasks: Mapping[str, Callable[[Frame], Any]],
    frame: Frame,
    truth: SceneTruth,
    found: Any,
    paddings: Mapping[str, float],
) -> None:
    for obj in truth.objects:
        side = min(obj.box[2] - obj.box[0], obj.box[3] - obj.box[1])
        if obj.kind == "sign" and obj.clear and obj.visible > 0.9 and side >= LEAST_SIGN:
            tally.signs.append((tasks["signs"](_crop(frame, obj.box, paddings["signs"])).labels[0], obj.name))
            tally.chain[0] += 1
            likely = found[(found.class_ids == OBJECTS.index("sign")) & (found.scores > 0.3)]
            if len(likely):
                ratio = overlaps(np.array(obj.box, np.float64), likely.boxes_xyxy.astype(np.float64))
                if ratio.max() >= 0.5:
                    crop = _crop(frame, likely.boxes_xyxy[int(ratio.argmax())], paddings["signs"])
                    tally.chain[1] += 1
                    tally.chain[2] += tasks["signs"](crop).labels[0] == obj.name
        if obj.legible:
            read = tasks["texts"](_crop(frame, obj.box, paddings["texts"])).text
            tally.texts.append((read[0] if read else "", obj.text))


class _Usual:
    """What someone would say who knows the training set and does not look at the picture."""

    def __init__(self, prior: Sequence[SceneTruth]) -> None:
        objects = [obj for truth in prior for obj in truth.objects if obj.clear]
        kinds = [kind for kind in OBJECTS if any(obj.kind == kind for obj in objects)]
        # The middle box of each class, in every picture.
        middle = [np.median([obj.box for obj in objects if obj.kind == kind], axis=0) for kind in kinds]
        self.boxes_xyxy = np.array(middle, np.float32).reshape(-1, 4)
        self.class_ids = np.array([OBJECTS.index(kind) for kind in kinds], np.int32)
        self.scores = np.ones(len(kinds), np.float32)
        self.surface = Counter(truth.surface for truth in prior).most_common(1)[0][0]
        self.sign = Counter([obj.name for obj in objects if obj.kind == "sign"] or [SIGNS[0]]).most_common(1)[0][0]
        self.text = Counter([obj.text for obj in objects if obj.text] or [""]).most_common(1)[0][0]
        road = np.mean([truth.drivable for truth in prior], axis=0)
        self.drivable = (road > 0.5).astype(np.uint8)
        line = np.mean([truth.lane_map > 0 for truth in prior], axis=0)
        # The threshold that is best on the prior itself.
        best, kept = -1.0, line > 1
        for threshold in np.linspace(0.02, 0.5, 13):
            chosen = line > threshold
            right = float(line[chosen].sum())
            f1 = 2 * right / max(float(np.count_nonzero(chosen)) + float(line.sum()), 1e-9)
            if f1 > best:
                best, kept = f1, chosen
        kind = Counter(lane.class_id for truth in prior for lane in truth.lanes).most_common(1)
        self.lanes = kept.astype(np.uint8) * np.uint8(kind[0][0] if kind else 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m mnnlite.demo.metrics", description="Measure the road networks that come with mnnlite."
    )
    parser.add_argument("--scenes", type=int, default=500, metavar="N", help="how many scenes (500)")
    parser.add_argument("--pipeline", metavar="FILE", help="other networks of the same kind")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args(arguments)
    if args.scenes < 1:
        raise ArgumentError(f"--scenes is {args.scenes}; wanted at least 1")
    file = args.pipeline or pipeline_file()
    settings = pipeline.load(file).schedules
    tasks = {name: Task(spec) for name, spec in specs_of(file).items()}
    try:
        prior = [truth for _, truth in fresh_scenes(min(100, 5 + args.scenes), PRIOR_SEED)]
        paddings = {name: settings[name].padding for name in ("signs", "texts")}
        scores = measure(tasks, fresh_scenes(args.scenes), paddings, prior)
    finally:
        for task in tasks.values():
            task.close()
    missed = [name for name, bar in BARS.items() if scores[name].value < bar]
    if args.json:
        print(
            json.dumps(
                {"scenes": args.scenes, "scores": {name.strip(): score._asdict() for name, score in scores.items()}}
            )
        )
        return int(bool(missed))
    print(f"{args.scenes} scenes from seed {TEST_SEED}{'':<8} value  bar    baseline  of")
    for name, score in scores.items():
        bar = f"{BARS[name]:.2f}" if name in BARS else "    "
        print(f"{name:<36} {score.value:.4f}  {bar}   {score.baseline:.4f}  {score.of or ''}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
