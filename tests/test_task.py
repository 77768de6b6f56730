"""Task: one call for image, inference and decoding, equal to the three done one by one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import mnnlite
from helpers import networks
from helpers.comparing import same
from helpers.pictures import noise
from mnnlite import Frame, ImageSpec, Model, Task, TaskSpec, decoders, results

SPEC = ImageSpec(fit="letterbox", size=(32, 32), color="RGB", mean=(10, 20, 30), std=(50, 60, 70), pad=114)
MASK = decoders.Segmentation(mode="binary", threshold=0.5)


def test_a_task_is_its_three_stages(two):
    with Model(two) as model, Task(TaskSpec(two, SPEC, {"heat": MASK})) as task:
        for seed, (width, height) in enumerate([(75, 43), (32, 32), (9, 200)]):
            frame = Frame(noise(seed, width, height), "BGR")
            outputs = model.run({"image": SPEC.apply(frame)})
            expected = MASK.decode({"heat": outputs["heat"]}, (width, height), SPEC)
            same(task(frame)["heat"], expected)


def test_raw_hands_the_outputs_out(two):
    with Model(two) as model, Task(two, image=SPEC) as task:
        frame = Frame(noise(), "RGB")
        expected = model.run({"image": SPEC.apply(frame)})
        found = task(frame)
        assert set(found) == {"heat", "points"}
        for name, value in found.items():
            np.testing.assert_array_equal(value, expected[name])
        borrowed = task(frame, borrow=True)["heat"]
        assert not borrowed.flags.writeable
        task(Frame(noise(1), "RGB"))
        assert not np.array_equal(borrowed, found["heat"])


def test_one_decoder_gives_its_result_and_a_dict_gives_a_dict(two):
    frame = Frame(noise(), "RGB")
    one = decoders.Segmentation(mode="binary", threshold=0.5, tensors=("heat",))
    with (
        Task(two, image=SPEC, decoder=one) as single,
        Task(two, image=SPEC, decoder={"a": one, "heat": MASK}) as several,
    ):
        found = several(frame)
        same(single(frame), found["a"])
        same(found["a"], found["heat"])


def test_only_the_operators_of_the_decoded_outputs_run(two):
    with Model(two) as model:
        task = Task(model, image=SPEC, decoder={"heat": MASK})
        points = model.run({"image": np.zeros((1, 3, 32, 32), np.float32)}, borrow=True)["points"]
        before = points.copy()
        task(Frame(noise(), "RGB"))
        np.testing.assert_array_equal(points, before)  # its operators did not run on the other picture
        mask = model.run(outputs=["heat"])
        assert mask["heat"].shape == (1, 1, 32, 32)
        assert not np.array_equal(model.run(outputs=["points"])["points"], before)  # and would have written these
        task.close()
        assert not model.closed  # the caller's


def test_timestamp_and_meta_travel_to_the_results(two):
    with Task(two, image=SPEC, decoder={"heat": MASK}) as task:
        found = task(Frame(noise(), "RGB", timestamp_ns=123, meta={"camera": 2}))["heat"]
        assert found.timestamp_ns == 123
        assert found.meta == {"camera": 2}
        assert found[:0].timestamp_ns == 123


def test_a_batch_of_frames(open_shape):
    spec = TaskSpec(open_shape, SPEC, {"heat": MASK}, batch=3)
    frames = [Frame(noise(0), "RGB"), Frame(noise(1, 50, 90), "BGR"), Frame(noise(2), "RGB").roi(5, 6, 30, 20)]
    with Task(spec) as task, Task(TaskSpec(open_shape, SPEC, {"heat": MASK})) as single:
        assert task.model.inputs["image"].shape == (3, 3, 32, 32)
        together = task(frames)["heat"]
        for item, frame in enumerate(frames):
            alone = single(frame)["heat"]
            mine = together[np.asarray(together)["item"] == item]
            assert len(mine) == len(alone)
            assert [row["area"] for row in mine.to_json()] == [row["area"] for row in alone.to_json()]
        assert len(task(frames[:1])["heat"]) == len(single(frames[0])["heat"])
        with pytest.raises(mnnlite.ArgumentError, match="batch=3"):
            task(frames + frames)


def test_open_axes_are_filled_from_the_image_spec(open_shape):
    with Task(open_shape, image=ImageSpec(size=(48, 24))) as task:
        assert task.model.inputs["image"].shape == (1, 3, 24, 48)
        assert task(Frame(noise(), "BGR"))["heat"].shape == (1, 1, 24, 48)


def test_state_is_carried_and_forgotten(tmp_path):
    path = networks.convert(networks.counter(tmp_path))
    with Task(TaskSpec(path, state={"memory": "sum"})) as task:
        task.model.input("step")[...] = 2.0
        assert [float(task()["sum"].ravel()[0]) for _ in range(3)] == [2.0, 4.0, 6.0]
        task.reset_state()
        assert float(task()["sum"].ravel()[0]) == 2.0
    with pytest.raises(mnnlite.TensorNotFoundError):
        Task(TaskSpec(path, state={"memory": "total"}))
    with pytest.raises(mnnlite.ArgumentError, match="Runtime"):
        Task(TaskSpec(path, feed={"memory": "other.sum"}))


def test_a_model_that_is_resized_is_followed(open_shape):
    with Model(open_shape, shapes={"image": (1, 3, 32, 32)}, resizable=True) as model:
        task = Task(model, image=ImageSpec(), decoder={"heat": MASK})
        frame = Frame(noise(), "BGR")
        task(frame)
        model.resize({"image": (1, 3, 16, 64)})
        expected = MASK.decode(
            {"heat": model.run({"image": ImageSpec(size=(64, 16)).apply(frame)})["heat"]},
            (75, 43),
            ImageSpec(size=(64, 16)),
        )
        same(task(frame)["heat"], expected)


def test_results_own_their_memory_unless_borrowed(two):
    with Task(two, image=SPEC, decoder={"heat": MASK}) as task:
        first, second = Frame(noise(0), "RGB"), Frame(noise(7), "RGB")
        owned = task(first)["heat"]
        kept = owned.to_json()
        borrowed = task(first, borrow=True)["heat"]
        assert borrowed.to_json() == kept
        task(second, borrow=True)
        assert owned.to_json() == kept
    assert owned.to_json() == kept


def test_stages_are_timed(two):
    with Task(two, image=SPEC, decoder={"heat": MASK}) as task:
        task(Frame(noise(), "RGB"))
        assert list(task.timing) == ["preprocess", "infer", "decode"]
        assert all(value > 0 for value in task.timing.values())


def test_wrong_uses_say_so(two):
    frame = Frame(noise(), "RGB")
    with pytest.raises(mnnlite.ArgumentError, match="ImageSpec"):
        Task(two, image="stretch")
    with pytest.raises(mnnlite.ArgumentError, match="decoder"):
        Task(two, image=SPEC, decoder=3)
    with pytest.raises(mnnlite.ArgumentError, match="segmentation"):
        Task(two, image=SPEC, decoder="segmentatoin")
    with pytest.raises(mnnlite.TensorNotFoundError, match="no input"):
        Task(two, image={"picture": SPEC})
    with pytest.raises(mnnlite.TensorNotFoundError, match="haet"):
        Task(two, image=SPEC, decoder=decoders.Segmentation(tensors=("haet",)))
    with pytest.raises(mnnlite.DecoderError):
        Task(two, image=SPEC, decoder={"heat": decoders.FastestDet()})
    with pytest.raises(mnnlite.MnnliteError, match="32"):
        Task(two, image=ImageSpec(size=(64, 64)))
    with Task(two, image=SPEC) as task:
        with pytest.raises(mnnlite.ArgumentError, match="Frame"):
            task(noise())
        with pytest.raises(mnnlite.ArgumentError, match="needs a frame"):
            task()
    with pytest.raises(mnnlite.ClosedError):
        task(frame)
    task.close()
    with Task(two, decoder="raw") as task, pytest.raises(mnnlite.ArgumentError, match="no image spec"):
        task(frame)
    with Model(two) as model:
        task = Task(model, image=SPEC)
    with pytest.raises(mnnlite.ClosedError):
        task(frame)


def test_not_a_number_among_the_scores_is_an_error_that_names_the_tensor(two):
    with Model(two) as model:
        task = Task(model, decoder={"heat": MASK})
        model.input("image")[...] = np.nan
        heat = model.run()["heat"]
        if np.isnan(heat).any():
            with pytest.raises(mnnlite.DecoderError, match="heat"):
                task()
        else:  # MNN's clamps turn NaN into numbers: then there is nothing to refuse
            task()


def test_two_tasks_of_one_arena_and_a_busy_python_thread(two):
    """The work happens without the GIL: a thread that never lets go of it does not stop it."""
    with mnnlite.Arena() as arena:
        a, b = Task(TaskSpec(two, SPEC, {"heat": MASK}), arena=arena), Task(TaskSpec(two, SPEC), arena=arena)
        frame = Frame(noise(), "RGB")
        expected, raw = a(frame)["heat"].to_json(), b(frame)
        stop = threading.Event()
        spins = [0]

        def spin():
            while not stop.is_set():
                spins[0] += 1

        thread = threading.Thread(target=spin)
        thread.start()
        try:
            for _ in range(20):
                assert a(frame)["heat"].to_json() == expected
                np.testing.assert_array_equal(b(frame)["points"], raw["points"])
        finally:
            stop.set()
            thread.join()
        assert spins[0] > 0


def test_out_is_used_again(two):
    one = decoders.Segmentation(mode="binary", threshold=0.5, tensors=("heat",))
    with (
        Task(two, image=SPEC, decoder=one) as task,
        Task(two, image=SPEC, decoder={"a": one, "heat": MASK}) as several,
    ):
        found, both, other = None, None, None
        for seed, (width, height) in enumerate([(75, 43), (32, 32), (9, 200), (640, 480), (75, 43)]):
            frame = Frame(noise(seed, width, height), "BGR", meta=seed)
            expected = task(frame)
            again = task(frame, out=found)
            assert found is None or again is found
            found = again
            same(found, expected)
            assert (found.meta, found.frame_size) == (seed, (width, height))
            both = several(frame, out=both)
            same(both["a"], expected)
            same(both["heat"], expected)
            # Two of the caller's take turns, and what neither is meant for leaves both alone.
            before = found.to_json()
            other = task(Frame(noise(seed + 50, width, height), "BGR"), out=other)
            task(Frame(noise(seed + 90, width, height), "BGR"))
            task(Frame(noise(seed + 91, width, height), "BGR"), borrow=True)
            assert found.to_json() == before
        assert several(frame, out={"a": both["a"]})["a"] is both["a"]


def test_out_of_outputs(two):
    with Task(two, image=SPEC) as task:
        frame = Frame(noise(), "RGB")
        expected = task(frame)
        heat = np.zeros((1, 1, 32, 32), np.float32)
        found = task(frame, out={"heat": heat})
        assert found["heat"] is heat
        np.testing.assert_array_equal(heat, expected["heat"])
        np.testing.assert_array_equal(found["points"], expected["points"])
        with pytest.raises(mnnlite.MnnliteError, match="out"):
            task(frame, out={"heat": heat[:, :, :3]})
        with pytest.raises(mnnlite.TensorNotFoundError, match="hat"):
            task(frame, out={"hat": heat})


def test_out_that_does_not_fit_is_refused_before_anything_runs(two):
    boxes = results.Detections.from_arrays([[1, 2, 3, 4]], [1])
    one = decoders.Segmentation(mode="binary", threshold=0.5, tensors=("heat",))
    frame = Frame(noise(), "RGB")
    with Task(two, image=SPEC, decoder={"heat": MASK, "f": lambda outputs, items: 1}) as task:
        for out, message in (
            ({"heat": boxes}, "got a Detections, wanted Masks"),
            (boxes, "wanted a dict of results"),
            ({"mask": None}, "no result 'mask'; there are 'heat', 'f'"),
            ({"f": boxes}, "'f' is made in Python"),
        ):
            with pytest.raises(mnnlite.ArgumentError, match=message):
                task(frame, out=out)
        first = task(frame)
        assert task(frame, out=first | {"f": None})["heat"] is first["heat"]
        with pytest.raises(mnnlite.ArgumentError, match="out and borrow"):
            task(frame, out=first, borrow=True)
    with Task(two, image=SPEC, decoder=one) as task, pytest.raises(mnnlite.ArgumentError, match="wanted Masks"):
        task(frame, out=boxes)


def test_out_survives_a_run_that_fails_and_a_closed_task(tmp_path):
    with Task(networks.convert(networks.plates(tmp_path)), decoder=decoders.Yolo("v5", points=4, clip=False)) as task:
        head = np.zeros((2, 30, 15), np.float32)
        head[0, 4] = [100, 80, 40, 20, 0.9, 81, 71, 119, 69, 121, 90, 79, 91, 0.1, 0.8]
        task.model.input("x")[...] = head
        kept = task(out=task())
        assert len(kept) == 1
        task.model.input("x")[0, 4, 0] = np.inf
        with pytest.raises(mnnlite.DecoderError):
            task(out=kept)
        task.model.input("x")[...] = head
        assert len(task(out=kept)) == 1
    assert kept.scores[0] == pytest.approx(0.72)  # its memory is its own
