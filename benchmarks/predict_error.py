"""How far `observe.predict` is from the measured peak: a table over model files.

python benchmarks/predict_error.py [--shape input=1x3x224x224] MODEL.mnn ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mnnlite import MnnliteError, observe


def shapes_for(path: Path, words: list[str]) -> dict[str, tuple[int, ...]]:
    """Shapes said as ``[file stem:]input=1x3x224x224``; those of other files are left out."""
    shapes = {}
    for word in words:
        stem, _, rest = word.rpartition(":")
        name, _, dims = rest.partition("=")
        if stem in ("", path.stem):
            shapes[name] = tuple(int(extent) for extent in dims.split("x"))
    return shapes


def main() -> None:
    """Print a Markdown table; one line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--shape", action="append", default=[], metavar="[STEM:]INPUT=1x3x224x224")
    args = parser.parse_args()
    print("| model | predicted MiB | measured MiB | error MiB | error | within 5 % or 0.5 MiB | field's sum MiB |")
    print("| --- | ---: | ---: | ---: | ---: | --- | ---: |")
    good = total = 0
    for path in args.models:
        shapes = shapes_for(path, args.shape)
        try:
            predicted = observe.predict(path, shapes=shapes)  # before anything is measured
            measured = observe.curve(path, shapes=shapes)
        except MnnliteError as error:
            print(f"| {path.stem} | {type(error).__name__}: {str(error)[:80]} |")
            continue
        miss = predicted.peak_mib - measured.peak_mib
        share = miss / measured.peak_mib
        fits = (abs(share) <= 0.05 or abs(miss) <= 0.5) and share >= -0.03
        good, total = good + fits, total + 1
        print(
            f"| {path.stem} | {predicted.peak_mib:.2f} | {measured.peak_mib:.2f} | {miss:+.2f} | {share:+.1%} | "
            f"{'yes' if fits else 'NO'} | {predicted.field_sum_mib:.2f} |"
        )
    print(f"\n{good} of {total} within 5 % or 0.5 MiB and never more than 3 % below")


if __name__ == "__main__":
    main()
