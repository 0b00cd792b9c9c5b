"""Colours, line widths and tags: what all drawings share."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidette.frame import Bgr

_FONT = cv2.FONT_HERSHEY_SIMPLEX  # the one supervision writes with: asked for the size of a text
_LUMA_BGR = (0.114, 0.587, 0.299)  # ITU-R BT.601
_LIGHT = 140  # luma above which black letters are read more easily than white ones


class Pen:
    """supervision's annotators at the line width and text size that fit one size of picture.

    line     width of lines in pixels
    radius   of points in pixels
    """

    def __init__(self, width: int, height: int) -> None:
        import supervision as sv  # 1 s and 100 MB: only for those who draw

        self._size = width, height
        self._new = sv.Detections
        self.line: int = sv.calculate_optimal_line_thickness((width, height))
        self.radius = max(2, round(min(width, height) / 240))
        # below about 500 lines supervision's own scale makes letters that cannot be read any more
        self._scale = max(sv.calculate_optimal_text_scale((width, height)) * 0.8, 0.4)
        self._thickness = max(1, round(self._scale * 1.5))
        self._padding = round(8 * self._scale)
        palette = sv.ColorPalette.DEFAULT
        self._colours: list[tuple[int, int, int]] = [colour.as_bgr() for colour in palette.colors]
        luma = [np.dot(colour, _LUMA_BGR) for colour in self._colours]
        self._boxes: Any = sv.BoxAnnotator(palette, self.line)
        self._tags: Any = sv.LabelAnnotator(
            palette,
            text_color=sv.ColorPalette([sv.Color.BLACK if value > _LIGHT else sv.Color.WHITE for value in luma]),
            text_scale=self._scale,
            text_thickness=self._thickness,
            text_padding=self._padding,
        )

    def colour(self, class_id: int) -> tuple[int, int, int]:
        """Blue, green and red of a class."""
        return self._colours[class_id % len(self._colours)]

    def boxes(self, scene: Bgr, xyxy: npt.NDArray[np.float32], class_id: npt.NDArray[np.int32]) -> None:
        """(n, 4) finite boxes in the colours of their classes."""
        width, height = self._size
        beyond = 2 * self.line  # far enough that no line is seen there, near enough for OpenCV's integers
        xyxy = xyxy.clip(-beyond, [width + beyond, height + beyond] * 2)
        self._boxes.annotate(scene, self._new(xyxy, class_id=class_id.astype(int)))

    def tags(
        self, scene: Bgr, places: npt.NDArray[np.float32], class_id: npt.NDArray[np.int32], texts: Sequence[str]
    ) -> None:
        """Texts on the colours of their classes, standing on (n, 2) points, moved into the picture as far as they fit.

        supervision's smart_position also untangles them, for 3 ms with 10 objects in a crowd and 60 ms with 100.
        """
        width, height = self._size
        wide, high = np.array([cv2.getTextSize(text, _FONT, self._scale, self._thickness)[0] for text in texts]).T
        left = np.minimum(places[:, 0], width - wide - 2 * self._padding).clip(min=0)
        bottom = np.maximum(np.minimum(places[:, 1], height), high + 2 * self._padding)
        anchors = np.column_stack([left, bottom, left, bottom]).astype(np.float32)
        self._tags.annotate(scene, self._new(anchors, class_id=class_id.astype(int)), labels=list(texts))

    def list(self, scene: Bgr, class_id: npt.NDArray[np.int32], texts: Sequence[str]) -> None:
        """Texts one below the other from the top left corner; says how many did not fit."""
        high = cv2.getTextSize("0", _FONT, self._scale, self._thickness)[0][1] + 2 * self._padding
        room = max(1, self._size[1] // high)
        if len(texts) > room > 1:
            texts = [*texts[: room - 1], f"{len(texts) - room + 1} more"]
        count = min(len(texts), room)
        places = np.column_stack([np.zeros(count), high * np.arange(1, count + 1)]).astype(np.float32)
        self.tags(scene, places, class_id[:count], texts[:count])


pen_for = lru_cache(maxsize=64)(Pen)
"""The pen for pictures of this width and height."""
