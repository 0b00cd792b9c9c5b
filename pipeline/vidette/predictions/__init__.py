"""What a model can say of one picture."""

from typing import TypeAlias

from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap

Predictions: TypeAlias = Detections | Classification | SemanticMap
"""All have `len()`, `class_id` and `confidence` (n,), `label(index)`, `labels`, `cut` and `transformed(transform)`."""
