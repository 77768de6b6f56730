"""What decoders find: structured arrays over the native result pools, and methods that convert and draw them.

All coordinates are pixels of the whole frame, x to the right, y down; pixel i covers [i, i+1).
"""

from mnnlite.results.base import Results
from mnnlite.results.classes import Class, Classes
from mnnlite.results.detections import Detection, Detections
from mnnlite.results.embeddings import Embedding, Embeddings
from mnnlite.results.instances import Instance, Instances
from mnnlite.results.keypoints import Keypoints, Skeleton
from mnnlite.results.maps import Map, Maps
from mnnlite.results.masks import Mask, Masks
from mnnlite.results.measurements import Measurement, Measurements
from mnnlite.results.native import KINDS, buffer_of, check_out, from_native
from mnnlite.results.polygons import Polygons, Polylines, Shape
from mnnlite.results.texts import Text, Texts

__all__ = [
    "Results",
    "Classes",
    "Detections",
    "Masks",
    "Polygons",
    "Polylines",
    "Keypoints",
    "Texts",
    "Embeddings",
    "Instances",
    "Maps",
    "Measurements",
    "Class",
    "Detection",
    "Instance",
    "Map",
    "Measurement",
    "Mask",
    "Shape",
    "Skeleton",
    "Text",
    "Embedding",
    "KINDS",
    "buffer_of",
    "check_out",
    "from_native",
]
