"""Commands of ``mnnlite`` in processes forked from one that has imported the package and loaded nothing: a start of Python and
NumPy is most of what a short command takes. All else is a command's own: descriptors, folder, environment, signals, the end of
the interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

# What the interpreter, libraries and the engine read when they start: where it differs, only a new process will do.
AT_START = re.compile(r"PYTHON|LC_|LANG|LD_|MALLOC|OMP_|OPENBLAS|MNNLITE_(ENGINE|FORCE|HEAP)")


def read_at_start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if AT_START.match(name)}


class Server:
    """The process they are forked from, begun with the first command."""

    def __init__(self) -> None:
        self.env = read_at_start(dict(os.environ))
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        code = (
            f"import runpy; runpy.run_path({__file__!r})['serve']({theirs.fileno()}); "
            "from mnnlite.cli import program; program()"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], pass_fds=[theirs.fileno()], cwd="/", stdin=subprocess.DEVNULL
            )

    def run(
        self, words: list[str], stdin: bytes, cwd: str, env: dict[str, str], timeout: float
    ) -> tuple[int, bytes, bytes]:
        """The exit code as `subprocess` has it, and what was written to standard output and standard error."""
        (in_read, in_write), (out_read, out_write), (err_read, err_write), (end_read, end_write) = (
            os.pipe() for _ in range(4)
        )
        theirs = [in_read, out_write, err_write, end_write]
        request = json.dumps({"words": words, "cwd": cwd, "env": env}).encode("utf-8", "surrogateescape")
        try:
            with self._lock:
                socket.send_fds(self._channel, [request], theirs)
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
        with os.fdopen(end_read) as end:
            pid = int(end.readline())
            late = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
            late.start()
            status = end.readline()
            late.cancel()
        for thread in threads:
            thread.join()
        code = os.waitstatus_to_exitcode(int(status))
        if late.finished.is_set() and code == -signal.SIGKILL:
            raise subprocess.TimeoutExpired(words, timeout, read["out"], read["err"])
        return code, read["out"], read["err"]

    def close(self) -> None:
        self._channel.close()
        self._process.wait(30)


_server: Server | None = None


def server() -> Server:
    global _server
    if _server is None:
        _server = Server()
    return _server


def close() -> None:
    """End the server, if there is one. The next command begins another."""
    global _server
    if _server is not None:
        _server.close()
        _server = None


# ---- in the server


def serve(descriptor: int) -> None:
    """Returns in each command's process, which is ready to be the program then."""
    import importlib
    import warnings

    import mnnlite.cli

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in mnnlite.cli.COMMANDS:
        importlib.import_module(f"mnnlite.cli.{name}")
    channel = socket.socket(fileno=descriptor)
    while True:
        request, theirs, _, _ = socket.recv_fds(channel, 1 << 18, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not request:
            os._exit(0)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of threads beside a fork: NumPy's, which look after themselves
            waiting = os.fork() == 0
        if waiting:  # for the command: the server itself waits for nobody
            pid = os.fork()
            if pid == 0:
                _become(json.loads(request.decode("utf-8", "surrogateescape")), theirs[:3])
                return
            for each in theirs[:3]:
                os.close(each)
            os.write(theirs[3], f"{pid}\n".encode())
            _, status = os.waitpid(pid, 0)
            os.write(theirs[3], f"{status}\n".encode())
            os._exit(0)
        for each in theirs:
            os.close(each)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """What a process is that was started with these words."""
    import random

    from mnnlite import _starting

    for number, each in enumerate(streams):
        os.dup2(each, number)
    os.closerange(3, 1024)
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
    sys.path[0] = os.getcwd()
    sys.argv = ["mnnlite", *request["words"]]
    _starting.guard()
    random.seed()
