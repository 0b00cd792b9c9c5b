"""PicoDet exported without its post-processing: per stride a table of scores and one of distances.

https://github.com/PaddlePaddle/PaddleDetection (configs/picodet; deploy/python/picodet_postprocess.py): strides 8, 16,
32, 64, points in the middle of cells, four distributions of 8 numbers, suppression at 0.5 within classes. Input RGB,
ImageNet's mean and deviation, stretched. Class names in metadata `character`, a name per line.
"""

from dataclasses import replace

from vidette.families import reading
from vidette.families.base import Recognised, Thresholds
from vidette.families.nanodet import Tables
from vidette.signature import Signature


class PicoDet:
    """By shape: four pairs of tables, whose rows are the cells of the grids where the input's size is fixed."""

    name = "picodet"

    def recognise(self, signature: Signature) -> Recognised | None:
        """See `Family`. A place answers with its best class; the published code asks each class alone."""
        preprocess = reading.picture_input(signature)
        if preprocess is None:
            return None
        claim = Tables.of(signature, preprocess, reading.STRIDES_P6, clip=False)
        if claim is None:
            return None
        tables, why = claim
        preprocess = replace(reading.normalised(preprocess, *reading.IMAGENET), resize="stretch")
        defaults = Thresholds(confidence=0.4, iou=0.5)
        return Recognised(self.name, "detection", tables.labels, preprocess, tables, why, defaults)
