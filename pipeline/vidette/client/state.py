"""What a client has chosen: address, key, dialect, model, configuration. Makes requests of it, sends none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from vidette.client.aliases import resolve
from vidette.client.configuration import ApiKeyTransport, HTTPClientMode, InferenceConfiguration
from vidette.client.errors import ModelNotSelectedError, WrongClientModeError
from vidette.client.wire import Request
from vidette.urls import redact

_S = TypeVar("_S", bound="ClientState")

HOSTED = (
    *(f"https://{name}.roboflow.com" for name in ("detect", "outline", "classify", "infer", "serverless")),
    *("https://serverless.roboflow.one", "https://serverless.roboflow.eu", "https://serverless.roboflow-eu.one"),
    *("https://asyncinfer.roboflow.com", "https://asyncinfer.roboflow.one"),
)
"""Addresses that speak API v0 (the list of `inference_sdk` 1.8.3); every other one is taken for API v1."""


class ClientState:
    """Everything that changes without a request. The `use_*` methods change it for one `with` block."""

    def __init__(self, api_url: str, api_key: str | None = None) -> None:
        self.api_url = api_url.rstrip("/")
        self._api_key = api_key
        self._configuration = InferenceConfiguration()
        self._mode = HTTPClientMode.V0 if api_url.startswith(HOSTED) else HTTPClientMode.V1
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
        key: Literal["query", "body", "header"] | None,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        text: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Request:
        """A request to this server.

        key    where the key goes unless the configuration says otherwise; `header`: there, if it says so, or nowhere;
               None: nowhere
        """
        transport = self._configuration.api_key_transport or ApiKeyTransport.LEGACY
        headers, query = headers or {}, query or {}
        if key is not None and self.has_key and transport is not ApiKeyTransport.LEGACY:
            headers = {**headers, "authorization": f"Bearer {self._api_key}"}
        if transport is not ApiKeyTransport.HEADER:
            if key == "query" and self.has_key:
                query = {"api_key": self._api_key, **query}
            elif key == "body":
                body = {"api_key": self._api_key, **(body or {})}
        secrets = tuple(filter(None, (self._api_key, self._configuration.service_secret)))
        url = f"{self.api_url}{path}"
        return Request(method, url, query, headers, body, text, secrets=secrets)

    def core_request(self, path: str, body: dict[str, Any]) -> Request:
        """A request for a model that is no project of a user; the dialect only says where the key goes."""
        key: Literal["query", "body"] = "query" if self._mode is HTTPClientMode.V0 else "body"
        return self.request("POST", path, key=key, query=self._configuration.to_billing_query_parameters(), body=body)
