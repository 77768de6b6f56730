"""Maps that the tests of outlines and lanes share."""

import numpy as np

FRAME = (640, 480)


def blobs(shape, seed=0, classes=4, block=3):
    """A class map of blocks, so that there are holes, corners that touch and areas at the border."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, classes, (shape[0] // block + 1, shape[1] // block + 1))
    return np.kron(small, np.ones((block, block), int))[: shape[0], : shape[1]].astype(np.uint8)
