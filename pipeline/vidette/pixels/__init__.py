"""From a picture to a model's input slot, and coordinates back.

`letterbox.py` the geometry both ways, `preprocess.py` what a model wants to see, `planes.py` what a
decoded frame's planes mean, `slot.py` the writing.
"""
