"""The outlines of a binary crop, along the edges of its samples.

Lines run on the edges between samples, not through their centres as those of `cv2.findContours` do: an outline encloses
exactly the area of its mask, a rectangle has four corners, a single sample is a square. Samples that touch at a corner
belong to one object (8-connected), as in `cv2.findContours`, so holes are 4-connected.

Outlines run along rows and columns by turns. The stretches along rows lie where a row differs from the one above,
which is seen for 64 samples at once (`pack`, `align`, `compare`). Each end of one is joined by a vertical line to the
next end in the same column (`sweep`), so each stretch knows which one follows it, and outlines need only be read off
(`walk`).
"""

import numpy as np
import numpy.typing as npt

from vidette.kernels._jit import kernel

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]

ONE, WORD = np.uint64(1), np.uint64(64)
TOP = np.uint64(63)  # the last sample of a word, which lies left of the next word's first one
FROM, TO, ROW, NEXT, AROUND = 0, 1, 2, 3, 4  # columns of the table of stretches, see `sweep`
END, AREA, PARENT = 0, 1, 2  # rows of the table of outlines, see `trace`
SLACK = 32  # numbers after the last corner that may be read, so that whole vectors can be

# The powers of 2 below 2**64 have different remainders by 67: where the only set bit of a word is.
PLACE = np.zeros(67, np.uint64)
PLACE[[(1 << bit) % 67 for bit in range(64)]] = range(64)


