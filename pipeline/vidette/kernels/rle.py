"""COCO's compressed run lengths of a binary picture, column by column.

Counts of zeros and ones in turn, beginning with zeros; from the fourth on each is written as the difference to the one
two before it; a number becomes characters of five bits each, lowest first, plus 48, with bit 32 set when more follow
and the sign carried by the last one (https://github.com/cocodataset/cocoapi, common/maskApi.c).
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]


@kernel
def runs(columns: U8, left: int, top: int, width: int, height: int) -> I64:
    """Run lengths of a width x height picture, column by column, zeros first.

    columns  (w, h) uint8, 0 or 1, C-contiguous: the part of the picture that is not all zeros, transposed; its first
             column is `left` and its first row `top`
    """
    wide, high = columns.shape
    changes = np.empty(wide * (high + 1) + 2, np.int64)
    count = 0
    value = False
    for x in range(wide):
        start = (left + x) * height + top
        if value and high < height:
            changes[count] = start - height + high  # the column before ended set, and the picture goes on below it
            count += 1
            value = False
        for y in range(high):
            if (columns[x, y] != 0) != value:
                value = not value
                changes[count] = start + y
                count += 1
    if value and (left + wide - 1) * height + top + high < width * height:
        changes[count] = (left + wide - 1) * height + top + high
        count += 1
    changes[count] = width * height
    lengths = np.empty(count + 1, np.int64)
    last = 0
    for k in range(count + 1):
        lengths[k] = changes[k] - last
        last = changes[k]
    return lengths


@kernel
def characters(lengths: I64) -> U8:
    """Run lengths as COCO writes them, ASCII."""
    text = np.empty(13 * len(lengths), np.uint8)
    used = 0
    for k in range(len(lengths)):
        number = lengths[k] - lengths[k - 2] if k > 2 else lengths[k]
        more = True
        while more:
            five = number & 31
            number >>= 5
            more = number != -1 if five & 16 else number != 0
            text[used] = (five | 32 if more else five) + 48
            used += 1
    return text[:used].copy()
