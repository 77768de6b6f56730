"""Writes a comparison as one HTML file: a strip of operators coloured by their difference, and the numbers below."""

from __future__ import annotations

import html
import math
from pathlib import Path
from typing import TYPE_CHECKING

from mnnlite.files import atomic_write

if TYPE_CHECKING:
    import os

    from mnnlite.observe.comparison import CaseResult, Comparison, Deviation

__all__ = ["write_report"]

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}code{font:13px ui-monospace,monospace}
.strip{display:flex;height:3.2em;border:1px solid #999;margin:.4em 0}
.strip span{flex:1 1 0;min-width:0}.strip span:hover{outline:2px solid #000}
.strip .first{outline:2px solid #000;z-index:1}
.good{color:#116611}.bad{color:#b00020}
table{border-collapse:collapse;width:100%}td,th{padding:.15em .6em;border-bottom:1px solid #ddd;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.scale{display:inline-block;width:14em;height:.8em;background:linear-gradient(90deg,hsl(130,45%,82%),hsl(50,90%,65%),hsl(0,75%,50%))}
"""
_LEAST, _MOST = 1e-7, 1.0  # ends of the colour scale, relative difference


def write_report(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Write the report, whole or not at all.

    Parameters
    ----------
    comparison : Comparison
    path : path

    Returns
    -------
    Path

    Raises
    ------
    OutputError
    """
    target = Path(path)
    with atomic_write(target) as made:
        made.write_text(_page(comparison), encoding="utf-8")
    return target


def _page(found: Comparison) -> str:
    first = found.first_deviation
    verdict = '<p class="good">Equal within tolerance.</p>' if found.equal else '<p class="bad">Not equal.</p>'
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>mnnlite compare</title><style>{_STYLE}</style>',
        f"<h1><code>{html.escape(found.a)}</code> against <code>{html.escape(found.b)}</code></h1>",
        verdict,
    ]
    if found.input is not None and not found.input.equal:
        parts.append(f'<p class="bad">Input error: {html.escape(found.input.reason)}</p>')
    if first is not None:
        parts.append(_deviation(first))
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code><td class=n>{each.max_abs:.3g}<td class=n>{each.relative:.2e}"
        f"<td class=n>{each.cosine:.6f}<td>{'ok' if found.outputs_ok[name] else '<b class=bad>off</b>'}"
        for name, each in found.outputs.items()
    )
    parts.append(f"<h2>Outputs</h2><table><tr><th>output<th>max abs<th>relative<th>cosine<th>{rows}</table>")
    parts.append(
        f"<p>Each cell is an operator, in order of execution: {_LEAST:g} <span class=scale></span> {_MOST:g} of the "
        f"tensor's largest value. Tolerance {found.tolerance:g}.</p>"
    )
    parts += [_case(case, first) for case in found.cases]
    return "\n".join(parts) + "\n"


def _deviation(first: Deviation) -> str:
    detail = first.detail.own if first.born_here and first.detail.own is not None else first.detail.difference
    lines = [
        f"<b>First deviating operator: <code>{html.escape(first.op)}</code></b> ({first.type} on {first.backend}), "
        f"input {first.case}: {'born here' if first.born_here else 'inherited'}",
        f"max abs {first.max_abs:.4g}, relative {first.relative:.3g}, cosine {first.cosine:.6f}",
        f"shape {first.detail.shape}, reference <code>{html.escape(first.tensor)}</code> {first.detail.reference_shape}",
        f"worst at {detail.worst}: {_row(detail.around)}, reference {_row(detail.around_reference)}",
        f"not finite: {detail.not_finite}, in the reference {detail.not_finite_reference}",
    ]
    if first.source:
        lines.append(f"implemented in <code>{html.escape(first.source)}</code>")
    if first.unmatched_before:
        lines.append(f"or one of those before it without a partner: {html.escape(', '.join(first.unmatched_before))}")
    return '<p class="bad">' + "<br>".join(lines) + "</p>"


def _row(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.5g}" for value in values)


def _color(relative: float) -> str:
    if not relative > _LEAST:
        return "hsl(130,45%,82%)"
    part = 1.0 if relative >= _MOST else 1 - math.log(relative / _MOST) / math.log(_LEAST / _MOST)
    hue, light = (130 - 160 * part, 82 - 34 * part) if part < 0.5 else (50 - 100 * (part - 0.5), 65 - 30 * (part - 0.5))
    return f"hsl({hue:.0f},{45 + 40 * part:.0f}%,{light:.0f}%)"


def _case(case: CaseResult, first: Deviation | None) -> str:
    cells, rows = [], []
    for number, each in enumerate(case.operators):
        own = each.own.relative if each.own else None
        marks = ' class="first"' if first is not None and first.case == case.name and first.detail is each else ""
        title = f"{number} {each.op} ({each.type}): {each.difference.relative:.2e}"
        title += f", by itself {own:.2e}" if own is not None else ""
        cells.append(
            f'<span{marks} style="background:{_color(each.difference.relative)}" title="{html.escape(title)}"></span>'
        )
        rows.append(
            f"<tr><td class=n>{number}<td><code>{html.escape(each.op)}</code><td>{each.type}<td>{each.backend}"
            f"<td class=n>{each.difference.max_abs:.3g}<td class=n>{each.difference.relative:.2e}"
            f"<td class=n>{'' if own is None else f'{own:.2e}'}<td class=n>{each.difference.cosine:.6f}"
        )
    head = "<tr><th>#<th>operator<th>type<th>backend<th>max abs<th>relative<th>by itself<th>cosine"
    return (
        f"<h2>Input: {html.escape(case.name)}</h2><div class=strip>{''.join(cells)}</div>"
        f"<p>{len(case.operators)} tensors matched, {len(case.unmatched)} without a partner.</p>"
        f"<details><summary>All operators</summary><table>{head}{''.join(rows)}</table></details>"
    )
