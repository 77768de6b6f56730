"""A directive that makes tables of what the project knows once: the options of decoders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from mnnlite import decoders

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _range(option: decoders.Option) -> str:
    """Values that an option takes: words, or a type with its bounds."""
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    if option.low is not None and option.high is not None and option.high < 1e9:
        return f"{option.type}, {option.low:g} to {option.high:g}"
    return option.type


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{json.dumps(value)}`"


def options_table(family: str) -> str:
    """Markdown: every option of a family, from the description that checks constructors and pipeline files."""
    rows = [
        f"| `{option.name}` | {_range(option)} | {_default(option.default)} | {_cell(option.doc)} |"
        for option in decoders.options_of(family)
    ]
    return "\n".join(["| option | values | default | what it does |", "| --- | --- | --- | --- |", *rows])


class DecoderOptions(SphinxDirective):
    """``{decoder-options}``: a section for each family."""

    def run(self) -> list[nodes.Node]:
        parts = []
        for name, spec in decoders.families().items():
            text, _, _ = (spec.__doc__ or "").partition("Notes\n")
            parts.append(f'## {spec.__name__}\n\n`family = "{name}"`\n\n{_as_markdown(text)}\n\n{options_table(name)}')
        return self.parse_text_to_nodes("\n\n".join(parts), allow_section_headings=True)


def _as_markdown(docstring: str) -> str:
    """Docstrings write code in double backquotes or single ones; both are code in Markdown too."""
    return "\n".join(line.strip() for line in docstring.splitlines()).strip()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("decoder-options", DecoderOptions)
    return {"parallel_read_safe": True}
