"""What happens when one bit of a model file is wrong: seeded flips, each loaded and run in a child process of its own.

    python benchmarks/bit_flips.py MODEL.mnn [--flips 1000] [--seed 1] [--json]

Counts what the flip led to: refused (an error at load or run), crashed (killed by a signal), hung, wrong output (the run
went through with other numbers, NaN included) or the same output (a bit that does not matter for this input). MNN checks
a file's structure but not the indices and sizes inside, so crashes are the engine's; the count says how far it can be
trusted with files from elsewhere.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import os
import signal
import sys
from pathlib import Path

import numpy as np

import mnnlite

SECONDS = 20


def outputs_of(data: bytes) -> dict[str, np.ndarray]:
    with mnnlite.Model(data) as model:
        rng = np.random.default_rng(0)
        return model.run(
            {name: rng.random(info.shape, np.float32).astype(info.dtype) for name, info in model.inputs.items()}
        )


def child(data: bytes, expected: dict[str, np.ndarray]) -> int:
    signal.alarm(SECONDS)
    try:
        got = outputs_of(data)
    except (mnnlite.MnnliteError, MemoryError):
        return 1
    same = set(got) == set(expected) and all(np.array_equal(got[name], expected[name]) for name in expected)
    return 0 if same else 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    logging.disable()
    data = args.model.read_bytes()
    expected = outputs_of(data)
    rng = np.random.default_rng(args.seed)
    counts: collections.Counter[str] = collections.Counter()
    for _ in range(args.flips):
        flipped = bytearray(data)
        position = int(rng.integers(len(data) * 8))
        flipped[position // 8] ^= 1 << position % 8
        pid = os.fork()
        if pid == 0:
            sys.stderr.flush()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os._exit(child(bytes(flipped), expected))
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            counts["hung" if os.WTERMSIG(status) == signal.SIGALRM else "crashed"] += 1
        else:
            counts[{0: "same output", 1: "refused", 2: "wrong output"}.get(os.WEXITSTATUS(status), "crashed")] += 1
    result = {"model": args.model.name, "bytes": len(data), "flips": args.flips, "seed": args.seed, **counts}
    print(json.dumps(result) if args.json else "  ".join(f"{key}: {value}" for key, value in result.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