@kernel
def pack(bits: U8, start: int, count: int, packed: U64) -> None:
    """Samples start..start + count as bits, the first one at bit start % 8 of `packed`."""
    octets = packed.view(np.uint8)
    words = bits[: len(bits) // 8 * 8].view(np.uint64)
    first, end = start // 8, start + count
    filled = (end + 7) // 8 - first
    whole = min(filled, len(words) - first)
    for i in range(np.uint64(whole)):
        word = words[np.uint64(first) + i]  # eight bytes of 0 or 1, whose bits move together
        word |= word >> np.uint64(7)
        word |= word >> np.uint64(14)
        word |= word >> np.uint64(28)
        octets[i] = word & np.uint64(255)
    if whole < filled:  # an array whose length is no multiple of eight
        octets[whole] = 0
        for i in range((first + whole) * 8, end):
            octets[whole] |= bits[i] << (i % 8)


@kernel
def align(packed: U64, offset: int, height: int, width: int, rows: U64) -> None:
    """The crop's samples, bits of `packed` from `offset` on, as rows of whole words: right of each row's samples are
    zeros, at least one. A word and a row of zeros come before, a row of zeros behind."""
    pitch, rest = np.uint64(width // 64 + 1), (ONE << np.uint64(width % 64)) - ONE
    at = pitch + ONE
    rows[: int(at)] = 0
    for y in range(height):
        place = np.uint64(offset + y * width)
        first, shift = place // WORD, place % WORD
        for k in range(pitch):
            rows[at + k] = packed[first + k] >> shift | packed[first + k + ONE] << ONE << (TOP - shift)
        at += pitch
        rows[at - ONE] &= rest
    rows[int(at) : int(at + pitch)] = 0


@kernel
def compare(rows: U64, height: int, width: int, changed: U64) -> int:
    """Fill `changed` with the places of words whose samples, or the one left of them, differ from those above; returns
    how many there are. Which ones these are cannot be foretold, so nothing branches on it."""
    pitch = np.uint64(width // 64 + 1)
    count, before = np.uint64(0), np.uint64(0)
    for i in range(ONE + pitch, ONE + np.uint64(height + 2) * pitch):
        differ = rows[i] ^ rows[i - pitch]
        changed[count] = i
        count += np.uint64((differ | before >> TOP) != 0)
        before = differ
    return int(count)


@kernel
def sweep(rows: U64, width: int, changed: U64, count: int, stretches: I32, opened: I32) -> int:
    """Find the horizontal stretches of all outlines, line by line, from left to right; returns how many there are.

    rows, changed  as `align` and `compare` make them; `count` words have changed
    stretches  (S, 5): a stretch leads, with the mask to its right, from one column to another, along the upper edge of
               a row; `NEXT` is the stretch at the other end of the vertical line after it. Where the mask is above and
               both vertical lines go down, as at the top of a hole, `AROUND` is a stretch of the outline left of it
    opened     by columns: the stretch where the vertical line that passes there began
    """
    n, pitch = np.uint64(0), np.uint64(width // 64 + 1)
    inside = False  # of stretch n, which began at an earlier column
    west, gap = np.uint64(0), False  # it leads to the left; the mask is above it and its first vertical line goes down
    for c in range(np.uint64(count)):
        i = changed[c]
        line = (i - ONE) // pitch - ONE
        base = (line + ONE) * pitch + ONE
        a, b = rows[i - pitch], rows[i]
        ups = a ^ (a << ONE | rows[i - pitch - ONE] >> TOP)  # vertical edges above the line
        downs = b ^ (b << ONE | rows[i - ONE] >> TOP)
        turns = (ups ^ downs) | (ups & (a ^ b))  # one of them, or both where samples touch at a corner
        while turns:
            bit = turns & (~turns + ONE)
            turns ^= bit
            x = (i - base) * WORD + PLACE[bit % np.uint64(67)]
            up, down, right = ups & bit != 0, downs & bit != 0, a & bit != 0  # `right`: the sample above, right of x
            upper = lower = n  # the stretches at the ends of the vertical lines above and below
            if inside:
                if up and down:  # one stretch ends, the next one begins; diagonal samples are on one side of both
                    if right:
                        lower = n + ONE
                    else:
                        upper = n + ONE
                stretches[n, ONE - west] = x
                if gap and down and lower == n:
                    left = np.uint64(stretches[n, TO])
                    while left and rows[base + (left - ONE) // WORD] >> (left - ONE) % WORD & ONE:
                        left -= ONE
                    stretches[n, AROUND] = opened[left]
                n += ONE
            inside = not inside or (up and down)
            if inside:
                west, gap = np.uint64(right), right and down
                stretches[n, west], stretches[n, ROW] = x, line
            if up:
                other = np.uint64(opened[x])
                if right:
                    stretches[upper, NEXT] = other
                else:
                    stretches[other, NEXT] = upper
            if down:
                opened[x] = lower
    return int(n)


@kernel
def walk(stretches: I32, found: int, scale_x: float, scale_y: float, xs: F32, ys: F32) -> I64:
    """String the stretches to outlines: fills `xs` and `ys`, returns `rings`, as `trace` does.

    `NEXT` of a stretch that has become part of outline r is ~r.
    """
    rings = np.empty((3, found // 2), np.int64)
    count, used = np.uint64(0), np.uint64(0)
    for s in range(np.uint64(found)):
        if stretches[s, NEXT] < 0:
            continue
        t, start, area = np.uint64(s), used, 0
        while stretches[t, NEXT] >= 0:
            x, to, y = stretches[t, FROM], stretches[t, TO], stretches[t, ROW]
            xs[used], xs[used + ONE] = x * scale_x, to * scale_x
            ys[used] = ys[used + ONE] = y * scale_y
            used += np.uint64(2)
            area += y * (x - to)
            following = np.uint64(stretches[t, NEXT])
            stretches[t, NEXT] = ~np.int64(count)
            t = following
        xs[used], ys[used] = xs[start], ys[start]
        used += ONE
        parent = -1
        if area < 0:
            around = ~stretches[np.uint64(stretches[s, AROUND]), NEXT]
            parent = around if rings[PARENT, around] < 0 else rings[PARENT, around]
        rings[END, count], rings[AREA, count], rings[PARENT, count] = used, area, parent
        count += ONE
    return rings[:, : int(count)]


@kernel
def words_of(height: int, width: int) -> tuple[int, int]:
    """How many words `packed` and `rows` must have for a crop; what is read beyond its samples does not matter."""
    return (7 + height * width) // 64 + width // 64 + 3, (height + 2) * (width // 64 + 1) + 1


@kernel
def trace(
    bits: U8, start: int, height: int, width: int, scale_x: float, scale_y: float,
    packed: U64, rows: U64, changed: U64, opened: I32, stretches: I32,
) -> tuple[F32, F32, I64, I32]:  # fmt: skip
    """All outlines of one crop: (xs, ys, rings, stretches).

    xs, ys  the corners, scaled, outline after outline, each with its first corner once more at its end; those at even
            and the following odd places of an outline have the same y. `SLACK` more numbers may be read
    rings   (3, R) by outline, in the order of their first samples: `END`, where it ends in `xs` and `ys`; `AREA`, the
            enclosed samples, negative for holes; `PARENT`, the outer outline around a hole, -1 for outer ones

    What is in the other arrays does not matter, only their length: `words_of` for `packed` and `rows`, the same as
    `rows` for `changed`, `width` + 1 for `opened`. `stretches` (S, 5) comes back, longer if need be: with room for 64
    in each word that has changed, of which what is not used is never touched.
    """
    pack(bits, start, height * width, packed)
    align(packed, start % 8, height, width, rows)
    count = compare(rows, height, width, changed)
    if 64 * count > len(stretches):
        stretches = np.empty((64 * count, 5), np.int32)
    found = sweep(rows, width, changed, count, stretches, opened)
    xs, ys = np.empty(3 * found + SLACK, np.float32), np.empty(3 * found + SLACK, np.float32)
    return xs, ys, walk(stretches, found, scale_x, scale_y, xs, ys), stretches
