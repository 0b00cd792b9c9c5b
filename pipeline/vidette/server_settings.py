"""The `server:` section of a site file: what `vidette serve` listens on, whom it answers, and how much it takes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from vidette.errors import ConfigError
from vidette.units import Duration, Size

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KeyConfig(_Closed):
    """An API key and what it may do. Give the key itself (`${NAME}` takes it from the environment), or its SHA-256."""

    name: str = Field(min_length=1, description="shown in the access log in place of the key")
    key: SecretStr | None = Field(None, description="the key; kept only as a hash")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="the key's SHA-256, as sha256sum prints it")
    scopes: list[Literal["infer", "manage", "stream"]] = Field(
        ["infer"], description="infer: predictions; manage: load and unload models; stream: see, stop and start streams"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "KeyConfig":
        if (self.key is None) == (self.sha256 is None):
            raise ValueError("give either key or sha256")
        if self.key is not None and not self.key.get_secret_value().strip():
            raise ValueError("the key is empty")
        return self

    def secret(self) -> str:
        """The key itself, where it is known."""
        return self.key.get_secret_value().strip() if self.key else ""


class FetchConfig(_Closed):
    """Which URLs of clients the server fetches pictures from."""

    policy: Literal["public", "off", "allow"] = Field(
        "public", description="public: http(s) to public addresses; off: none; allow: only the hosts of `hosts`"
    )
    hosts: list[str] = Field(
        default_factory=list, description="host names or networks such as 10.0.0.0/8 that may be fetched from, private "
        "ones too"
    )  # fmt: skip
    max_size: Size = Field(Size("20MB"), description="larger answers are cut off and refused")
    timeout: Duration = Field(Duration("10s"), description="for the whole fetch, redirects included")


class RateConfig(_Closed):
    """How many requests one key may make in a window. `hub` is Ultralytics HUB's documented 100 calls an hour."""

    requests: int = Field(ge=1, description="requests per window")
    window: Duration = Field(Duration("1h"), description="length of the window")


class LimitsConfig(_Closed):
    """Bounds on what clients can ask for."""

    body: Size = Field(Size("50MB"), description="largest request; a video counts as `video`")
    bodies: Size = Field(Size("500MB"), description="bodies of all requests under way together; beyond that 503")
    pixels: int = Field(64_000_000, ge=1, description="largest picture, in pixels, seen before it is unpacked")
    parts: int = Field(16, ge=1, description="parts of one multipart form")
    pictures: int = Field(64, ge=1, description="pictures in one request")
    waiting: int = Field(64, ge=1, description="pictures that may wait for one model; beyond that 503 with Retry-After")
    deadline: Duration = Field(Duration("30s"), description="for one request; beyond that 504")
    slow: Duration = Field(Duration("20s"), description="a client that sends or reads nothing for so long is cut off")
    connections: int = Field(1000, ge=1, description="open connections; beyond that those without a request are closed")
    video: Size = Field(Size("100MB"), description="largest video of a request")
    video_time: Duration = Field(Duration("10min"), description="time that answering one video may take")
    pixels_in_all: int = Field(
        256_000_000, ge=1, description="pixels of all pictures that are unpacked at once, 3 bytes each; beyond it 503"
    )
    video_frames: int = Field(10_000, ge=1, description="frames of a video that are answered")


class TlsConfig(_Closed):
    """Serve https with this certificate."""

    certificate: str = Field(description="a PEM file, with its chain")
    key: str = Field(description="the private key, a PEM file")


def _rate(value: Any) -> Any:
    return {"requests": 100, "window": "1h"} if value == "hub" else value


class ServerConfig(_Closed):
    """How `vidette serve` answers clients of Roboflow's and Ultralytics' APIs."""

    host: str = Field("127.0.0.1", description="address to listen on; beyond loopback needs keys, or auth: none")
    port: int = Field(9001, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    auth: Literal["keys", "none"] = Field("keys", description="none: answers everybody, also beyond loopback")
    keys: list[KeyConfig] = Field(default_factory=list, description="who may ask; without any, only this machine may")
    models_folder: str | None = Field(None, description="every ONNX file in it is a model: a/b.onnx is the model a/b")
    aliases: dict[str, str] = Field(default_factory=dict, description="further names of models: name -> id")
    hub_models: dict[str, str] = Field(default_factory=dict, description="Ultralytics HUB ids of models: id -> model")
    preload: list[str] | Literal["all"] = Field("all", description="models to load before the server is ready")
    pinned: list[str] = Field(default_factory=list, description="models that are never unloaded to make room")
    memory: Size | None = Field(
        None,
        description="budget of loaded models, each counted by what the process grew by when it was loaded: idle ones "
        "are unloaded beyond it; the process itself takes 300 to 400 MB besides",
    )
    exact: bool = Field(False, description="decode large JPEGs in full instead of at a reduced scale")
    fetch: FetchConfig = Field(default_factory=lambda: FetchConfig.model_validate({}), description="pictures by URL")
    limits: LimitsConfig = Field(
        default_factory=lambda: LimitsConfig.model_validate({}), description="bounds on requests"
    )
    rate: Annotated[RateConfig | None, BeforeValidator(_rate)] = Field(
        None, description="requests per key and window, answered 429 beyond; `hub` for 100 an hour"
    )
    cors: list[str] = Field(
        ["*"], description="web pages that may ask: origins, or * (without keys: only for predictions)"
    )
    access_log: str | None = Field(None, description="a file for one line per request, or - for stderr")
    tls: TlsConfig | None = Field(None, description="serve https")


def refuse_open_door(config: ServerConfig) -> None:
    """Raise ConfigError when everybody in the network could ask and nobody said so."""
    if config.host not in LOOPBACK and not config.keys and config.auth != "none":
        raise ConfigError(
            f"server: host {config.host} answers the whole network without keys: add `keys:`, or write `auth: none`"
        )
