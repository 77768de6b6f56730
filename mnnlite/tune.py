"""Chooses the engine options of a pipeline's networks by measurement on this device, for all tasks together."""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import children, cost, pipeline
from mnnlite.alternatives import stored
from mnnlite.alternatives.stored import ACCURACY, Alternative, Front
from mnnlite.arena import RUNTIME_OPTIONS, Arena, runtime_options
from mnnlite.engine_options import SESSION_WORDS, EngineOptions
from mnnlite.errors import ArgumentError, EngineError, MemoryBudgetError, MnnliteError
from mnnlite.observe.pipelines import peak_when_loaded
from mnnlite.runtime.budget import cost_of, parse
from mnnlite.runtime.parts import check_counts
from mnnlite.runtime.tuned import Choice, choose_options, lanes_of, placed, worth_having
from mnnlite.task import ready_spec
from mnnlite.trial import crashed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mnnlite.pipeline import Pipeline
    from mnnlite.specs import TaskSpec

__all__ = ["ROUNDS", "Tuning", "tune"]

ROUNDS = 21
_MOST_PICTURES = 16
_CHILD = children.calling("mnnlite.tune_child", "run_tune")
_NOT_SAID: dict[str, Any] = dict.fromkeys(SESSION_WORDS)
_MOST_MS = 3_600_000  # an hour
_ATTEMPTS = 4  # choices that are loaded to see whether they fit
_SAME = 0.01  # of memory: a word that saves less changes nothing


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Parameters
    ----------
    choice, before : Choice
        The best choice, and the pipeline as it was.
    fronts : dict of str to Front
        By task: all that was measured of its network.
    candidates : dict of str to tuple of Alternative
        By task: the alternatives to choose from, which are the Pareto front of those that agree well enough.
    expected : int
        Bytes at the worst moment of the choice, found by loading it in a child process: mostly below ``choice.peak``, which adds up
        what each network holds alone, as a budget does.
    measured : tuple of str
        Tasks whose networks were measured now. The figures of the others come from the cache.
    kept : bool
        Whether the cache holds what was measured.
    """

    choice: Choice
    before: Choice
    fronts: Mapping[str, Front]
    candidates: Mapping[str, tuple[Alternative, ...]]
    expected: int
    measured: tuple[str, ...]
    kept: bool = True

    @property
    def not_stable(self) -> tuple[str, ...]:
        """Tasks for which the clock drifted, or the kernel throttled cores, in each attempt to measure them."""
        return tuple(name for name, found in self.fronts.items() if not found.stable)


def tune(
    what: Pipeline,
    *,
    memory: str | int | None = None,
    frame_ms: float | None = None,
    accuracy: float = ACCURACY,
    pictures: str | os.PathLike[str] | None = None,
    mapped: bool = False,
    rounds: int = ROUNDS,
    again: bool = False,
    on_task: Callable[[str], object] | None = None,
) -> Tuning:
    """Measure the alternatives of each network, and choose for all tasks together.

    Parameters
    ----------
    what : Pipeline
    memory : str or int, optional
        The most anonymous memory of all tasks together, e.g. ``"48 MiB"``; chooses the least time within it. The default is
        that of ``[runtime]``.
    frame_ms : float, optional
        The most milliseconds per frame; chooses the least memory within them. Without either bound it chooses the least time,
        and the least memory if times are equal within noise.
    accuracy : float
        The least agreement of the results with those of the usual options, 0 to 1. Alternatives below it are left out.
    pictures : path, optional
        A folder, a ``'pattern*.jpg'`` or a video to measure agreement on. The default is artificial pictures, in which detectors
        find little.
    mapped : bool
        Whether to try weights that lie in files, too.
    rounds : int
        Number of rounds; each alternative runs once in each.
    again : bool
        Whether to measure again what the cache holds.
    on_task : callable, optional
        Called with the name of each task before its network is measured.

    Returns
    -------
    Tuning

    Raises
    ------
    MemoryBudgetError
        The budget is below any choice; the error names the choice that needs least, and how much that is.
    ArgumentError
        Both bounds were given, a value cannot be used, the model of a task is not a file, or no choice is fast enough.
    MnnliteError
        A network cannot be loaded or run.
    """
    if memory is not None and frame_ms is not None:
        raise ArgumentError("memory and frame_ms are both given; one of them is the bound, the other is made small")
    for name, value in (("frame_ms", frame_ms), ("accuracy", accuracy), ("rounds", rounds)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ArgumentError(f"{name} is {value!r}; wanted a number")
    if frame_ms is not None and not 0 < frame_ms <= _MOST_MS:
        raise ArgumentError(f"frame_ms is {frame_ms!r}; wanted a number above 0, and at most {_MOST_MS}")
    if not 0 <= accuracy <= 1:
        raise ArgumentError(f"accuracy is {accuracy!r}; wanted a number from 0 to 1")
    if not 7 <= rounds <= 10_000:
        raise ArgumentError(f"rounds is {rounds!r}; wanted a number from 7 to 10000")
    if memory is None and frame_ms is None:
        memory = what.runtime.get("memory")
    limit = None if memory is None else parse(memory)
    threads, lanes = what.runtime.get("threads", 1), what.runtime.get("lanes", 1)
    try:
        check_counts(threads=threads, lanes=lanes)
        defaults = runtime_options(**{name: what.runtime[name] for name in RUNTIME_OPTIONS if name in what.runtime})
    except ArgumentError as error:
        raise what.blame("runtime", error) from None
    tasks = {name: what.tasks[name] for name in what.order()}
    fronts: dict[str, Front] = {}
    nothing = dict.fromkeys(tasks, 1.0)
    lanes_of(tasks, what.schedules, lanes, nothing, nothing)  # wrong lanes are refused before anything is measured
    measured: list[str] = []
    kept = True
    for name, task in tasks.items():
        backend = task.engine.backend_in(defaults)
        if backend != "cpu":
            raise ArgumentError(f"task {name!r} is on backend {backend!r}: not yet, only the CPU's options are tuned")
        known = None if again else stored.load(task, threads)
        now = _as_it_is(task, defaults)
        if known is None or not _covers(known, now, mapped, pictures):
            if on_task is not None:
                on_task(name)
            measured.append(name)
            known = _measure(name, task, threads, now, mapped, pictures, rounds)
            kept = stored.store(task, threads, known) and kept
        fronts[name] = known
    to_choose = {
        name: worth_having([each for each in found.alternatives if mapped or each.options.weights == "heap"], accuracy)
        for name, found in fronts.items()
    }
    as_it_is = {name: (_find(found, _as_it_is(tasks[name], defaults)),) for name, found in fronts.items()}
    before = choose_options(tasks, what.schedules, as_it_is, lanes=lanes, threads=threads)
    room = limit
    for attempt in range(_ATTEMPTS):
        choice = choose_options(
            tasks, what.schedules, to_choose, lanes=lanes, threads=threads, memory=room, frame_ms=frame_ms
        )
        said = {key: value for key, value in what.runtime.items() if key not in ("memory", "tune")}
        made = replace(what, runtime=said if limit is None else {**said, "memory": limit})
        try:
            expected = peak_when_loaded(tuned_pipeline(made, choice))
            break
        except MemoryBudgetError as error:  # its lanes turned out otherwise than they were thought to be
            if room is None or attempt == _ATTEMPTS - 1:
                raise
            room -= int(error.details["over"])
    return Tuning(choice, before, fronts, to_choose, expected, tuple(measured), kept)


def _as_it_is(task: TaskSpec, defaults: Mapping[str, str]) -> EngineOptions:
    """The words with which a task runs as the pipeline is written."""
    unusual = task.engine.unusual(defaults)
    words: dict[str, Any] = {name: unusual.get(name, words[0]) for name, words in SESSION_WORDS.items()}
    return EngineOptions(**words)


def _find(found: Front, options: EngineOptions) -> Alternative:
    return next(each for each in found.alternatives if each.options == options)


def _covers(known: Front, now: EngineOptions, mapped: bool, pictures: str | os.PathLike[str] | None) -> bool:
    """What is stored answers what is asked."""
    has = {each.options for each in known.alternatives}
    if pictures is not None and known.pictures != _absolute(pictures):
        return False
    return now in has and (not mapped or any(each.weights == "mapped" for each in has))


def _measure(
    name: str,
    task: TaskSpec,
    threads: int,
    now: EngineOptions,
    mapped: bool,
    pictures: str | os.PathLike[str] | None,
    rounds: int,
) -> Front:
    spec = replace(ready_spec(task), trial=False)
    candidates = _candidates(spec, threads, now, mapped)
    with tempfile.TemporaryDirectory(prefix="mnnlite-") as folder:
        path = Path(folder) / "task.toml"
        bare = replace(spec, feed={}, **_NOT_SAID)
        path.write_text(pipeline.dumps(pipeline.Pipeline({name: bare})), encoding="utf-8")
        request = {
            "parent": os.getpid(),
            "task": str(path),
            "threads": threads,
            "candidates": [options.given() for options, _ in candidates],
            "rounds": rounds,
            "pictures": None if pictures is None else _absolute(pictures),
            "most": _MOST_PICTURES,
        }
        answer = _child(request, f"task {name!r}")
    rows = tuple(
        Alternative(options=options, cost=found, **row)
        for (options, found), row in zip(candidates, answer["rows"], strict=True)
    )
    return Front(rows, bool(answer["stable"]), "made up" if pictures is None else _absolute(pictures))


def _absolute(pictures: str | os.PathLike[str]) -> str:
    return os.path.abspath(pictures)


def _candidates(
    spec: TaskSpec, threads: int, now: EngineOptions, mapped: bool
) -> list[tuple[EngineOptions, cost.Cost]]:
    """What is worth measuring, the usual options first: words that change neither memory nor arithmetic are left out."""
    usual: dict[str, Any] = {name: words[0] for name, words in SESSION_WORDS.items()}

    def costs(words: Mapping[str, Any]) -> cost.Cost:
        return cost_of(replace(spec, **words), threads, {})

    reference = costs(usual)
    choices: dict[str, Sequence[str]] = {"winograd": SESSION_WORDS["winograd"]}
    low = costs({**usual, "memory_mode": "low"})
    if low.static < reference.static * (1 - _SAME):  # weights of few bits stay as they are
        choices["memory_mode"] = ("normal", "low")
    with Arena() as arena:
        if arena.native.has_half:
            choices["precision"] = ("normal", "low")
    if mapped:
        choices["weights"] = SESSION_WORDS["weights"]
    found = [
        EngineOptions(**{**usual, **dict(zip(choices, words, strict=True))})
        for words in itertools.product(*choices.values())
    ]
    found.sort(key=lambda options: options != EngineOptions(**usual))
    return [(options, costs(options.given())) for options in dict.fromkeys([*found, now])]


def _child(request: dict[str, Any], what: str) -> dict[str, Any]:
    ended = children.ask(_CHILD, request, seconds=None)
    if ended.code < 0:
        raise crashed(what, -ended.code, "tune")
    if ended.answer is None:
        raise EngineError(f"{what}: measuring ended without an answer; it said: {ended.said}", op="tune")
    if "error" in ended.answer:
        raise MnnliteError(f"{what}: {ended.answer['error']}", op="tune")
    return ended.answer


def tuned_pipeline(what: Pipeline, choice: Choice) -> Pipeline:
    """The pipeline with the chosen options, and with the lanes where there are several; a task has what the runtime does not say."""
    changed = {}
    for name, words in words_of(what, choice).items():
        changed[name] = replace(
            what.tasks[name], **{**_NOT_SAID, **{key: word for key, word in words.items() if key != "lane"}}
        )
    return replace(what, tasks=changed, schedules=placed(what.schedules, choice.lanes, what.runtime))


def words_of(what: Pipeline, choice: Choice) -> dict[str, dict[str, str | int]]:
    """Of each task the words that have to stand in its table, and its lane: what the runtime does not say."""
    schedules = placed(what.schedules, choice.lanes, what.runtime)
    found: dict[str, dict[str, str | int]] = {}
    for name in what.tasks:
        chosen = choice.tasks[name].options.given()
        found[name] = {
            key: chosen[key] for key, words in SESSION_WORDS.items() if chosen[key] != what.runtime.get(key, words[0])
        }
        lane = schedules[name].lane if name in schedules else None
        found[name] |= {} if lane is None else {"lane": lane}
    return found
