"""What mnnlite asks of the process's heap, and that a process can refuse it."""

from __future__ import annotations

import sys

import pytest

from helpers import networks
from helpers.child import run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="heaps of glibc's malloc")

# How many heaps malloc has once eight threads allocate at the same time, and what trimming gives back.
COUNT = """
import ctypes, re, sys, tempfile, threading
import mnnlite
from mnnlite import ImageSpec, Runtime, TaskSpec, proc

libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]

def heaps():
    with tempfile.NamedTemporaryFile() as file:
        stream = libc.fopen(file.name.encode(), b"w")
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        return len(re.findall(rb"<heap nr=", file.read()))

options = dict(word.split("=") for word in sys.argv[2:])
with Runtime(**options) as runtime:
    before = heaps()
    runtime.add("a", TaskSpec(sys.argv[1], ImageSpec()))
    together = threading.Barrier(8)
    threads = [threading.Thread(target=together.wait) for _ in range(7)]
    for thread in threads:
        thread.start()
    together.wait()
    for thread in threads:
        thread.join()
    print(before, heaps())
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(networks.convert(networks.two_branches(tmp_path_factory.mktemp("heap"), size=16, width=4)))


@pytest.mark.parametrize(
    ("options", "env", "shares"),
    [
        ((), {}, True),
        (("heap=keep",), {}, False),
        ((), {"MNNLITE_HEAP": "keep"}, False),
        ((), {"MNNLITE_HEAP": "share"}, True),
    ],
)
def test_heap__is_changed_by_the_first_add_unless_that_is_refused(
    path: str, options: tuple[str, ...], env: dict[str, str], shares: bool
) -> None:
    before, after = map(int, run_python(COUNT, path, *options, env=env).stdout.split())
    assert before == 1  # making a runtime starts nothing
    assert (after == 1) == shares


def test_heap__a_typo_in_the_environment_is_an_error(path: str) -> None:
    done = run_python(COUNT, path, env={"MNNLITE_HEAP": "kepe"}, check=False)
    assert "ArgumentError: MNNLITE_HEAP is 'kepe'; it must be one of 'share', 'keep'" in done.stderr


def test_heap__a_typo_in_the_option_is_an_error(path: str) -> None:
    done = run_python(COUNT, path, "heap=kepe", check=False)
    assert "ArgumentError: heap is 'kepe'; it must be one of 'share', 'keep'" in done.stderr
