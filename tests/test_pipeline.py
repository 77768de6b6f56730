"""Pipeline files: everything that can be wrong in one is said with file, line and key; what is written reads back equal."""

from __future__ import annotations

from pathlib import Path

import pytest

import mnnlite
from mnnlite import decoders, pipeline
from mnnlite._toml import dumps, loads

GOOD = """\
# two networks
[[task]]
name = "objects"
model = "objects.mnn"
image = { size = [352, 352], fit = "stretch", color = "BGR", std = [255, 255, 255] }
decoder = { family = "fastestdet", score = 0.5, iou = 0.4, classes = "names.txt" }
precision = "high"
threads = 2

[[task]]
name = "road"
model = "sub/road.mnn"
image.size = [640, 360]
image.std = 255
outputs = ["da", "ll"]

[task.decoder.area]
family = "segmentation"
tensors = ["da"]

[task.decoder.ll]
family = "segmentation"
classes = ["", "line"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("objects.mnn", "sub/road.mnn"):
        (tmp_path / name).write_bytes(b"not looked at")
    (tmp_path / "names.txt").write_text("car\nperson\n")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "some.toml"
    path.write_text(text)
    return path


def test_a_pipeline_becomes_task_specs(folder: Path) -> None:
    loaded = pipeline.load(write(folder, GOOD))
    assert list(loaded.tasks) == ["objects", "road"]
    objects, road = loaded.tasks.values()
    assert objects == mnnlite.TaskSpec(
        str(folder / "objects.mnn"),
        mnnlite.ImageSpec(size=(352, 352), color="BGR", std=(255, 255, 255)),
        decoders.FastestDet(score=0.5, iou=0.4, classes=str(folder / "names.txt")),
        precision="high",
        threads=2,
    )
    assert objects.decoder.names == ("car", "person")
    assert road.image == mnnlite.ImageSpec(size=(640, 360), std=255)
    assert list(road.outputs) == ["da", "ll"]
    assert road.decoder == {
        "area": decoders.Segmentation(tensors=("da",)),
        "ll": decoders.Segmentation(classes=("", "line")),
    }


def test_paths_are_relative_to_the_file_wherever_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, GOOD)
    monkeypatch.chdir(folder.parent)
    loaded = pipeline.load(Path(folder.name) / "some.toml")
    monkeypatch.chdir("/")
    assert Path(loaded.tasks["road"].model) == folder / "sub/road.mnn"


def test_written_and_read_again_is_equal(folder: Path) -> None:
    first = pipeline.load(write(folder, GOOD))
    pipeline.save(first, folder / "again.toml")
    assert pipeline.load(folder / "again.toml") == first


def test_written_to_another_folder_means_the_same_files(folder: Path) -> None:
    first = pipeline.load(write(folder, GOOD))
    pipeline.save(first, folder / "sub" / "again.toml")
    text = (folder / "sub" / "again.toml").read_text()
    assert 'model = "../objects.mnn"' in text
    assert 'classes = "../names.txt"' in text
    assert pipeline.load(folder / "sub" / "again.toml").tasks["objects"].decoder.names == ("car", "person")


def test_written_without_a_folder_has_absolute_paths(folder: Path) -> None:
    text = pipeline.dumps(pipeline.load(write(folder, GOOD)))
    assert f'model = "{folder}/objects.mnn"' in text


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"image": None, "decoder": "raw"},
        {"image": mnnlite.ImageSpec(size=(8, 4), fit="letterbox", color="GRAY", mean=3.5, pad=114, anchor="top_left")},
        {"image": mnnlite.ImageSpec(size=(8, 2), fit="crop", anchor="bottom")},
        {"image": {"left": mnnlite.ImageSpec(size=(8, 4)), "right": mnnlite.ImageSpec(size=(4, 4), layout="NHWC")}},
        {"decoder": decoders.Classification(activation="none", top_k=1, classes=('"quoted"', "a\tb", "ä\x7f"))},
        {"decoder": {"a b": decoders.Segmentation(threshold=1e-7), "c.d": decoders.Classification()}},
        {"outputs": ["heat"], "shapes": {"x": (1, 3, 64, 64)}, "batch": 4, "state": {"h_in": "h_out"}},
        {"precision": "low", "threads": 3},
        {"threads": 1},
    ],
    ids=str,
)
def test_any_task_spec_survives_a_file(folder: Path, spec: dict) -> None:
    before = pipeline.Pipeline({"one": mnnlite.TaskSpec(str(folder / "objects.mnn"), **spec)})
    pipeline.save(before, folder / "one.toml")
    after = pipeline.load(folder / "one.toml")
    assert after.tasks == before.tasks


def test_only_files_can_be_written() -> None:
    with pytest.raises(mnnlite.ArgumentError, match="bytes"):
        pipeline.dumps(pipeline.Pipeline({"one": mnnlite.TaskSpec(b"MNN")}))


TASK = '[[task]]\nname = "a"\nmodel = "objects.mnn"\n'
BAD = {
    "no task": ("", None, None, r"no \[\[task\]\]"),
    "not TOML": ("[[task]]\nname = \n", 2, None, "not TOML"),
    "unknown at the top": ("[[tasks]]\nname = 'a'\n", 1, "tasks", "did you mean 'task'"),
    "a table instead of tables": ("[task]\nname = 'a'\n", 1, "task", r"wanted \[\[task\]\]"),
    "tasks that are no tables": ("task = [1, 2]\n", 1, "task", r"wanted \[\[task\]\]"),
    "no name": ("\n[[task]]\nmodel = 'objects.mnn'\n", 2, "task[0]", "no name"),
    "a name that is no text": ("[[task]]\nname = 3\n", 2, "task[0].name", "wanted a text, got 3"),
    "an empty name": ("[[task]]\nname = ''\n", 2, "task[0].name", "wanted a name"),
    "a name twice": (TASK + TASK, 5, "task[1].name", "another task 'a'"),
    "no model": ("[[task]]\nname = 'a'\n", 1, "task.a", "no model"),
    "a model that is no text": ("[[task]]\nname = 'a'\nmodel = 3\n", 3, "task.a.model", "wanted a text"),
    "a missing model": ("[[task]]\nname = 'a'\nmodel = 'nope.mnn'\n", 3, "task.a.model", "there is no file .*nope.mnn"),
    "a model that is a folder": ("[[task]]\nname = 'a'\nmodel = 'sub'\n", 3, "task.a.model", "there is no file"),
    "an unknown key": (TASK + "\nimages = {}\n", 5, "task.a.images", "did you mean 'image'"),
    "an unknown key like none": (TASK + "qqqq = 1\n", 4, "task.a.qqqq", "known are .*decoder, .*model"),
    "an image that is no table": (TASK + "image = [1, 2]\n", 4, "task.a.image", "wanted a table, got a list"),
    "an unknown image key": (TASK + "image = { size = [1, 2], colour = 'RGB' }\n", 4, "task.a.image.colour", "'color'"),
    "a bad size": (TASK + "image = { size = 'big' }\n", 4, "task.a.image.size", "width, height"),
    "a size of zero": (TASK + "image = { size = [\n 8,\n 0 ] }\n", 6, "task.a.image.size[1]", "got 0"),
    "a bad word": (TASK + "[task.image]\n\nfit = 'squeeze'\n", 6, "task.a.image.fit", "'squeeze'.*'letterbox'"),
    "std of zero": (TASK + "image = { std = [1, 0, 1] }\n", 4, "task.a.image.std[1]", "other than 0"),
    "NaN mean": (TASK + "image = { mean = nan }\n", 4, "task.a.image.mean", "finite"),
    "a decoder that is no table": (TASK + "decoder = 3\n", 4, "task.a.decoder", "wanted a table, got 3"),
    "a decoder without family": (TASK + "decoder = { score = 0.5 }\n", 4, "task.a.decoder", "a table with a family"),
    "an empty decoder": (TASK + "decoder = {}\n", 4, "task.a.decoder", "a table with a family"),
    "an unknown family": (TASK + "decoder = { family = 'fastdet' }\n", 4, "task.a.decoder.family", "'fastestdet'"),
    "an unknown family as a word": (TASK + "decoder = 'fastdet'\n", 4, "task.a.decoder", "did you mean 'fastestdet'"),
    "a family that is no text": (
        TASK + "decoder = { family = 3 }\n",
        4,
        "task.a.decoder.family",
        "wanted a text, got 3",
    ),
    "an unknown option": (
        TASK + "[task.decoder]\nfamily = 'fastestdet'\nscroe = 0.5\n",
        6,
        "task.a.decoder.scroe",
        "did you mean 'score'",
    ),
    "an option of another family": (
        TASK + "decoder = { family = 'segmentation', iou = 0.5 }\n",
        4,
        "task.a.decoder.iou",
        "unknown key",
    ),
    "a NaN threshold": (
        TASK + "decoder = { family = 'fastestdet', score = nan }\n",
        4,
        "task.a.decoder.score",
        r"number in \[0, 1\], got nan",
    ),
    "a threshold of a wrong type": (
        TASK + "decoder = { family = 'fastestdet', score = true }\n",
        4,
        "task.a.decoder.score",
        "wanted a number",
    ),
    "missing names": (
        TASK + "decoder = { family = 'fastestdet', classes = 'nope.txt' }\n",
        4,
        "task.a.decoder.classes",
        "cannot read names from .*nope.txt",
    ),
    "names that are no text": (
        TASK + "decoder = { family = 'fastestdet', classes = 'latin1.txt' }\n",
        4,
        "task.a.decoder.classes",
        "not a UTF-8",
    ),
    "several decoders, one without family": (
        TASK + "[task.decoder.x]\nfamily = 'segmentation'\n[task.decoder.y]\nmode = 'auto'\n",
        6,
        "task.a.decoder.y",
        "no family",
    ),
    "several decoders, one unknown": (
        TASK + "decoder = { x = { family = 'segmentation' }, y = { family = 'sgmentation' } }\n",
        4,
        "task.a.decoder.y.family",
        "'segmentation'",
    ),
    "threads of none": (TASK + "threads = 0\n", 4, "task.a.threads", "got 0"),
    "threads as a text": (TASK + "threads = 'two'\n", 4, "task.a.threads", "'two'"),
    "a bad precision": (TASK + "precision = 'half'\n", 4, "task.a.precision", "'half'"),
    "outputs as a text": (TASK + "outputs = 'heat'\n", 4, "task.a.outputs", "'heat'"),
    "outputs of numbers": (TASK + "outputs = [1]\n", 4, "task.a.outputs", "1"),
    "shapes as a list": (TASK + "shapes = [1, 3, 8, 8]\n", 4, "task.a.shapes", "1, 3, 8, 8"),
    "a shape of texts": (TASK + "shapes = { x = ['1'] }\n", 4, "task.a.shapes", "'1'"),
    "state as a text": (TASK + "state = 'h'\n", 4, "task.a.state", "'h'"),
    "a batch of none": (TASK + "batch = 0\n", 4, "task.a.batch", "got 0"),
    "missing weights": (TASK + "external = 'nope.weight'\n", 4, "task.a.external", "there is no file"),
    "every of none": (TASK + "every = 0\n", 4, "task.a.every", "at least 1"),
    "a priority as a text": (TASK + "priority = 'high'\n", 4, "task.a.priority", "'high'"),
    "a cascade behind nothing": (TASK + "after = 'b'\nonly = ['car']\n", 4, "task.a.after", "there is no task 'b'"),
    "crops of nothing": (TASK + "max_crops = 2\n", 4, "task.a.max_crops", "after="),
    "a cascade with a slip": (TASK + TASK.replace('"a"', '"b"') + "after = 'aa'\n", 7, "task.b.after", "mean 'a'"),
    "a turn by nothing": (
        TASK + "after = 'a'\nturn_by = 'b'\nturn_if = ['180']\n",
        5,
        "task.a.turn_by",
        "there is no task 'b'",
    ),
    "a feed of nothing": (TASK + "feed = { x = 'b.y' }\n", 4, "task.a.feed", "there is no task 'b'"),
    "a feed without output": (TASK + "feed = { x = 'b' }\n", 4, "task.a.feed", "task.output"),
    "a circle": (
        TASK + "after = 'b'\n" + TASK.replace('"a"', '"b"') + "after = 'a'\n",
        None,
        None,
        "in a circle: (a -> b -> a|b -> a -> b)",
    ),
    "an unknown runtime key": (TASK + "[runtime]\nlane = 2\n", 5, "runtime.lane", "did you mean 'lanes'"),
}


@pytest.mark.parametrize(("text", "line", "key", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_with_file_line_and_key(
    folder: Path, text: str, line: int | None, key: str | None, message: str
) -> None:
    (folder / "latin1.txt").write_bytes("gr\xfcn\n".encode("latin-1"))
    path = write(folder, text)
    with pytest.raises(mnnlite.PipelineError, match=message) as caught:
        pipeline.load(path)
    error = caught.value
    assert (error.file, error.line, error.key) == (str(path), line, key)
    assert "\n" not in str(error)
    assert str(error).startswith(f"{path}:{line}: " if line else f"{path}: ")


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: None, "No such file"),
    (lambda path: path.mkdir(), "Is a directory"),
    (lambda path: path.write_bytes(b"name = '\xff'"), "not UTF-8 at byte 8"),
])  # fmt: skip
def test_a_file_that_cannot_be_read(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "p.toml")
    with pytest.raises(mnnlite.PipelineError, match=message):
        pipeline.load(tmp_path / "p.toml")


RULES = """\
[runtime]
lanes = 1
max_failures = 7

