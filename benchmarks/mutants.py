"""What damaged models do: seeded mutants of networks, each loaded and run once, in children that are replaced when they die.

    python benchmarks/mutants.py MODEL.mnn ... [--count 100000] [--seed 1] [--jobs 2] [--trial 200] [--json FILE]

Kinds and their shares are in KINDS. A mutant is refused (an error of ours), wrong (other numbers), the same, crashed
(killed; the engine's frames are named) or hung (more than 20 times the whole network's time and 5 s, of the processor's
time; a minute of the clock's). Children work through many mutants each; a crash is tried again alone, so that an earlier
mutant is not blamed on a later one. Every mutant that crashed or hung, and `--trial` others, is then loaded with a trial,
where none may do either; all others have just been seen to load and run, which is what a trial asks. Last, loads that the
verifier refuses are counted for the memory that they leave.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import json
import logging
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import mnnlite
from mnnlite.proc import process

KINDS = {  # what is changed: its share in percent
    "bit": 18,  # one bit, anywhere
    "byte": 8,  # one byte, anywhere
    "structure": 12,  # one byte that is not a weight
    "operator": 10,  # an operator's type
    "attribute": 8,  # an attribute's type
    "removed": 5,  # a field, by its place in a table's directory
    "index": 10,  # an operator's input or output
    "length": 8,  # a vector's
    "number": 12,  # a field of an attribute
    "element": 5,  # of a short vector: shapes, pads, constants
    "order": 2,  # two operators change places
    "cut": 2,  # the file ends early, or has a hole of zeros
}
WORDS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31, 64, 100, 255, 256, 1000, 4096, 65535, 65536, 1 << 20, (1 << 31) - 1)
MEMORY = 4 << 30  # bytes that a child may map beyond what it starts with
LEAST_SECONDS, TIMES, CLOCK_SECONDS = 5.0, 20, 60
HUNG = (signal.SIGPROF, signal.SIGALRM)


class Layout:
    """Where a model file has what: operators, attributes, vectors. Read by the format's rules alone, without a schema."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.tables: list[int] = []
        self.vectors: dict[int, int] = {}  # where its length is: its length, as far as it may be one
        self.numbers: list[int] = []
        self.entries: list[int] = []  # of directories
        self.types: list[int] = []
        self.attributes: list[int] = []
        self.indices: list[int] = []
        root = self.word(0)
        self.operators = self.follow(self.field(root, 3))
        for at in range(self.operators + 4, self.operators + 4 + 4 * self.word(self.operators), 4):
            operator = self.follow(at)
            self.walk(operator, 0)
            self.attributes += [place] if (place := self.field(operator, 1)) else []
            self.types += [place] if (place := self.field(operator, 5)) else []
            for slot in (0, 4):
                if place := self.field(operator, slot):
                    vector = self.follow(place)
                    self.indices += range(vector + 4, vector + 4 + 4 * self.word(vector), 4)
        self.elements = [
            at for place, length in self.vectors.items() if length <= 16 for at in range(place + 4, place + 4 + 4 * length, 4)
            if at + 4 <= len(content)
        ]  # fmt: skip
        large = np.zeros(len(content), bool)
        for place, length in self.vectors.items():
            if length > 64:
                large[place + 4 : place + 4 + length] = True
        self.structure = np.flatnonzero(~large)

    def word(self, at: int) -> int:
        return int(struct.unpack_from("<I", self.content, at)[0])

    def follow(self, at: int) -> int:
        return at + self.word(at)

    def directory(self, table: int) -> range:
        """Places of a table's entries, empty if it is none."""
        if table % 4 or table + 4 > len(self.content):
            return range(0)
        start = table - struct.unpack_from("<i", self.content, table)[0]
        if not 0 <= start <= len(self.content) - 4 or start % 2:
            return range(0)
        length = struct.unpack_from("<H", self.content, start)[0]
        ok = 4 <= length <= 64 and length % 2 == 0 and start + length <= len(self.content)
        return range(start + 4, start + length, 2) if ok else range(0)

    def field(self, table: int, slot: int) -> int:
        entries = self.directory(table)
        offset = struct.unpack_from("<H", self.content, entries[slot])[0] if slot < len(entries) else 0
        return table + offset if offset else 0

    def walk(self, table: int, depth: int) -> None:
        self.tables.append(table)
        for entry in self.directory(table):
            offset = struct.unpack_from("<H", self.content, entry)[0]
            at = table + offset
            if not offset or at + 4 > len(self.content):
                continue
            self.entries.append(entry)
            self.numbers.append(at)
            target = self.follow(at) if at % 4 == 0 else len(self.content)
            if not at < target <= len(self.content) - 4 or target % 4:
                continue
            if depth < 4 and len(self.directory(target)) and target not in self.tables[-64:]:
                self.walk(target, depth + 1)
            elif 0 < (length := self.word(target)) <= len(self.content) - target - 4:
                self.vectors[target] = length


