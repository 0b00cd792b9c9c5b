"""Pictures by URL: only from where the configuration allows it, checked after resolution and at every redirect."""

from vidette.serve.errors import RequestError
from vidette.server_settings import FetchConfig


class Fetcher:
    """Fetches what clients name by URL."""

    def __init__(self, config: FetchConfig) -> None:
        self._config = config

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL. Raises RequestError 400 that names the option of a refusal."""
        raise RequestError(400, "pictures by URL are off: see `server: fetch:`")