[[task]]
name = "signs"
model = "objects.mnn"
after = "objects"
only = ["traffic sign", 3]
max_crops = 8
padding = 0.1
deadline_ms = 40

[[task]]
name = "objects"
model = "objects.mnn"
every = 2
priority = 10
"""


def test_rules_are_read_and_written(folder: Path) -> None:
    loaded = pipeline.load(write(folder, RULES))
    assert loaded.runtime == {"lanes": 1, "max_failures": 7}
    assert (loaded.schedules["objects"].every, loaded.schedules["objects"].priority) == (2, 10)
    assert loaded.schedules["signs"].after == "objects"
    assert set(loaded.schedules["signs"].only) == {"traffic sign", 3}
    pipeline.save(loaded, folder / "again.toml")
    assert pipeline.load(folder / "again.toml") == loaded


def test_open_loads_in_the_order_that_tasks_need(models: Path, tmp_path: Path) -> None:
    text = f"""
        [[task]]
        name = "second"
        model = "{models}/tiny.mnn"
        after = "first"
        image = {{ size = [8, 8] }}

        [[task]]
        name = "first"
        model = "{models}/tiny.mnn"
        image = {{ size = [8, 8] }}
        decoder = "segmentation"
    """
    loaded = pipeline.load(write(tmp_path, text))
    assert loaded.order() == ["first", "second"]


def test_open_says_which_task_cannot_be_loaded(folder: Path) -> None:
    with pytest.raises(mnnlite.ModelFormatError, match="task 'objects': "):
        pipeline.load(write(folder, GOOD)).open()


def test_open_says_where_settings_of_the_runtime_are_wrong(folder: Path) -> None:
    text = TASK + "[runtime]\n\nlanes = 0\n"
    with pytest.raises(mnnlite.PipelineError, match="whole number from 1") as caught:
        pipeline.load(write(folder, text)).open()
    assert (caught.value.line, caught.value.key) == (6, "runtime.lanes")


LINES = '''\
a = 1 # ] } " comment
"b c".'d' = [ # first
  { e = "x # y", f = [1,
    2] }, 'g]',
  """h
