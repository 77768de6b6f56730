"""Ctrl-C and bad input leave nothing half-written behind, whatever the command."""

from __future__ import annotations

import pytest

from helpers import models
from helpers.child import run_python
from helpers.cli import mnnlite as command

# Where Ctrl-C arrives: the function, and at which of its calls.
INTERRUPTED = {
    "memory": ("subprocess", "run", 2, ["--plot", "{folder}/out.png"]),
    "dump": ("numpy.lib.format", "write_array", 5, ["-o", "{folder}/out.npz"]),
    "compare": ("mnnlite.observe.report", "_case", 2, ["{model}", "--report", "{folder}/out.html"]),
    "profile": ("mnnlite.perfetto", "json.dumps", 1, ["--trace", "{folder}/out.json"]),
    "inspect": ("mnnlite._core", "plan", 1, ["--plan"]),
}

CHILD = """
import importlib, sys
module, path, number, *arguments = sys.argv[1:]
from mnnlite.cli import main

target = importlib.import_module(module)
*owners, name = path.split(".")
for owner in owners:
    target = getattr(target, owner)
whole, calls = getattr(target, name), 0

def interrupted(*args, **kwargs):
    global calls
    calls += 1
    if calls == int(number):
        raise KeyboardInterrupt
    return whole(*args, **kwargs)

setattr(target, name, interrupted)
code = main(arguments)
assert calls >= int(number), "the command never came there"
assert code == 130, code
"""


@pytest.mark.parametrize("name", INTERRUPTED)
def test_interrupted__nothing_is_left(name, tmp_path):
    module, path, number, options = INTERRUPTED[name]
    model = str(models.path("branches"))
    run_python(
        CHILD, module, path, str(number), name, model, *(each.format(model=model, folder=tmp_path) for each in options)
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["memory", "{bad}"],
        ["memory", "{folder}"],
        ["memory", "{toml}"],
        ["profile", "{bad}"],
        ["profile", "{toml}", "--trace", "t.json"],
        ["profile", "{good}", "--trace", "{folder}"],
        ["compare", "{bad}", "{good}"],
        ["compare", "{good}", "{bad}", "--report", "r.html"],
        ["compare", "{good}", "{good}", "--report", "no/r.html"],
        ["compare", "{good}", "{good}", "--image", "absent.jpg", "--pipeline", "{toml}"],
        ["compare", "{good}", "{good}", "--pictures", "absent", "--pipeline", "{toml}"],
        ["compare", "{good}", "{npz}"],
        ["dump", "{bad}", "-o", "d.npz"],
        ["dump", "{good}", "-o", "d.txt"],
        ["dump", "{good}", "-o", "no/d.npz"],
        ["dump", "{good}", "-o", "d.npz", "--input", "{npz}"],
        ["inspect", "--plan", "{bad}"],
        ["inspect", "--plan", "{good}", "--output", "nothing"],
        ["run", "{toml}", "absent.mp4", "--trace", "t.json"],
    ],
    ids=" ".join,
)
def test_bad_input__is_one_line_and_2_and_writes_nothing(arguments, tmp_path):
    given, work = tmp_path / "given", tmp_path / "work"
    given.mkdir()
    work.mkdir()
    paths = {"bad": given / "bad.mnn", "toml": given / "p.toml", "npz": given / "d.npz", "folder": given}
    paths["bad"].write_bytes(bytes(range(256)) * 4)
    paths["toml"].write_text("[[task]]\nname = 'a'\nmodel = 'bad.mnn'\nimage = { size = [8, 8] }\n")
    paths["npz"].write_bytes(b"PK not an archive")
    paths["good"] = models.path("branches")
    before = sorted(given.iterdir())
    command(*(each.format(**paths) for each in arguments), cwd=work).error()
    assert not list(work.iterdir())
    assert sorted(given.iterdir()) == before
