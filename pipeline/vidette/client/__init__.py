"""The client side: asks a server of Roboflow's or Ultralytics HUB's API for predictions, Vidette's own included.

>>> from vidette.client import InferenceHTTPClient
>>> client = InferenceHTTPClient("http://localhost:9001")
>>> client.infer("bus.jpg", model_id="coco/3")["predictions"]  # doctest: +SKIP

The names, arguments, defaults and errors of `InferenceHTTPClient` are those of the package `inference_sdk` (compared
with its release 1.8.3): a program changes its import and nothing else. What is different on purpose:

- every method has an `_async` twin, and both tell the server's own message when it refuses;
- an answer is waited for `timeout` seconds, not for ever; connections are kept between calls, `close()` ends them;
- no error text holds the key, `None` is not sent as a key in a URL, and a slash at the end of the URL is dropped;
- when one request of a list fails, those that have not begun are not sent.

Every call is a generator without input or output (`wire.Plan`): it yields requests as plain values, receives answers
as plain values, and returns the result. `transport.py` carries them, blocking or on an event loop.
"""

from typing import TYPE_CHECKING, Any

_HOMES = {  # the others are errors
    "InferenceHTTPClient": "http_client",
    "HubClient": "hub",
    "ApiKeyTransport": "configuration",
    "HTTPClientMode": "configuration",
    "InferenceConfiguration": "configuration",
    "VisualisationResponseFormat": "configuration",
    **dict.fromkeys(("ModelDescription", "RegisteredModels", "ServerInfo"), "descriptions"),
}

__all__ = [
    "APIKeyNotProvided",
    "ApiKeyTransport",
    "EncodingError",
    "FeatureDeprecatedError",
    "HTTPCallErrorError",
    "HTTPClientError",
    "HTTPClientMode",
    "HTTPServerConnectionError",
    "HubClient",
    "InferenceConfiguration",
    "InferenceHTTPClient",
    "InvalidInputFormatError",
    "InvalidModelIdentifier",
    "InvalidParameterError",
    "ModelDescription",
    "ModelNotInitializedError",
    "ModelNotSelectedError",
    "ModelTaskTypeNotSupportedError",
    "RegisteredModels",
    "ServerInfo",
    "VisualisationResponseFormat",
    "WrongClientModeError",
]

if TYPE_CHECKING:
    from vidette.client.configuration import (
        ApiKeyTransport,
        HTTPClientMode,
        InferenceConfiguration,
        VisualisationResponseFormat,
    )
    from vidette.client.descriptions import ModelDescription, RegisteredModels, ServerInfo
    from vidette.client.errors import (
        APIKeyNotProvided,
        EncodingError,
        FeatureDeprecatedError,
        HTTPCallErrorError,
        HTTPClientError,
        HTTPServerConnectionError,
        InvalidInputFormatError,
        InvalidModelIdentifier,
        InvalidParameterError,
        ModelNotInitializedError,
        ModelNotSelectedError,
        ModelTaskTypeNotSupportedError,
        WrongClientModeError,
    )
    from vidette.client.http_client import InferenceHTTPClient
    from vidette.client.hub import HubClient


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'vidette.client' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"vidette.client.{_HOMES.get(name, 'errors')}"), name)
