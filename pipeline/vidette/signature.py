"""What a model file says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """A declared input or output: None is a dimension the file leaves open. Declarations can lie.

    `op` is the operator that an output comes out of (`Softmax`), beneath those that only lay numbers out otherwise;
    empty for inputs.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str  # numpy name: float32, float16, uint8, int32, int64 ...
    op: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model file says of itself, read without any runtime.

    `metadata` are the ONNX metadata properties as text, `sidecar` the YAML beside the file, `ops` the operator types
    of the graph.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    ops: frozenset[str] = frozenset()
    opset: int = 0
