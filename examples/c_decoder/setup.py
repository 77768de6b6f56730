"""Builds the decoder against the header of the installed mnnlite."""

from setuptools import Extension, setup

import mnnlite

include = [mnnlite.get_include()]
setup(
    py_modules=[],
    ext_modules=[
        Extension("plate_head_c", ["plate_head.c"], include_dirs=include, extra_compile_args=["-std=c99"]),
        Extension("plate_head_cpp", ["plate_head.cpp"], include_dirs=include, extra_compile_args=["-std=c++17"]),
    ],
)
