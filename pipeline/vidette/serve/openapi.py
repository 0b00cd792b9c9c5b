"""The API document: what the routes take and answer."""

from fastapi import FastAPI


def install(app: FastAPI) -> None:
    """Complete the document."""
