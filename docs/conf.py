"""Sphinx: the documentation is built against the installed wheel, with warnings as errors (`make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

import mnnlite

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "mnnlite"
author = "the mnnlite authors"
copyright = author
version = release = mnnlite.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "tables"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
exclude_patterns = ["extensions"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types with shapes, units and ranges
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "code"  # docstrings name things in single backquotes

html_theme = "furo"
html_title = f"mnnlite {release}"
html_copy_source = False