def mutants(layouts: list[Layout], seed: int, number: int) -> tuple[int, str, bytes]:
    """Give one mutant: which network, which kind, its content. Depends on seed and number alone."""
    rng = random.Random(f"{seed}/{number}")
    which = rng.randrange(len(layouts))
    layout = layouts[which]
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    content = bytearray(layout.content)
    word = rng.choice(WORDS) if rng.random() < 0.8 else rng.getrandbits(32)
    word = word if rng.random() < 0.7 else -word & 0xFFFFFFFF
    if kind == "bit":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == "structure":
        content[int(rng.choice(layout.structure))] = rng.randrange(256)
    elif kind == "operator":
        types = [*range(157), *range(256, 270), *range(299, 308), *range(512, 519), 600, 601, 603, 604, 700]
        struct.pack_into("<I", content, rng.choice(layout.types), rng.choice(types))
    elif kind == "attribute":
        content[rng.choice(layout.attributes)] = rng.randrange(1, 108)
    elif kind == "removed":
        struct.pack_into("<H", content, rng.choice(layout.entries), 0)
    elif kind == "index":
        struct.pack_into("<I", content, rng.choice(layout.indices), rng.randrange(600) if rng.random() < 0.8 else word)
    elif kind == "length":
        place = rng.choice(list(layout.vectors))
        length = layout.vectors[place]
        struct.pack_into(
            "<I", content, place, rng.choice([0, 1, length - 1, length + 1, length // 2, 2 * length, word])
        )
    elif kind == "number":
        place = rng.choice(layout.numbers)
        if rng.random() < 0.3:
            content[place] = word & 255
        else:
            struct.pack_into("<I", content, place, word)
    elif kind == "element":
        struct.pack_into("<I", content, rng.choice(layout.elements), word)
    elif kind == "order":
        count = layout.word(layout.operators)
        a, b = (layout.operators + 4 + 4 * rng.randrange(count) for _ in range(2))
        to_a, to_b = layout.follow(a), layout.follow(b)
        if to_b > a and to_a > b:
            struct.pack_into("<I", content, a, to_b - a)
            struct.pack_into("<I", content, b, to_a - b)
    elif rng.random() < 0.5:
        del content[rng.randrange(len(content)) :]
    else:
        start, length = rng.randrange(len(content)), rng.choice([4, 64, 512, 4096])
        content[start : start + length] = bytes(len(content[start : start + length]))
    return which, kind, bytes(content)


def run_once(content: bytes, trial: float = 0) -> dict[str, np.ndarray]:
    """Load and run on seeded values."""
    with mnnlite.Model(content, trial=trial or False) as model:
        rng = np.random.default_rng(0)
        values = {name: rng.random(info.shape, np.float32).astype(info.dtype) for name, info in model.inputs.items()}
        return model.run(dict(list(values.items())[:8]))


def same(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
    return set(got) == set(wanted) and all(np.array_equal(got[name], wanted[name], equal_nan=True) for name in wanted)


@dataclass
class Network:
    """A whole network: what its mutants are compared with."""

    layout: Layout
    wanted: dict[str, np.ndarray]
    seconds: float


@dataclass
class Counts:
    """What became of mutants, by kind."""

    ends: dict[str, collections.Counter[str]] = field(
        default_factory=lambda: collections.defaultdict(collections.Counter)
    )
    sites: collections.Counter[str] = field(default_factory=collections.Counter)
    bad: list[int] = field(default_factory=list)  # numbers of mutants that crashed or hung


def work(networks: list[Network], seed: int, numbers: range, out: int, sites: int) -> None:
    """Be a child: one line a mutant, its number before and its end after."""
    helper = ctypes.CDLL(str(crash_helper()))
    helper.watch_crashes(sites)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + _mapped(), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    layouts = [each.layout for each in networks]
    for number in HUNG:
        signal.signal(number, signal.SIG_DFL)
    for number in numbers:
        which, kind, content = mutants(layouts, seed, number)
        os.write(out, f"{number} {kind} ".encode())
        signal.setitimer(signal.ITIMER_PROF, max(LEAST_SECONDS, TIMES * networks[which].seconds))
        signal.alarm(CLOCK_SECONDS)
        try:
            end = "same" if same(run_once(content), networks[which].wanted) else "wrong"
        except (mnnlite.MnnliteError, MemoryError):
            end = "refused"
        except (ValueError, TypeError) as error:  # an input that NumPy cannot make: the network was accepted
            end = "wrong" if "shape" in str(error) or "array" in str(error) else f"foreign:{type(error).__name__}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        os.write(out, f"{end}\n".encode())


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def crash_helper() -> Path:
    """The library of crash_site.cpp, built once."""
    library = Path(tempfile.gettempdir()) / f"crash_site_{os.getuid()}.so"
    source = Path(__file__).with_name("crash_site.cpp")
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["c++", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


class Child:
    """A process that works through a part of the mutants."""

    def __init__(self, networks: list[Network], seed: int, numbers: range) -> None:
        self.numbers = numbers
        self.reader, writer = os.pipe()
        self.sites, sites = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader), os.close(self.sites)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                work(networks, seed, numbers, writer, sites)
            finally:
                os._exit(0)
        os.close(writer), os.close(sites)

    def finish(self, counts: Counts) -> tuple[int, str, str, str] | None:
        """Read what it says to its end; the mutant that it died of: number, kind, end, site."""
        text, sites = read_all(self.reader), read_all(self.sites).split("\n")[0]
        _, status = os.waitpid(self.pid, 0)
        lines = text.split("\n")
        for line in lines[:-1]:
            _, kind, end = line.split(" ")
            counts.ends[kind][end] += 1
        if not lines[-1].strip():
            return None
        number, kind = lines[-1].split(" ")[:2]
        hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) in HUNG
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return int(number), kind, "hung" if hung else "crashed", sites or f"signal {killed}"


def read_all(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as file:
        return file.read().decode(errors="replace")


def go_through(networks: list[Network], seed: int, count: int, first: int, jobs: int) -> Counts:
    """Run mutants `first` to `first + count`, `jobs` children at a time."""
    counts = Counts()
    part = max(1, min(1000, count // (4 * jobs) or 1))
    waiting = collections.deque(range(at, min(at + part, first + count)) for at in range(first, first + count, part))
    running: collections.deque[Child] = collections.deque()
    begin = time.monotonic()
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(Child(networks, seed, waiting.popleft()))
        child = running.popleft()
        died = child.finish(counts)
        if died is not None:
            number, kind, end, site = died
            alone = Counts()
            again = Child(networks, seed, range(number, number + 1)).finish(alone)
            if again is None:
                site = f"not alone: {site}"
            else:
                end, site = again[2], again[3]
            counts.ends[kind][end] += 1
            counts.sites[f"{end} {site}"] += 1
            counts.bad.append(number)
            if number + 1 < child.numbers.stop:
                waiting.appendleft(range(number + 1, child.numbers.stop))
        done = sum(sum(each.values()) for each in counts.ends.values())
        print(f"\r{done} of {count}, {time.monotonic() - begin:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    return counts


def load_networks(paths: list[Path]) -> Iterator[tuple[Path, Network]]:
    for path in paths:
        content = path.read_bytes()
        try:
            run_once(content)
            begin = time.perf_counter()
            wanted = run_once(content)
        except mnnlite.MnnliteError as error:
            print(f"left out: {path.name}: {error}", file=sys.stderr)
            continue
        yield path, Network(Layout(content), wanted, time.perf_counter() - begin)


def try_all(networks: list[Network], seed: int, numbers: list[int]) -> collections.Counter[str]:
    """Load mutants with a trial, here: what it refuses never runs in this process."""
    ends: collections.Counter[str] = collections.Counter()
    layouts = [each.layout for each in networks]
    for number in numbers:
        which, _, content = mutants(layouts, seed, number)
        try:
            run_once(content, trial=max(LEAST_SECONDS, TIMES * networks[which].seconds))
            ends["ran"] += 1
        except mnnlite.MnnliteError as error:
            ends["refused by the trial" if error.op == "trial" else "refused"] += 1
    return ends


def leak_of(networks: list[Network], seed: int, tries: int = 1000) -> tuple[int, int]:
    """How many loads the verifier refused, and the anonymous bytes that they left."""
    layouts = [each.layout for each in networks]
    refused: list[bytes] = []
    for number in range(20 * tries):
        _, _, content = mutants(layouts, seed + 1, number)
        try:
            mnnlite._core.verify_model(content)
        except mnnlite.MnnliteError:
            refused.append(content)
            if len(refused) == tries:
                break
    before = 0
    for _ in range(2):  # the first round is what Python and malloc keep
        before = process().anonymous
        for content in refused:
            with contextlib.suppress(mnnlite.MnnliteError):
                mnnlite.Model(content)
    return len(refused), process().anonymous - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant, to run in portions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trial", type=int, default=50)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    logging.disable()
    crash_helper()
    named = dict(load_networks(args.models))
    networks = list(named.values())
    counts = go_through(networks, args.seed, args.count, args.first, args.jobs)
    ends = sorted({end for each in counts.ends.values() for end in each})
    print(f"{len(networks)} networks: {', '.join(path.name for path in named)}")
    print(f"{'kind':10} {'share':>6} {'mutants':>8} " + " ".join(f"{end:>9}" for end in ends))
    for kind, share in KINDS.items():
        row = counts.ends[kind]
        print(f"{kind:10} {share:5}% {sum(row.values()):8} " + " ".join(f"{row[end]:9}" for end in ends))
    total: collections.Counter[str] = sum(counts.ends.values(), collections.Counter())
    print(f"{'all':10} {100:5}% {sum(total.values()):8} " + " ".join(f"{total[end]:9}" for end in ends))
    for site, number in counts.sites.most_common():
        print(f"{number:6} {site}")
    print("numbers:", *counts.bad[:200])
    sample = random.Random(args.seed).sample(range(args.first, args.first + args.count), min(args.trial, args.count))
    tried = try_all(networks, args.seed, [*counts.bad, *sample])
    print(
        f"with a trial, {len(counts.bad)} that crashed or hung and {len(sample)} others: no crash, no hang; {dict(tried)}"
    )
    refused, left = leak_of(networks, args.seed)
    print(f"{refused} loads that the verifier refused left {left / 1024:.0f} KiB")
    if args.json:
        args.json.write_text(json.dumps({"kinds": counts.ends, "sites": counts.sites, "bad": counts.bad, "left": left}))
    return int(total["crashed"] > 20)


if __name__ == "__main__":
    raise SystemExit(main())
