"""What a server tells of itself and of its models."""

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from vidette.client.errors import HTTPClientError

_D = TypeVar("_D", bound="_Described")


class _Described:
    """A value that was JSON. Unknown fields are ignored: servers grow them."""

    @classmethod
    def from_dict(cls: type[_D], answer: Any) -> _D:
        """Raises HTTPClientError where a field is missing."""
        if not isinstance(answer, dict):
            raise HTTPClientError(f"{cls.__name__}: the server answered no JSON object")
        known = {each.name: answer[each.name] for each in fields(cls) if each.name in answer}  # type: ignore[arg-type]
        try:
            return cls(**known)
        except TypeError:
            raise HTTPClientError(f"{cls.__name__}: fields are missing; the server told {', '.join(known)}") from None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class ServerInfo(_Described):
    """Who answers; `uuid` is that of the running process."""

    name: str
    version: str
    uuid: str


@dataclass(frozen=True)
class ModelDescription(_Described):
    """A loaded model.

    task_type                     `object-detection`, `keypoint-detection`, ...
    batch_size                    that the file fixes, None for any
    input_height, input_width     in pixels, None for any
    """

    model_id: str
    task_type: str
    batch_size: int | str | None = None
    input_height: int | None = None
    input_width: int | None = None


@dataclass(frozen=True)
class RegisteredModels(_Described):
    """The models that a server has loaded."""

    models: list[ModelDescription]

    @classmethod
    def from_dict(cls, answer: Any) -> "RegisteredModels":
        """Raises HTTPClientError where a field is missing."""
        if not isinstance(answer, dict) or not isinstance(answer.get("models"), list):
            raise HTTPClientError("the server's list of models has no `models`")
        return cls([ModelDescription.from_dict(each) for each in answer["models"]])

    def named(self, model_id: str) -> ModelDescription | None:
        """The model of exactly this id."""
        return next((model for model in self.models if model.model_id == model_id), None)
