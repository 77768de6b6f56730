"""Stands for Python where the package starts a child process: hands it to the server of `forked.py`, waits for it and ends as it
did. Whatever the server does not know how to be is started as it would be without. Imports next to nothing.

    forked_python.py PYTHON ADDRESS [arguments of Python]
"""

import os
import sys

# What the children call: it is imported in the server. `mnnlite.tune_child` asks who its parent is.
CHILDREN = (
    "mnnlite.memory_probe",
    "mnnlite.trial_child",
    "mnnlite.convert_child",
    "mnnlite.quantize_child",
    "mnnlite.conversion.worker",
)


def main(python, address, *words):
    said = b"start"
    if words[0] == "-c" and any(f"from {name} import " in words[1] for name in CHILDREN):
        said = ask(address, words[1], ["-c", *words[2:]])
    if said == b"start":
        os.execv(python, [python, *words])
    code = os.waitstatus_to_exitcode(int(said))
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), -code)
    os._exit(code)


def ask(address, code, argv):
    """Give how the process ended, as `os.wait` says it."""
    import _socket
    import array
    import marshal

    inherited = sorted(int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2 and there(int(name)))
    numbers = [0, 1, 2, *inherited]
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    channel.connect(address)
    request = {
        "code": code,
        "argv": argv,
        "cwd": os.getcwd(),
        "env": dict(os.environ),
        "numbers": numbers,
        "started": True,
    }
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", numbers))
    channel.sendmsg([marshal.dumps(request)], [rights])
    return channel.recv(64)


def there(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
