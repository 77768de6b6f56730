"""What verifying a model costs of loading it: the median of many, in one process.

python benchmarks/verify_cost.py MODEL.mnn ... [--runs 30]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import mnnlite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=30)
    args = parser.parse_args()
    shares = []
    print(f"{'model':34} {'operators':>9} {'load ms':>9} {'verify us':>10} {'share':>7}")
    for path in args.models:
        loads, verifies = [], []
        content = path.read_bytes()
        try:
            for _ in range(args.runs):
                begin = time.perf_counter()
                mnnlite.Model(path).close()
                loads.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                operators = mnnlite._core.verify_model(content)
                verifies.append(time.perf_counter() - begin)
        except mnnlite.MnnliteError as error:
            print(f"{path.name:34} left out: {error}")
            continue
        load, verify = statistics.median(loads), statistics.median(verifies)
        shares.append(verify / load)
        print(f"{path.name:34} {operators:9} {1e3 * load:9.2f} {1e6 * verify:10.1f} {verify / load:7.2%}")
    print(f"largest share: {max(shares):.2%}, median: {statistics.median(shares):.2%}")


if __name__ == "__main__":
    main()
