"""What the families of classes share: which output holds them, and what its numbers still need to be scores."""

from collections.abc import Sequence
from typing import Literal

from vidette.errors import DecodeError, ModelError
from vidette.sidecar import where
from vidette.signature import Signature, Tensor

Activation = Literal["none", "softmax", "sigmoid"]

_ENDS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_ROUNDING = 1e-3  # how far half precision may carry a score beyond 0..1


def told_output(signature: Signature, preferred: Sequence[str] = ()) -> int | None:
    """The place of the one output there is, of the one that the sidecar names, or of one with a preferred name.

    None where that leaves a choice. Raises ModelError when the sidecar names one that there is not.
    """
    names = [output.name for output in signature.outputs]
    wanted = signature.sidecar.get("output")
    if wanted is not None:
        if wanted not in names:
            raise ModelError(f"{where(signature.sidecar, 'output')}: {wanted} is none of {', '.join(names)}")
        return names.index(wanted)
    if len(names) == 1:
        return 0
    return next((names.index(name) for name in preferred if name in names), None)


def ending(output: Tensor) -> str | None:
    """The activation that the graph ends in, `softmax` or `sigmoid`."""
    return _ENDS.get(output.op)


def told_activation(signature: Signature, output: Tensor) -> Activation | None:
    """What the sidecar says. Raises ModelError when the graph does the same already."""
    told: Activation | None = signature.sidecar.get("activation")
    if told is not None and told == ending(output):
        told_where = where(signature.sidecar, "activation")
        raise ModelError(f"{told_where}: the graph ends in {output.op} already: write none")
    return told


def words(activation: Activation) -> str:
    """For messages: where scores come from."""
    return "scores as they come" if activation == "none" else f"{activation} of logits"


def check_scores(low: float, high: float) -> None:
    """Raises DecodeError `range` when what the model or its sidecar calls scores is not within 0..1."""
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise DecodeError(
            "range",
            f"the model's scores reach from {low:.3g} to {high:.3g}, so they are no scores yet: write "
            "`activation: softmax` (or sigmoid) into the sidecar YAML",
        )
