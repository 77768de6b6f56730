"""What every kernel and decoder computes, in plain NumPy.

Native code is an optimisation of these definitions; tests hold the two together. Nothing here imports ``_core``.
"""
