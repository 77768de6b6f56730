"""The edge where Python objects and files come in: whatever comes, an error of mnnlite's own or none, found by hypothesis.

``MNNLITE_FUZZ=20000`` makes it as many examples as that instead of a short look.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mnnlite
from helpers import models
from mnnlite import ImageSpec, MnnliteError, TaskSpec, decoders, pipeline, video
from mnnlite.decoders.options import names_from

EXAMPLES = int(os.environ.get("MNNLITE_FUZZ", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 1000,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(
        [math.nan, math.inf, -math.inf, 1e308, 2**31, 2**63, -1, 0, 1, "", "\0", "a\0b", "\ud800", "ü" * 200]
    ),
    st.text(max_size=12),
    st.binary(max_size=12),
    st.just(object()),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def only_ours(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except MnnliteError as error:
        text = str(error)
        assert text
        assert "\n" not in text
        text.encode("utf-8", "surrogateescape")
        return None


@FUZZ
@given(name=st.sampled_from([each.name for each in dataclasses.fields(ImageSpec)]), value=VALUES)
def test_image_spec(name, value):
    only_ours(ImageSpec, **{name: value})


@FUZZ
@given(name=st.sampled_from([each.name for each in dataclasses.fields(TaskSpec)]), value=VALUES)
def test_task_spec_and_its_task(name, value):
    spec = only_ours(TaskSpec, **{"model": models.path("classes"), "image": ImageSpec(), name: value})
    if spec is not None:
        task = only_ours(mnnlite.Task, spec)
        if task is not None:
            only_ours(task, mnnlite.Frame(np.zeros((20, 20, 3), np.uint8), "BGR"))
            task.close()


@FUZZ
@given(
    name=st.sampled_from(
        [
            "source",
            "outputs",
            "shapes",
            "resizable",
            "external",
            "sha256",
            "arena",
            "fallback",
            "backend",
            "precision",
            "memory_mode",
            "power",
            "threads",
            "winograd",
            "weights",
            "weights_dir",
        ]
    ),
    value=VALUES,
)
def test_model(name, value):
    options = {"source": models.path("tiny"), name: value}
    model = only_ours(lambda source, **rest: mnnlite.Model(source, **rest), **options)
    if model is not None:
        model.close()


@FUZZ
@given(inputs=VALUES, outputs=VALUES, out=VALUES, shapes=VALUES, key=ODD)
def test_calls_of_a_model(inputs, outputs, out, shapes, key):
    with mnnlite.Model(models.path("tiny"), resizable=True) as model:
        only_ours(model.run, inputs)
        only_ours(model.run, {"x": inputs})
        only_ours(model.run, None, outputs)
        only_ours(model.run, None, None, out=out)
        only_ours(model.run, None, None, out={"y": out})
        only_ours(model.resize, shapes)
        only_ours(model.resize, {"x": shapes})
        if isinstance(key, (str, bytes, int, float)):
            only_ours(model.input, key)
            only_ours(model.input_is_direct, key)


class Interface:
    def __init__(self, interface):
        self.__array_interface__ = interface


class Raises:
    @property
    def __array_interface__(self):
        raise KeyError("nothing")


@FUZZ
@given(array=VALUES, format=ODD, bits=ODD, stamp=ODD)
def test_frames(array, format, bits, stamp):
    only_ours(mnnlite.Frame, array, "BGR")
    only_ours(mnnlite.Frame, Interface(array), "BGR")
    only_ours(mnnlite.Frame, Raises(), "BGR")
    pixels = np.zeros((4, 4, 3), np.uint8)
    only_ours(mnnlite.Frame, pixels, format)
    only_ours(mnnlite.Frame, pixels, "BGR", timestamp_ns=stamp)
    only_ours(mnnlite.Frame, pixels.astype(np.uint16), "BGR", bits=bits)
    only_ours(mnnlite.Frame.nv12, array, array)
    frame = mnnlite.Frame(pixels, "BGR")
    only_ours(frame.roi, array, bits, 1, 1)
    only_ours(frame.quad, array)


@FUZZ
@given(
    kind=st.sampled_from(["|u1", "<u2", ">u2", "<f4", "", "x"]),
    shape=st.lists(st.integers(-4, 2**62), max_size=4),
    strides=st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    offset=st.integers(-4, 2**63 - 1),
)
def test_array_interfaces_of_numbers(kind, shape, strides, offset):
    memory = bytearray(64)
    interface = {"typestr": kind, "shape": tuple(shape), "data": memory, "offset": offset, "version": 3}
    if strides is not None:
        interface["strides"] = tuple(strides)
    frame = only_ours(mnnlite.Frame, Interface(interface), "BGR")
    if frame is not None:  # then all of it lies in the 64 bytes
        assert frame.width * frame.height * 3 <= 64
        ImageSpec(size=(4, 4)).apply(frame)


@FUZZ
@given(
    size=st.tuples(st.integers(-2, 2**40), st.integers(-2, 2**40)),
    line=st.integers(-(2**63), 2**63 - 1),
    length=st.integers(0, 200),
)
def test_planes_of_other_libraries(size, line, length):
    class Plane(bytearray):
        line_size = line

    class Picture:
        class format:
            name = "rgb24"

        colorspace, color_range = 2, 0
        width, height = size
        planes = (Plane(length),)

    frame = only_ours(mnnlite.Frame.from_av, Picture())
    if frame is not None:
        assert (frame.height - 1) * line + 3 * frame.width <= length
        ImageSpec(size=(4, 4)).apply(frame)


@FUZZ
@given(family=st.sampled_from(sorted(decoders.families())), value=VALUES, data=st.data())
def test_options_of_decoders(family, value, data):
    kind = decoders.families()[family]
    names = [option.name for option in decoders.options_of(kind)]
    if names:
        only_ours(decoders.from_dict, {"family": family, data.draw(st.sampled_from(names)): value})


TOML = {
    "task": ["name", *(each.name for each in dataclasses.fields(TaskSpec))],
    "image": [each.name for each in dataclasses.fields(ImageSpec)],
    "runtime": ["lanes", "threads", "memory", "weights", "weights_dir", "winograd", "cores", "policy"],
    "schedule": [
        "every",
        "rate_hz",
        "priority",
        "deadline_ms",
        "optional",
        "after",
        "only",
        "max_crops",
        "padding",
        "evictable",
    ],
}
ODD_TOML = st.sampled_from(
    [
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "1",
        "2.5",
        "9223372036854775807",
        "1e400",
        "true",
        "'back'",
        "''",
        "'a.b'",
        '"\\u0000"',
        '"\\u001b[31m"',
        "[]",
        "[[]]",
        "['x']",
        "[nan]",
        "{}",
        "{ a = 1 }",
        "{ family = 'yolo' }",
        "1979-05-27",
        "07:32:00",
        "1979-05-27T07:32:00Z",
        "'no.module:thing'",
        "[1, 'a', {}]",
    ]
)


@FUZZ
@given(where=st.sampled_from(sorted(TOML)), value=ODD_TOML, data=st.data())
def test_keys_of_a_pipeline(where, value, data, tmp_path):
    key = data.draw(st.sampled_from(TOML[where]))
    lines = {"name": "'a'", "model": f"'{models.path('classes')}'"}
    runtime = ""
    if where == "image":
        lines["image"] = f"{{ {key} = {value} }}"
    elif where == "runtime":
        runtime = f"[runtime]\n{key} = {value}\n"
    else:
        lines["image"] = "{ size = [16, 16] }"
        lines[key] = value
    file = tmp_path / "p.toml"
    file.write_text(runtime + "[[task]]\n" + "".join(f"{name} = {each}\n" for name, each in lines.items()))
    spec = only_ours(pipeline.load, file)
    if spec is not None:
        runtime = only_ours(spec.open)
        if runtime is not None:
            runtime.process(mnnlite.Frame(np.zeros((20, 20, 3), np.uint8), "BGR"))
            runtime.close()


@FUZZ
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_pipeline_files_of_anything(data, tmp_path):
    (tmp_path / "p.toml").write_bytes(data)
    only_ours(pipeline.load, tmp_path / "p.toml")


@pytest.mark.parametrize("opening", ["[", "{a=", "[[task]]\na.b" + ".c" * 3000 + "=1\n#"])
def test_deep_toml(opening, tmp_path):
    file = tmp_path / "p.toml"
    file.write_text("x = " * opening.startswith(("[", "{")) * (opening[1:2] != "[") + opening * 3000)
    with pytest.raises(mnnlite.PipelineError):
        pipeline.load(file)


def test_texts_are_cut_between_characters():
    for name in ("ü" * 300, "出" * 300, "a" + "出" * 300, "😀" * 200):
        for call in (lambda name=name: mnnlite.Model(f"/nope/{name}.mnn"), lambda name=name: missing_output(name)):
            with pytest.raises(MnnliteError) as caught:
                call()
            assert "\\x" not in str(caught.value)
            assert "�" not in str(caught.value)


def missing_output(name):
    with mnnlite.Model(models.path("tiny")) as model:
        model.input(name)


def test_names_of_files_do_not_move_a_terminal(tmp_path):
    with pytest.raises(MnnliteError) as caught:
        missing_output("\x1b[31mred\x9b2J\x7f")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", str(caught.value))


@pytest.mark.parametrize("path", ["\ud800", "a\udfffb.mnn", "a\0b"])
def test_a_path_that_is_none(path):
    for call in (
        lambda: mnnlite.Model(path),
        lambda: mnnlite.Model(models.path("tiny"), external=path),
        lambda: mnnlite.Task(path),
        lambda: mnnlite.describe(path),
        lambda: pipeline.load(path),
        lambda: mnnlite.observe.predict(path),
        lambda: video.write_picture(f"{path}.png", np.zeros((4, 4, 3), np.uint8)),
        lambda: video.open_source(path),
    ):
        with pytest.raises(MnnliteError):
            call()


def test_a_path_that_is_not_utf8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/panneau_\xe8.mnn")
    with open(path, "wb") as file:
        file.write(models.path("tiny").read_bytes())
    mnnlite.Model(path).close()
    mnnlite.Model(os.fsencode(path)[:0] or path, resizable=True).close()
    with pytest.raises(mnnlite.ModelNotFoundError, match=r"\\xe9"):
        mnnlite.Model(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.mnn"))
    with pytest.raises(mnnlite.ArgumentError, match="NUL"):
        mnnlite.Model("a\0b.mnn")


def test_text_files_of_other_editors(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfperson\r\ncar\r\n")
    assert names_from(tmp_path / "names.txt", "classes") == ("person", "car")
    (tmp_path / "keys.txt").write_text("a\nb\n\u2028\nc\n", encoding="utf-8")
    assert names_from(tmp_path / "keys.txt", "keys") == ("a", "b", "\u2028", "c")


def test_code_of_a_pipeline_can_be_refused(tmp_path):
    file = tmp_path / "p.toml"
    file.write_text(f"[[task]]\nname = 'a'\nmodel = '{models.path('tiny')}'\ndecoder = 'antigravity:x'\n")
    with pytest.raises(mnnlite.PipelineError, match="--no-code"):
        pipeline.load(file, code=False)
