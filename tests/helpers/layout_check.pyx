# cython: language_level=3
# What Cython makes of mnnlite/decoder.pxd, to compare with the extension's own numbers.
from mnnlite.decoder cimport *

sizes = {
    "mnnlite_tensor": sizeof(mnnlite_tensor),
    "mnnlite_item": sizeof(mnnlite_item),
    "mnnlite_row": sizeof(mnnlite_row),
    "mnnlite_sink": sizeof(mnnlite_sink),
    "mnnlite_needs": sizeof(mnnlite_needs),
    "mnnlite_option": sizeof(mnnlite_option),
    "mnnlite_decoder_v2": sizeof(mnnlite_decoder_v2),
}
constants = {"abi": MNNLITE_DECODER_ABI, "capsule": MNNLITE_DECODER_CAPSULE, "text": MNNLITE_TEXT}
