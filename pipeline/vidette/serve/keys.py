"""API keys: who asks, and what they may do."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vidette.serve.errors import RequestError
from vidette.server_settings import KeyConfig

Scope = Literal["infer", "manage", "stream"]
_ABSENT = ("", "none", "null")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of a key, or `anyone` where none are configured."""

    name: str
    scopes: frozenset[str]


ANYONE = Caller("anyone", frozenset(("infer", "manage", "stream")))


class Keys:
    """The configured keys, as hashes; compared in constant time."""

    def __init__(self, configured: Sequence[KeyConfig]) -> None:
        self._known = [
            (key.sha256 or _hash(key.secret()), Caller(key.name, frozenset(key.scopes))) for key in configured
        ]

    def __bool__(self) -> bool:
        return bool(self._known)

    def check(self, given: Sequence[str | None], scope: Scope) -> Caller:
        """The caller behind the first key that is given, in order of precedence: query, Bearer, x-api-key, body.

        Raises RequestError 401 for a wrong or missing key, 403 where it may not do this.
        """
        if not self._known:
            return ANYONE
        key = next((key for key in given if key is not None and key.strip().lower() not in _ABSENT), None)
        if key is None:
            raise RequestError(401, "an api_key is needed: in the query, as `Authorization: Bearer`, or x-api-key")
        digest = _hash(key.strip())
        found = None
        for known, caller in self._known:
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise RequestError(401, "Unauthorized api_key")
        if scope not in found.scopes:
            raise RequestError(403, f"this api_key may not do this: it lacks the scope {scope}")
        return found


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
