"""Instructions of each operator of a network on an emulated ARM CPU: where the engine spends a run, and on how much arithmetic.

    make arm ARGS="-k nothing"          once
    python benchmarks/arm/operators.py NETWORK.mnn [--cpu cortex-a72] [--precision normal] [--top 12] [--json FILE]

The engine's own package calls back before and after each operator, where the guest makes a mark; what lies between the marks
of nothing is taken off. `per multiply-add` is what tells an operator that the engine is slow at from one that is large: in
float32 a convolution by NEON takes a quarter of an instruction and a part of one.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
from pathlib import Path
from typing import Any

GUEST = "--guest"
MARK = 0x5EED


def guest(model: str, precision: str) -> None:
    """Run twice, the second time between marks; print a line for each operator."""
    import MNN

    syscall = ctypes.CDLL(None).syscall
    interpreter = MNN.Interpreter(model)
    session = interpreter.createSession({"backend": "CPU", "numThread": 1, "precision": precision})
    seen: list[tuple[str, str, Any, float]] = []
    marks = [0]

    def mark() -> None:
        marks[0] += 1
        syscall(MARK, marks[0])

    def begin(tensors: Any, op: Any) -> bool:
        seen.append((op.getName(), op.getType(), [list(each.getShape()) for each in tensors], op.getFlops()))
        mark()
        return True

    def end(tensors: Any, op: Any) -> bool:
        mark()
        seen.append(("", "", [list(each.getShape()) for each in tensors], 0.0))
        return True

    interpreter.runSession(session)
    interpreter.runSessionWithCallBackInfo(session, begin, end)
    seen.clear()
    marks[0] = 0
    interpreter.runSessionWithCallBackInfo(session, begin, end)
    for at in range(0, len(seen) - 1, 2):
        name, kind, inputs, flops = seen[at]
        row = {"name": name, "type": kind, "in": inputs, "out": seen[at + 1][2], "mflops": flops}
        print("\n" + json.dumps({**row, "begin": at + 1, "end": at + 2}), flush=True)


def main() -> int:
    """Print the operators with most instructions, and the sum of each type."""
    sys.path.insert(0, str(Path(__file__).parent))
    from peers import CHECKOUT, Emulator

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cpu", default="cortex-a72")
    parser.add_argument("--precision", default="normal", choices=["normal", "high", "low"])
    parser.add_argument("--top", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "build" / "arm", help="what `make arm` leaves")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    emulator = Emulator(args.folder.resolve())
    words = [str(Path(__file__).resolve()), GUEST, str(args.model.resolve()), args.precision]
    code, said, marks = emulator.run(args.cpu, str(args.folder.resolve() / "site"), words)
    if code:
        print(f"ends with {code}: {said}", file=sys.stderr)
        return 1
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    for row in rows:
        row["instructions"] = marks[row["end"]] - marks[row["begin"]]
    least = min(row["instructions"] for row in rows)  # the way from Python to the engine and back, and hardly any work
    for row in rows:
        row["instructions"] -= least
    total = sum(row["instructions"] for row in rows)
    print(
        f"{args.model.name}, {args.cpu}, precision {args.precision}: {len(rows)} operators, {total / 1e6:.2f} million"
    )
    for row in sorted(rows, key=lambda row: -row["instructions"])[: args.top]:
        print(line(row["name"], row, total) + f"  {row['in'][:1]} -> {row['out'][:1]}")
    kinds: dict[str, dict[str, float]] = {}
    for row in rows:
        kind = kinds.setdefault(row["type"], {"instructions": 0, "mflops": 0, "count": 0})
        for key in ("instructions", "mflops"):
            kind[key] += row[key]
        kind["count"] += 1
    print("by type:")
    for name, kind in sorted(kinds.items(), key=lambda item: -item[1]["instructions"]):
        print(line(f"{name} x {kind['count']:.0f}", kind, total))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def line(name: str, row: dict[str, Any], total: float) -> str:
    """Name, instructions, part of the whole, and instructions for a multiply-add."""
    each = row["instructions"] / (row["mflops"] * 1e6) if row["mflops"] > 0.01 else None
    ratio = f"{each:6.2f} per multiply-add" if each is not None else ""
    return f"  {name:44} {row['instructions'] / 1e6:7.3f}  {row['instructions'] / total:6.1%}  {ratio:24}"


if __name__ == "__main__":
    if sys.argv[1:2] == [GUEST]:
        guest(*sys.argv[2:])
    else:
        sys.exit(main())
