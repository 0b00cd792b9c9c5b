"""Predictions of a project's model for pictures, in both dialects, and the models that a server has loaded."""

from typing import Any, TypeAlias

from vidette.client.aliases import resolve
from vidette.client.answers import as_objects, finished, picture_from_bytes, unwrapped
from vidette.client.configuration import HTTPClientMode, supported
from vidette.client.descriptions import ModelDescription, RegisteredModels, ServerInfo
from vidette.client.errors import APIKeyNotProvided, InvalidModelIdentifier, ModelNotInitializedError
from vidette.client.pictures import Encoded, Pictures, Size, encoded
from vidette.client.state import ClientState
from vidette.client.wire import Answer, Plan, ask, exchange
from vidette.remote.requests import Request, add_model, images, infer_v0, infer_v1, registry

Result: TypeAlias = dict[str, Any]
Results: TypeAlias = Result | list[Result]


def infer(self: ClientState, inference_input: Pictures, model_id: str | None = None) -> Plan[Results]:
    """Predictions for a picture, or a list of them for a list of pictures.

    Coordinates are pixels of the picture as given, `x` and `y` the centre of a box. Raises HTTPClientError.
    """
    by_dialect = infer_from_api_v0 if self.client_mode is HTTPClientMode.V0 else infer_from_api_v1
    return (yield from by_dialect(self, inference_input, model_id))


def infer_from_api_v0(self: ClientState, inference_input: Pictures, model_id: str | None = None) -> Plan[Results]:
    """The same with API v0, whichever is selected: one request per picture, at `/project/version`."""
    project = two_part_model(self, model_id)
    configuration = self.inference_configuration
    limit = configuration.default_max_input_size
    pictures = yield from encoded(inference_input, None if configuration.client_downsizing_disabled else (limit, limit))
    query = configuration.to_legacy_call_parameters()
    answers = yield from exchange(
        [self.keyed(infer_v0(self.api_url, project, query, text=each.base64), "query") for each in pictures],
        retries=True,
        concurrency=configuration.max_concurrent_requests,
    )
    wanted = configuration.output_visualisation_format
    return unwrapped(
        [
            {"visualization": picture_from_bytes(answer.content, wanted)}
            if _is_picture(answer)
            else finished(as_objects(answer.json(), 1)[0], picture.scale, wanted)
            for answer, picture in zip(answers, pictures, strict=True)
        ]
    )


def infer_from_api_v1(self: ClientState, inference_input: Pictures, model_id: str | None = None) -> Plan[Results]:
    """The same with API v1; raises WrongClientModeError if v0 is selected."""
    self.demand_v1()
    model = self.model_or_selected(model_id)
    description = yield from get_model_description(self, model)
    configuration = self.inference_configuration
    task = supported(description.task_type)
    pictures = yield from encoded(inference_input, _largest(self, description))
    fields = configuration.to_api_call_parameters(HTTPClientMode.V1, task)
    batches = in_batches(pictures, configuration.max_batch_size)
    query = configuration.to_billing_query_parameters()
    answers = yield from exchange(
        [
            self.keyed(infer_v1(self.api_url, task, model, [each.base64 for each in batch], fields, query), "body")
            for batch in batches
        ],
        retries=True,
        concurrency=configuration.max_concurrent_requests,
    )
    results = [
        finished(result, picture.scale, configuration.output_visualisation_format)
        for answer, batch in zip(answers, batches, strict=True)
        for result, picture in zip(as_objects(answer.json(), len(batch)), batch, strict=True)
    ]
    return unwrapped(results)


def get_server_info(self: ClientState) -> Plan[ServerInfo]:
    """Who answers."""
    return ServerInfo.from_dict((yield from ask(Request("GET", f"{self.api_url}/info"))))


def get_model_description(self: ClientState, model_id: str, allow_loading: bool = True) -> Plan[ModelDescription]:
    """What the server tells of a model, which it loads if need be; raises ModelNotInitializedError."""
    self.demand_v1()
    name = resolve(model_id)
    found = (yield from list_loaded_models(self)).named(name)
    if found is None and allow_loading:
        found = (yield from load_model(self, name)).named(name)
    if found is None:
        also = "" if name == model_id else f" (asked for as {name})"
        raise ModelNotInitializedError(f"the server has not loaded the model {model_id}{also}")
    return found


def list_loaded_models(self: ClientState) -> Plan[RegisteredModels]:
    """The models that the server has loaded (API v1)."""
    self.demand_v1()
    return RegisteredModels.from_dict((yield from ask(self.keyed(registry(self.api_url), "query"))))


def load_model(self: ClientState, model_id: str, set_as_default: bool = False) -> Plan[RegisteredModels]:
    """Have the server load a model, and select it if `set_as_default` (API v1)."""
    self.demand_v1()
    name = resolve(model_id)
    answer = yield from ask(self.keyed(add_model(self.api_url, name), "body"))
    if set_as_default:
        self.select_model(name)
    return RegisteredModels.from_dict(answer)


def unload_model(self: ClientState, model_id: str) -> Plan[RegisteredModels]:
    """Have the server let go of a model (API v1)."""
    self.demand_v1()
    name = resolve(model_id)
    answer = yield from ask(self.request("POST", "/model/remove", key="header", body={"model_id": name}))
    if self.selected_model in (name, model_id):
        self.deselect_model()
    return RegisteredModels.from_dict(answer)


def unload_all_models(self: ClientState) -> Plan[RegisteredModels]:
    """Have the server let go of all models (API v1)."""
    self.demand_v1()
    answer = yield from ask(self.request("POST", "/model/clear", key="header"))
    self.deselect_model()
    return RegisteredModels.from_dict(answer)


def two_part_model(self: ClientState, model_id: str | None) -> str:
    """The id of a model for API v0; raises InvalidModelIdentifier, APIKeyNotProvided, ModelNotSelectedError."""
    model = self.model_or_selected(model_id)
    if not self.has_key:
        raise APIKeyNotProvided("API v0 asks for a key: InferenceHTTPClient(api_url, api_key)")
    if model.count("/") != 1:
        raise InvalidModelIdentifier(f"{model}: a model of API v0 is named project/version")
    return model


def in_batches(pictures: list[Encoded], most: int) -> list[list[Encoded]]:
    """Cut into lists of at most `most` pictures, of one where `most` is less."""
    step = max(most, 1)
    return [pictures[start : start + step] for start in range(0, len(pictures), step)]


def as_field(pictures: list[Encoded]) -> Any:
    """The value of `image`: an object for one picture, a list for several."""
    return images([picture.base64 for picture in pictures])


def _largest(self: ClientState, description: ModelDescription) -> Size | None:
    configuration = self.inference_configuration
    if configuration.client_downsizing_disabled:
        return None
    if description.input_width is None or description.input_height is None:
        return configuration.default_max_input_size, configuration.default_max_input_size
    return description.input_width, description.input_height


def _is_picture(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith("image/")
