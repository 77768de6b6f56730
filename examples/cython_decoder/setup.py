"""Builds the decoder against the header of the installed mnnlite."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import mnnlite

setup(
    py_modules=[],
    ext_modules=cythonize([Extension("plate_head", ["plate_head.pyx"], include_dirs=[mnnlite.get_include()])]),
)
