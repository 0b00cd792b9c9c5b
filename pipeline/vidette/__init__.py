"""Vidette: cameras and files in, detections out, every frame accounted for."""

__version__ = "0.1.0"
