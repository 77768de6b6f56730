"""Finds out how to use a network from its file, the files beside it, and its tensors.

`describe` reads the descriptions that exporters leave in a file or beside it, and returns a `TaskSpec` with the source of each
part. If there is more than one reading, it lists them and asks.
"""

from mnnlite.lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mnnlite.descriptions.description import Description, Network, Reading
    from mnnlite.descriptions.fits import NOT_SAID, fits
    from mnnlite.descriptions.reader import SelfDescription, carry, describe, embed, network_of

_HOMES = {
    "Description": "mnnlite.descriptions.description",
    "Network": "mnnlite.descriptions.description",
    "Reading": "mnnlite.descriptions.description",
    "NOT_SAID": "mnnlite.descriptions.fits",
    "fits": "mnnlite.descriptions.fits",
    "SelfDescription": "mnnlite.descriptions.reader",
    "carry": "mnnlite.descriptions.reader",
    "describe": "mnnlite.descriptions.reader",
    "embed": "mnnlite.descriptions.reader",
    "network_of": "mnnlite.descriptions.reader",
}

__all__ = [
    "NOT_SAID",
    "Description",
    "Network",
    "Reading",
    "SelfDescription",
    "carry",
    "describe",
    "embed",
    "fits",
    "network_of",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
