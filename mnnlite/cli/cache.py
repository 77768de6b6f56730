"""``mnnlite cache``: what is kept between runs, and where."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mnnlite import cache
from mnnlite.cli.exit_codes import FINE
from mnnlite.cli.output import Output, columns
from mnnlite.proc import MIB

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = (
        "Show or clear what is kept between runs, such as converted networks, what networks cost in memory, which a child "
        "process has measured, and how long they take, by which pipelines of several lanes place them. MNNLITE_CACHE names "
        "another folder; if it is empty, nothing is kept. MNNLITE_CACHE_MIB limits how much is kept."
    )
    parser.add_argument(
        "action", nargs="?", choices=("show", "clear"), default="show", help="show (the default) or clear"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace, output: Output) -> int:
    removed = cache.clear() if args.action == "clear" else None
    found, folder = cache.entries(), cache.folder()
    sizes: Counter[str] = Counter()
    for entry in found:
        sizes[entry.kind] += entry.size
    counts = Counter(entry.kind for entry in found)
    if args.json:
        facts = {
            "folder": None if folder is None else str(folder),
            "limit": cache.limit(),
            "bytes": sum(sizes.values()),
            "kinds": {kind: {"count": counts[kind], "bytes": sizes[kind]} for kind in counts},
        }
        output.json(facts if removed is None else {**facts, "removed": removed})
        return FINE
    if folder is None:
        output.text("nothing is kept: MNNLITE_CACHE is empty, or there is no home")
        return FINE
    if removed is not None:
        output.text(f"{removed} removed")
    output.text(f"{folder}: {sum(sizes.values()) / MIB:.1f} of {cache.limit() / MIB:.0f} MiB")
    rows = [(kind, str(counts[kind]), f"{sizes[kind] / MIB:.2f}") for kind in sorted(counts)]
    if rows:
        output.text(*columns([("kind", "count", "MiB"), *rows], right=(1, 2)))
    return FINE
