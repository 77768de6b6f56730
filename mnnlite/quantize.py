"""Quantises the networks of a pipeline with the engine's own quantiser, and judges them by what they find.

Each task's own image spec makes inputs of the pictures that calibrate. The other pictures are held out: what a network finds on
them is compared with what the float network finds. A network that loses too much is not written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnnlite import children, descriptions, pipeline
from mnnlite.errors import ArgumentError, MnnliteError, UnsupportedModelError
from mnnlite.task import ready_spec
from mnnlite.trial import crashed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnnlite.pipeline import Pipeline
    from mnnlite.specs import TaskSpec

__all__ = ["CHOICES", "LOSS", "METHODS", "Quantised", "choose", "quantize"]

METHODS = ("ADMM", "EMA", "KL")
CHOICES = ("float", "int8", "weights8", "weights4")
LOSS = 0.05  # of what is found: agreement of 0.95
SECONDS = 600.0

_CHILD = children.calling("mnnlite.quantize_child", "run_quantiser")


@dataclass(frozen=True)
class Quantised:
    """A form of a task's network.

    Parameters
    ----------
    task, form : str
        The task, and the form of its network, one of `CHOICES`.
    path : Path, optional
        The .mnn file. None: it was refused, or could not be made.
    agreement, worst : float
        Agreement with the float network over all held-out pictures, and on the worst of them; see
        `mnnlite.observe.Agreement`.
    iou, score_difference : float
        Mean overlap, and largest difference of scores, of the pairs that both networks found.
    file_bytes, memory_bytes : int
        Size of the file, and memory of weights and feature maps as it is loaded. Weights of few bits are loaded with
        ``memory_mode="low"``, because they take less memory only then.
    ms : float
        Median of a run of the network on this machine, one thread.
    pictures : int
        Number of pictures that were held out.
    refused : str
        Why there is no file; "" if there is one.
    method : str
        Method of the quantiser, if it used one.
    """

    task: str
    form: str
    path: Path | None
    agreement: float = 0.0
    worst: float = 0.0
    iou: float = 0.0
    score_difference: float = 0.0
    file_bytes: int = 0
    memory_bytes: int = 0
    ms: float = 0.0
    pictures: int = 0
    refused: str = ""
    method: str = ""


def quantize(
    what: Pipeline | Mapping[str, TaskSpec],
    pictures: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    loss: float = LOSS,
    most: int = 64,
    method: str | None = None,
    seconds: float = SECONDS,
) -> list[Quantised]:
    """Quantise the network of each task, and judge each form by what it finds.

    Parameters
    ----------
    what : Pipeline or dict of str to TaskSpec
        The tasks; each takes pictures.
    pictures : path
        A folder, a ``'pattern*.jpg'`` or a video, like what the networks will see. Every other picture calibrates, and the rest
        is held out.
    folder : path
        Where the .mnn files go, as ``TASK.FORM.mnn``.
    loss : float
        Largest loss: 1 less the agreement.
    most : int
        The most pictures to take.
    method : {"ADMM", "EMA", "KL"}, optional
        How the engine's quantiser finds the range of feature maps. By default all are tried, and the one that loses least is
        taken: each ruins networks that another one keeps.
    seconds : float
        The most seconds that each step may take.

    Returns
    -------
    list of Quantised
        One for each form of each task's network.

    Raises
    ------
    ArgumentError
        There are no pictures, or a task takes none.
    MnnliteError
        A float network cannot be loaded or run.
    """
    if not 0 <= loss <= 1:
        raise ArgumentError(f"loss is {loss!r}; wanted a number from 0 to 1")
    if method is not None and method not in METHODS:
        raise ArgumentError(f"method is {method!r}; wanted {', '.join(METHODS)}, or none for the best of them")
    if most < 2:
        raise ArgumentError(f"most is {most!r}; wanted at least 2 pictures, one of them held out")
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    tasks = what.tasks if isinstance(what, pipeline.Pipeline) else what
    found = []
    for name, spec in tasks.items():
        if spec.image is None or spec.feed or spec.state:
            raise ArgumentError(f"task {name!r}: only tasks that take pictures, and nothing else, can be quantised yet")
        ready = ready_spec(spec)
        found += [_one(name, ready, form, os.fspath(pictures), folder, loss, most, method, seconds) for form in CHOICES]
    return found


def _one(
    name: str,
    spec: TaskSpec,
    form: str,
    pictures: str,
    folder: Path,
    loss: float,
    most: int,
    method: str | None,
    seconds: float,
) -> Quantised:
    """A form of a network: made in each way there is, judged, and the best kept."""
    source = Path(os.path.abspath(os.fspath(spec.model)))
    ways = ("",) if form != "int8" else METHODS if method is None else (method,)
    with tempfile.TemporaryDirectory(prefix=".mnnlite-", dir=folder) as temporary:
        found = []
        for way in ways:
            within = Path(temporary) / (way or form)
            within.mkdir()
            request: dict[str, Any] = {
                "form": form,
                "source": str(source),
                "made": str(within / "made.mnn"),
                "task": pipeline.dumps(
                    pipeline.Pipeline({name: replace(spec, model=str(source), trial=False)}), within
                ),
                "pictures": os.path.abspath(pictures) if os.path.exists(pictures) else pictures,
                "most": most,
                "method": way,
            }
            try:
                found.append(_judged(name, source, request, within, seconds))
            except MnnliteError as error:
                if form == "float":
                    raise
                found.append(Quantised(name, form, None, refused=str(error), method=way))
        best = min(found, key=lambda each: (bool(each.refused), -each.agreement, each.ms))
        if best.refused:
            return best
        if 1 - best.agreement > loss:
            return replace(best, path=None, refused=f"loses {1 - best.agreement:.3f}, allowed is {loss:g}")
        assert best.path is not None
        target = folder / f"{name}.{form}.mnn"
        os.replace(best.path, target)
        return replace(best, path=target)


def _judged(name: str, source: Path, request: dict[str, Any], folder: Path, seconds: float) -> Quantised:
    """Make a form in one way, and judge it."""
    form, made = request["form"], Path(request["made"])
    if form == "float":
        shutil.copyfile(source, made)
    else:
        _child({**request, "step": "make"}, folder, seconds, f"{form} of {source}")
        if not made.exists() or not made.stat().st_size:
            raise UnsupportedModelError(f"the engine's quantiser wrote nothing for {source}", op="quantize")
        from mnnlite.descriptions import mnnfile  # not before: every command imports this module

        way = {"method": request["method"]} if request["method"] else {}
        descriptions.embed(made, None, {**mnnfile.read(source), "quantised": {"form": form, **way}})
    answer = _child({**request, "step": "judge"}, folder, seconds, f"{form} of {source}")
    return Quantised(name, form, made, file_bytes=made.stat().st_size, method=request["method"], **answer)


def _child(request: dict[str, Any], folder: Path, seconds: float, what: str) -> dict[str, Any]:
    try:
        ended = children.ask(_CHILD, request, seconds=seconds, cwd=folder)
    except TimeoutError:
        raise UnsupportedModelError(f"{what} took more than {seconds:g} s", op="quantize") from None
    if ended.code < 0:
        raise crashed(what, -ended.code, "quantize")
    answer = ended.answer
    if answer is None:
        raise UnsupportedModelError(f"{what} ended without an answer; it said: {ended.said}", op="quantize")
    if "error" in answer:
        raise UnsupportedModelError(f"{what}: {answer['error']}", op="quantize")
    return answer


def choose(what: Pipeline, found: list[Quantised], form: str) -> Pipeline:
    """The pipeline with the networks of one form; tasks without a network of that form keep theirs.

    Parameters
    ----------
    what : Pipeline
    found : list of Quantised
    form : str
        One of `CHOICES`.

    Returns
    -------
    Pipeline
    """
    if form not in CHOICES:
        raise ArgumentError(f"the form is {form!r}; wanted one of {', '.join(CHOICES)}")
    paths = {each.task: each.path for each in found if each.form == form and each.path is not None}
    tasks = {
        name: replace(spec, model=str(paths[name]), sha256=None) if name in paths else spec
        for name, spec in what.tasks.items()
    }
    return replace(what, tasks=tasks)
