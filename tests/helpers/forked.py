"""Processes forked from one that has imported the package and loaded nothing: a start of Python and NumPy is most of what a
short command takes, and of what the package's own children take. All else is their own: descriptors, folder, environment, signals,
the end of the interpreter. `MNNLITE_PYTHON` names the script that asks for them (`forked_python.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

# What the interpreter, libraries and the engine read when they start: where it differs, only a new process will do.
AT_START = re.compile(r"PYTHON|LC_|LANG|LD_|MALLOC|OMP_|OPENBLAS|MNNLITE_(ENGINE|FORCE|HEAP)")
# Of all commands and children, as CI does once: a new interpreter for each.
START = os.environ.get("MNNLITE_TESTS_START", "0") != "0"
COMMAND = "from mnnlite.cli import program; program()"
MOST = 1 << 17  # bytes of a request, and 64 descriptors


def read_at_start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if AT_START.match(name)}


class Server:
    """The process they are forked from. It ends when this one does."""

    def __init__(self) -> None:
        self.env = read_at_start(dict(os.environ))
        self._folder = Path(tempfile.mkdtemp(prefix="mnnlite-"))
        self._address = str(self._folder / "socket")
        self.python = self._folder / "python3"
        asking = [sys.executable, "-IS", str(Path(__file__).with_name("forked_python.py")), sys.executable]
        self.python.write_text(f'#!/bin/sh\nexec {shlex.join([*asking, self._address])} "$@"\n')
        self.python.chmod(0o755)
        self._alive, theirs = socket.socketpair()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self._address)
        listener.listen(32)
        with theirs, listener:
            given = [theirs.fileno(), listener.fileno()]
            code = f"import runpy; exec(runpy.run_path({__file__!r})['serve']{tuple(given)})"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], pass_fds=given, cwd="/", stdin=subprocess.DEVNULL
            )

    def run(
        self, code: str, argv: list[str], stdin: bytes, cwd: str, env: dict[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """The exit code as `subprocess` has it, and what was written to standard output and standard error."""
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = (os.pipe() for _ in range(3))
        theirs = [in_read, out_write, err_write]
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            channel.connect(self._address)
            request = marshal.dumps({"code": code, "argv": argv, "cwd": cwd, "env": env, "numbers": [0, 1, 2]})
            socket.send_fds(channel, [request], theirs)
        finally:
            for each in theirs:
                os.close(each)
        read: dict[str, bytes] = {}

        def feed() -> None:
            with contextlib.suppress(BrokenPipeError), os.fdopen(in_write, "wb") as stream:
                stream.write(stdin)

        def drain(name: str, descriptor: int) -> None:
            with os.fdopen(descriptor, "rb") as stream:
                read[name] = stream.read()

        threads = [threading.Thread(target=feed, daemon=True)]
        threads += [
            threading.Thread(target=drain, args=each, daemon=True) for each in (("out", out_read), ("err", err_read))
        ]
        for thread in threads:
            thread.start()
        with channel:
            channel.settimeout(timeout)
            try:
                said = channel.recv(64)
            except TimeoutError:
                said = b""
        for thread in threads:  # where it took too long: it is killed, since nobody waits for it
            thread.join()
        if not said:
            raise subprocess.TimeoutExpired(argv, timeout, read["out"], read["err"])
        return os.waitstatus_to_exitcode(int(said)), read["out"], read["err"]

    def close(self) -> None:
        self._alive.close()
        self._process.wait(30)
        shutil.rmtree(self._folder)


_server: Server | None = None


def server() -> Server:
    global _server
    if _server is None:
        _server = Server()
        if not START:
            os.environ["MNNLITE_PYTHON"] = str(_server.python)
    return _server


def close() -> None:
    """End the server, if there is one. The next command begins another."""
    global _server
    if _server is not None:
        if os.environ.get("MNNLITE_PYTHON") == str(_server.python):
            del os.environ["MNNLITE_PYTHON"]
        _server.close()
        _server = None


# ---- in the server


def serve(alive: int, listening: int) -> str:
    """Returns in each process that was asked for, which is ready to run the code then."""
    import importlib
    import runpy
    import warnings

    import mnnlite.cli

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children = runpy.run_path(str(Path(__file__).with_name("forked_python.py")))["CHILDREN"]
    for name in [*(f"mnnlite.cli.{name}" for name in mnnlite.cli.COMMANDS), "numpy", "numpy.random", *children]:
        importlib.import_module(name)
    listener = socket.socket(fileno=listening)
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    poll.register(alive, select.POLLIN)
    while True:
        ready = [number for number, _ in poll.poll()]
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if alive in ready:
            os._exit(0)
        channel, _ = listener.accept()
        with warnings.catch_warnings():
            # Of threads beside a fork: NumPy's, which look after themselves.
            warnings.simplefilter("ignore", DeprecationWarning)
            if os.fork() == 0:  # who waits for it: the server itself waits for nobody
                if (request := _attend(channel)) is not None:
                    return request
                os._exit(0)
        channel.close()


def _attend(channel: socket.socket) -> str | None:
    """Fork the process, in which this returns its code, and tell the one who asked how it ended; kill it if that one goes."""
    said, theirs, _, _ = socket.recv_fds(channel, MOST, 64)
    request = marshal.loads(said)
    # Both went through one start of Python, which may change them; who calls `run` has looked.
    if request.get("started") and read_at_start(request["env"]) != read_at_start(dict(os.environ)):
        channel.send(b"start")
        return None
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _become(request, theirs)
        return str(request["code"])
    for each in theirs:
        os.close(each)
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    poll.register(channel, select.POLLIN)
    while True:
        ready = [number for number, _ in poll.poll()]
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(OSError):
                channel.send(b"%d" % status)
            return None
        if channel.fileno() in ready:
            os.kill(pid, signal.SIGKILL)
            poll.unregister(channel)
        if woken in ready:
            os.read(woken, 64)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """What a process is that was started with these words."""
    import random

    from mnnlite import _starting

    numbers = request["numbers"]
    for number, each in zip(numbers, [fcntl.fcntl(each, fcntl.F_DUPFD, 512) for each in descriptors], strict=True):
        os.dup2(each, number)
    for begin, end in zip([2, *numbers[3:]], [*numbers[3:], 1024], strict=True):
        os.closerange(begin + 1, end)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        usual = {"encoding": before.encoding, "errors": before.errors, "closefd": False}
        stream = open(number, "w" if number else "r", **usual)  # noqa: SIM115  as long as the process
        stream.reconfigure(line_buffering=number == 2)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = request["argv"]
    if request["code"] == COMMAND:
        sys.path[0] = os.getcwd()
        _starting.guard()
    random.seed()
