"""Every runnable network of a model folder in one process, and each alone: the same results, bit for bit.

    python benchmarks/all_networks.py MODELS IMAGES [IMAGES ...] [--frames 6] [--json]

MODELS is a folder as benchmarks/all_networks.toml names its files. IMAGES are pictures, folders of pictures or videos; of a
video the first `--frames` frames are taken, of pictures all. First all networks run on all frames in one Runtime of two
lanes: cascades (text and its direction behind text detection, plate colours behind plates), a chain (plates), a network
with a memory. Then each runs alone, with the same threads, precision and batch: networks on frames as a `Task`, cascades as
a `Task` on the crops that their detector gives alone, the chain as a `Task`, a `Model` and a decoder by hand.

Ends with 1 if a single number differs, if a task failed, or if a task found nothing on any frame.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import machine
import numpy as np

from mnnlite import Frame, Model, Task, pipeline, video

CHAINS = {"plates": "backbone"}
VIDEOS = {".mp4", ".avi", ".mkv", ".mov"}


def frames_of(paths: list[Path], count: int) -> list[Frame]:
    found = []
    for path in paths:
        if not path.exists():
            raise SystemExit(f"{path}: there is nothing")
        each = video.open_source(str(path))
        found += list(itertools.islice(each, count) if path.suffix in VIDEOS else each)
    return found


def load(models: Path) -> pipeline.Pipeline:
    """Read the pipeline with the models where the file expects them."""
    source = Path(__file__).with_suffix(".toml")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").symlink_to(models.resolve(), target_is_directory=True)
        copy = Path(folder) / source.name
        copy.write_text(source.read_text())
        found = pipeline.load(copy)
        # Models are opened later, when the folder is gone.
        text = pipeline.dumps(found, folder).replace('"models/', f'"{models.resolve()}/')
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return pipeline.load(file.name)


def numbers(result: Any) -> list[Any]:
    """All that a result holds, as arrays; without the item, which counts crops differently alone."""
    if isinstance(result, dict):
        return [each for name in sorted(result) for each in numbers(result[name])]
    if isinstance(result, np.ndarray):
        return [result]
    rows = [{key: value for key, value in row.items() if key != "item"} for row in result.to_json()]
    return [np.array(result.scores), np.array(result.class_ids), rows]


def same(a: Any, b: Any) -> bool:
    mine, other = numbers(a), numbers(b)
    return len(mine) == len(other) and all(
        np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in zip(mine, other, strict=True)
    )


def found_in(result: Any) -> int:
    """How many rows; of raw outputs how many arrays."""
    return sum(map(len, result.values())) if isinstance(result, dict) else len(result)


def crop(frame: Frame, boxes: Any, item: int) -> Frame:
    corners = boxes.points[item]
    if len(corners) == 4:
        return frame.quad(corners)
    left, top, right, bottom = boxes[item].box
    return frame.roi(left, top, right - left, bottom - top)


class Alone:
    """Each task of the pipeline by itself."""

    def __init__(self, spec: pipeline.Pipeline) -> None:
        self.spec = spec

    def frames(self, name: str, frames: list[Frame]) -> list[Any]:
        with Task(self.spec.tasks[name]) as task:
            return [task(frame) for frame in frames]

    def chain(self, name: str, first: str, frames: list[Frame]) -> list[Any]:
        head = self.spec.tasks[name]
        made = []
        with Task(self.spec.tasks[first]) as task, Model(head.model) as model:
            for frame in frames:
                tensors = task(frame)
                outputs = model.run({to: tensors[source.split(".", 1)[1]] for to, source in head.feed.items()})
                image = self.spec.tasks[first].image
                made.append(head.decoder.decode(outputs, (frame.width, frame.height), image))
        return made

    def crops(self, name: str, frames: list[Frame], parents: list[Any], together: list[Any]) -> list[bool]:
        """Whether the rows of each crop are what the task alone gives for it, in the same batches."""
        spec = self.spec.tasks[name]
        equal = []
        with Task(spec) as task:
            for frame, boxes, result in zip(frames, parents, together, strict=True):
                items = list(dict.fromkeys(int(item) for item in result.items))
                for start in range(0, len(items), spec.batch):
                    part = items[start : start + spec.batch]
                    rows = task([crop(frame, boxes, item) for item in part])
                    for slot, item in enumerate(part):
                        mine = result[np.asarray(result.items) == item]
                        equal.append(same(mine, rows[np.asarray(rows.items) == slot]))
        return equal


def measured(models: Path, paths: list[Path], count: int) -> dict[str, Any]:
    spec = load(models)
    frames = frames_of(paths, count)
    with spec.open() as runtime:
        begin = time.perf_counter()
        results = list(runtime.stream(frames))
        took = time.perf_counter() - begin
        plan, memory = runtime.plan(), runtime.memory().total
    failures = [f"{name}: {error}" for result in results for name, error in result.errors.items()]
    alone = Alone(spec)
    tasks: dict[str, dict[str, int]] = {}
    on_frames: dict[str, list[Any]] = {}
    for name, schedule in spec.schedules.items():
        together = [result[name] for result in results]
        if schedule.after is not None:
            equal = alone.crops(name, frames, on_frames[schedule.after], together)
        else:
            chained = name in CHAINS
            on_frames[name] = alone.chain(name, CHAINS[name], frames) if chained else alone.frames(name, frames)
            equal = [same(a, b) for a, b in zip(together, on_frames[name], strict=True)]
        tasks[name] = {
            "compared": len(equal),
            "different": equal.count(False),
            "found_on": sum(found_in(each) > 0 for each in together),
            "found": sum(map(found_in, together)),
        }
    texts = Counter(row.text for result in results for row in result["read"] if row.score > 0.9)
    return {
        "frames": len(frames),
        "seconds": took,
        "arenas_mib": memory / 2**20,
        "tasks": tasks,
        "failures": failures,
        "texts": list(texts),
        "plan": plan,
    }


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("models", type=Path, help="folder of networks")
    parser.add_argument("images", type=Path, nargs="+", help="pictures, folders of pictures, videos")
    parser.add_argument("--frames", type=int, default=6, help="of each video")
    args = parser.parse_args()
    if not args.models.is_dir():
        raise SystemExit(f"{args.models}: there is no such folder")
    found = measured(args.models, args.images, args.frames)
    tasks = found["tasks"]
    lines = [
        found["plan"],
        f"{found['frames']} frames in {found['seconds']:.1f} s, lanes hold {found['arenas_mib']:.0f} MiB",
        *(
            f"  {name:12} {each['compared']:4} compared, {each['different']} different; {each['found']} results on "
            f"{each['found_on']} frames"
            for name, each in tasks.items()
        ),
        f"read: {', '.join(found['texts'])}",
        *found["failures"],
    ]
    machine.report("all_networks", found, lines, args.json)
    nothing = [name for name, each in tasks.items() if each["found"] == 0]
    if nothing:
        print(f"found nothing on any frame: {', '.join(nothing)}; give pictures that show some", file=sys.stderr)
    if nothing or found["failures"] or any(each["different"] for each in tasks.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
