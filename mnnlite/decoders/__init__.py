"""Decoder families: how the outputs of a network become results, as frozen data.

There is one class per family of heads, and none per network. The field of each option describes it. Constructors and
pipeline files are checked by that description; ``mnnlite inspect --decoders`` and the documentation show it.
"""

from mnnlite.decoders.base import Decoder, Raw
from mnnlite.decoders.function import Function
from mnnlite.decoders.geometry import BatchItem, batch_item
from mnnlite.decoders.options import Option
from mnnlite.decoders.plugin import Plugin, get_include
from mnnlite.decoders.registry import HOMES, as_decoder, families, from_dict, options_of
from mnnlite.lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite.decoders.anchor_free import Detr, RtmDet
    from mnnlite.decoders.dense import Segmentation
    from mnnlite.decoders.detection import CenterFace, FastestDet, NanoDet, YoloFastestV2, nms
    from mnnlite.decoders.faces import Mtcnn, RetinaFace, Scrfd, YuNet
    from mnnlite.decoders.heads import Classification, Embedding, Keypoints
    from mnnlite.decoders.lanes import Lanes
    from mnnlite.decoders.maps import Maps
    from mnnlite.decoders.regression import Regression
    from mnnlite.decoders.simcc import SimCC
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

if not TYPE_CHECKING:
    # What a family's options are costs a millisecond to say: found when first asked for.
    __getattr__, __dir__ = lazily(
        __name__,
        {name: f"{__name__}.{home}" for name, home in HOMES.items() if name != "Raw"}
        | {"nms": f"{__name__}.detection"},
    )
