"""What a stream's answers are called, by their kind."""

from dataclasses import dataclass
from typing import TypeAlias

from vidette.predictions.classification import Classification
from vidette.predictions.detections import Detections
from vidette.predictions.semantic import SemanticMap

Kind: TypeAlias = type[Detections] | type[Classification] | type[SemanticMap]


@dataclass(frozen=True, slots=True)
class Words:
    """One of what was found, many of them, and the whole in which they are counted."""

    one: str
    many: str
    whole: str = "frame"

    def count(self, number: int) -> str:
        """`3 objects`."""
        return f"{number:,} {self.one if number == 1 else self.many}"


WORDS: dict[Kind, Words] = {
    Detections: Words("object", "objects"),
    Classification: Words("class", "classes", "picture"),
    SemanticMap: Words("class", "classes"),
}
MIXED = Words("answer", "answers")