" i \\""" j""", 4 ]
k = 1979-05-27 07:32:00
[l.m]
n = \'\'\'o
'p'\'\'\'\'
[[q]]
r.s = -inf
[[q.t]]
u = { }
[q.t.v]
[[q.t]]
[[q]]
w = 0x_1
'''.replace("0x_1", "0x1")


def test_lines_of_keys() -> None:
    values, lines = loads(LINES)
    assert values["q"] == [{"r": {"s": float("-inf")}, "t": [{"u": {}, "v": {}}, {}]}, {"w": 1}]
    assert lines == {
        ("a",): 1,
        ("b c",): 2,
        ("b c", "d"): 2,
        ("b c", "d", 0): 3,
        ("b c", "d", 0, "e"): 3,
        ("b c", "d", 0, "f"): 3,
        ("b c", "d", 0, "f", 0): 3,
        ("b c", "d", 0, "f", 1): 4,
        ("b c", "d", 1): 4,
        ("b c", "d", 2): 5,
        ("b c", "d", 3): 6,
        ("k",): 7,
        ("l",): 8,
        ("l", "m"): 8,
        ("l", "m", "n"): 9,
        ("q",): 11,
        ("q", 0): 11,
        ("q", 0, "r"): 12,
        ("q", 0, "r", "s"): 12,
        ("q", 0, "t"): 13,
        ("q", 0, "t", 0): 13,
        ("q", 0, "t", 0, "u"): 14,
        ("q", 0, "t", 0, "v"): 15,
        ("q", 0, "t", 1): 16,
        ("q", 1): 17,
        ("q", 1, "w"): 18,
    }


@pytest.mark.parametrize(
    "value", [0, -3, 1.5, 1e-30, float("inf"), True, 'a"\\\n\x00\x7fü', [], [[1], ["x"]], {"a b": {}}]
)
def test_values_survive_toml(value: object) -> None:
    assert loads(dumps({"t": {"k.k": value}}))[0] == {"t": {"k.k": value}}


def test_the_pipeline_of_the_documentation(checkout: Path, tmp_path: Path) -> None:
    text = (checkout / "docs" / "command-line.md").read_text()
    for name in ("fastestdet.mnn", "twinlitenet.mnn"):
        (tmp_path / name).touch()
    (tmp_path / "coco.names").write_text("person\n")
    shown = text.split("```toml\n")[1].split("```")[0]
    tasks = pipeline.load(write(tmp_path, shown)).tasks
    assert list(tasks["road"].decoder) == ["area", "ll"]
    line = text.index("road.toml:5: ")
    with pytest.raises(mnnlite.PipelineError) as caught:
        pipeline.load(write(tmp_path, shown.replace("score", "scroe", 1)))
    assert str(caught.value).partition("some.toml:")[2] == text[line:].partition("road.toml:")[2].partition("\n")[0]
