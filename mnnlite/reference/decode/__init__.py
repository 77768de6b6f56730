"""What every decoder family computes, one module a family, in plain NumPy.

A family's ``decode`` takes arrays with a leading batch axis and one `frame_box.Item` per slot, and gives the rows in the
order the native decoder writes them.
"""
