"""From a picture to a model's input slot, and coordinates back.

`letterbox.py` the geometry both ways, `planes.py` what a decoded frame's planes mean, `slot.py` the writing.
"""
