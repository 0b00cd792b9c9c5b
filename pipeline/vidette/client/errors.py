"""What the client raises. The names are those of `inference_sdk.http.errors`; all are `HTTPClientError`."""

from vidette.errors import VidetteError


class HTTPClientError(VidetteError):
    """The root of the client's errors; also what has no class of its own: no answer in time, an answer of no use."""


class HTTPCallErrorError(HTTPClientError):
    """The server refused: the status is 400 or more.

    description    the status and the address, without its query
    status_code    HTTP status
    api_message    what the server said, None if nothing
    """

    def __init__(self, description: str, status_code: int, api_message: str | None) -> None:
        super().__init__(description, status_code, api_message)  # all three, so that it can be pickled
        self.description = description
        self.status_code = status_code
        self.api_message = api_message

    def __repr__(self) -> str:
        told = f"description={self.description!r}, api_message={self.api_message!r}, status_code={self.status_code}"
        return f"{type(self).__name__}({told})"

    def __str__(self) -> str:
        return repr(self)


class HTTPServerConnectionError(HTTPClientError):
    """No connection, or one that broke before the answer was there."""


class InvalidInputFormatError(HTTPClientError):
    """What was given is no picture or video that can be sent."""


class EncodingError(HTTPClientError):
    """A picture cannot be encoded or decoded."""


class InvalidModelIdentifier(HTTPClientError):
    """API v0 has model ids of two parts: project/version."""


class InvalidParameterError(HTTPClientError, ValueError):
    """An argument has a value that means nothing."""


class ModelNotInitializedError(HTTPClientError):
    """The server has not loaded the model, also not when asked to."""


class ModelNotSelectedError(HTTPClientError):
    """No model was named, and none is selected."""


class ModelTaskTypeNotSupportedError(HTTPClientError):
    """API v1 has no route for models of this task."""


class APIKeyNotProvided(HTTPClientError):
    """API v0 asks for a key."""


class WrongClientModeError(HTTPClientError):
    """The call exists in API v1 only."""


class FeatureDeprecatedError(HTTPClientError):
    """The call exists no more."""

    def __init__(
        self,
        feature: str,
        *,
        reason: str | None = None,
        removal_release: str | None = None,
        replacement: str | None = None,
    ) -> None:
        self.feature = feature
        self.reason = reason
        self.removal_release = removal_release
        self.replacement = replacement
        since = f" since {removal_release}" if removal_release else ""
        why = f": {reason}" if reason else ""
        instead = f"; use {replacement}" if replacement else ""
        super().__init__(f"{feature} is gone{since}{why}{instead}")
