"""Decoder families: how the outputs of a network become results, as frozen data.

There is one class per family of heads, and none per network. The field of each option describes it. Constructors and
pipeline files are checked by that description; ``mnnlite inspect --decoders`` and the documentation show it.
"""

from mnnlite.decoders.anchor_free import Detr, RtmDet
from mnnlite.decoders.base import Decoder, Raw
from mnnlite.decoders.dense import Lanes, Maps, Segmentation
from mnnlite.decoders.detection import CenterFace, FastestDet, NanoDet, YoloFastestV2, nms
from mnnlite.decoders.faces import Mtcnn, RetinaFace, Scrfd, YuNet
from mnnlite.decoders.function import Function
from mnnlite.decoders.geometry import BatchItem, batch_item
from mnnlite.decoders.heads import Classification, Embedding, Keypoints, Regression, SimCC
from mnnlite.decoders.options import Option
from mnnlite.decoders.plugin import Plugin, get_include
from mnnlite.decoders.registry import as_decoder, families, from_dict, options_of
from mnnlite.decoders.ssd import Ssd
from mnnlite.decoders.texts import Ctc, DbText
from mnnlite.decoders.yolo import Yolo

__all__ = [
    "Decoder",
    "Raw",
    "Classification",
    "FastestDet",
    "Segmentation",
    "Yolo",
    "Ssd",
    "YoloFastestV2",
    "NanoDet",
    "CenterFace",
    "Lanes",
    "Ctc",
    "DbText",
    "Keypoints",
    "Embedding",
    "SimCC",
    "Regression",
    "Maps",
    "Detr",
    "RtmDet",
    "Mtcnn",
    "RetinaFace",
    "Scrfd",
    "YuNet",
    "Plugin",
    "Function",
    "Option",
    "BatchItem",
    "as_decoder",
    "get_include",
    "families",
    "from_dict",
    "nms",
    "options_of",
    "batch_item",
]
