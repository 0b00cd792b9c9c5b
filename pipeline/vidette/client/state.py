"""What a client has chosen: address, key, dialect, model, configuration. Makes requests of it, sends none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, TypeAlias, TypeVar

from vidette.client.aliases import resolve
from vidette.client.configuration import ApiKeyTransport, HTTPClientMode, InferenceConfiguration
from vidette.client.errors import ModelNotSelectedError, WrongClientModeError
from vidette.remote.requests import HOSTED, NOTHING, Fields, Place, Request
from vidette.urls import redact

_S = TypeVar("_S", bound="ClientState")

KeyPlace: TypeAlias = Literal["query", "body", "header"]
"""Where the key goes unless the configuration says otherwise; `header`: there, if it says so, or nowhere."""

_HOSTED = tuple(f"https://{host}" for host in HOSTED)
"""Addresses that speak API v0; every other one is taken for API v1."""


class ClientState:
    """Everything that changes without a request. The `use_*` methods change it for one `with` block."""

    def __init__(self, api_url: str, api_key: str | None = None) -> None:
        self.api_url = api_url.rstrip("/")
        self._api_key = api_key
        self._configuration = InferenceConfiguration()
        self._mode = HTTPClientMode.V0 if api_url.startswith(_HOSTED) else HTTPClientMode.V1
        self._model: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact(self.api_url)!r}, {self._mode.value})"

    @property
    def inference_configuration(self) -> InferenceConfiguration:
        """What goes along with every request."""
        return self._configuration

    @property
    def client_mode(self) -> HTTPClientMode:
        """Which dialect is spoken."""
        return self._mode

    @property
    def selected_model(self) -> str | None:
        """The model of calls that name none."""
        return self._model

    def configure(self: _S, inference_configuration: InferenceConfiguration) -> _S:
        """Send this configuration from now on."""
        self._configuration = inference_configuration
        return self

    @contextmanager
    def use_configuration(self: _S, inference_configuration: InferenceConfiguration) -> Iterator[_S]:
        """Send this configuration inside the `with` block."""
        before = self._configuration
        try:
            yield self.configure(inference_configuration)
        finally:
            self._configuration = before

    def select_api_v0(self: _S) -> _S:
        """Speak API v0 from now on."""
        self._mode = HTTPClientMode.V0
        return self

    def select_api_v1(self: _S) -> _S:
        """Speak API v1 from now on."""
        self._mode = HTTPClientMode.V1
        return self

    @contextmanager
    def use_api_v0(self: _S) -> Iterator[_S]:
        """Speak API v0 inside the `with` block."""
        before = self._mode
        try:
            yield self.select_api_v0()
        finally:
            self._mode = before

    @contextmanager
    def use_api_v1(self: _S) -> Iterator[_S]:
        """Speak API v1 inside the `with` block."""
        before = self._mode
        try:
            yield self.select_api_v1()
        finally:
            self._mode = before

    def select_model(self: _S, model_id: str) -> _S:
        """Ask this model from now on."""
        self._model = model_id
        return self

    @contextmanager
    def use_model(self: _S, model_id: str) -> Iterator[_S]:
        """Ask this model inside the `with` block."""
        before = self._model
        try:
            yield self.select_model(model_id)
        finally:
            self._model = before

    def deselect_model(self) -> None:
        """Have no model chosen."""
        self._model = None

    @property
    def has_key(self) -> bool:
        """Whether there is a key to send."""
        return self._api_key is not None

    def model_or_selected(self, model_id: str | None) -> str:
        """The id of a named or of the selected model, aliases resolved; raises ModelNotSelectedError."""
        chosen = model_id or self._model
        if chosen is None:
            raise ModelNotSelectedError("no model is named: give model_id, or select_model() before")
        return resolve(chosen)

    def demand_v1(self) -> None:
        """Raises WrongClientModeError in API v0."""
        if self._mode is not HTTPClientMode.V1:
            raise WrongClientModeError("this call needs API v1: select_api_v1()")

    def request(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        key: KeyPlace,
        query: Fields = NOTHING,
        body: Fields | None = None,
    ) -> Request:
        """A request to this server."""
        return self.keyed(Request(method, f"{self.api_url}{path}", query, body=body), key)

    def core_request(self, path: str, body: dict[str, Any]) -> Request:
        """A request for a model that is no project of a user; the dialect only says where the key goes."""
        key: KeyPlace = "query" if self._mode is HTTPClientMode.V0 else "body"
        return self.request("POST", path, key=key, query=self._configuration.to_billing_query_parameters(), body=body)

    def keyed(self, request: Request, place: KeyPlace) -> Request:
        """A request with the key where it belongs."""
        configuration = self._configuration
        transport = configuration.api_key_transport or ApiKeyTransport.LEGACY
        places: list[Place] = [] if transport is ApiKeyTransport.LEGACY else ["bearer"]
        if place != "header" and transport is not ApiKeyTransport.HEADER:
            places.append(place)
            if place == "body" and not self.has_key:  # as `inference_sdk` tells it
                request = replace(request, body={"api_key": None, **(request.body or {})})
        if configuration.service_secret is not None:
            request = replace(request, secrets=(configuration.service_secret,))
        return request.keyed(self._api_key, *places)
