"""Where Roboflow's clients put the API key."""

from starlette.requests import Request


def given_keys(request: Request, body_key: str | None = None) -> tuple[str | None, ...]:
    """All forms of a key, in their order of precedence: query, Bearer, x-api-key, body."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return (
        request.query_params.get("api_key"),
        token.strip() if scheme.lower() == "bearer" else None,
        request.headers.get("x-api-key"),
        body_key,
    )
