"""The road pack: scenes from a seed with exact labels, and small networks that were trained on them."""
