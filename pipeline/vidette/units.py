"""Small values of a site file that read themselves from text and print back to the same text."""

import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class _Unit(float):
    """A number with a unit; `str()` gives the text it was written as."""

    units: ClassVar[dict[str, float]]
    what: ClassVar[str]
    text: str

    def __new__(cls, value: "str | float | _Unit") -> Self:
        if isinstance(value, cls):
            return value
        text = str(value).strip()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text)
        if match is None or match[2] not in cls.units:
            raise ValueError(
                f"{text!r} is not a {cls.what}; write a number and one of {', '.join(filter(None, cls.units))}"
            )
        made = super().__new__(cls, float(match[1]) * cls.units[match[2]])
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def _validate(cls, value: Any) -> Self:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{value!r} is not a {cls.what}; write it like {cls.example()}")
        return cls(value)

    @classmethod
    def example(cls) -> str:
        """A well-formed value for messages and the schema."""
        return next(f"5{unit}" for unit in cls.units if unit)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        units = "|".join(unit for unit in cls.units if unit)
        optional = "?" if "" in cls.units else ""
        return {
            "anyOf": [{"type": "string", "pattern": rf"^\d+(\.\d+)?\s*({units}){optional}$"}, {"type": "number"}],
            "examples": [cls.example()],
        }


class Duration(_Unit):
    """Seconds, written `500ms`, `2s`, `5min`, `1h` or `1d`; a bare 0 is allowed.

    >>> float(Duration("500ms")), str(Duration("500ms"))
    (0.5, '500ms')
    """

    units: ClassVar[dict[str, float]] = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
    what: ClassVar[str] = "duration"

    def __new__(cls, value: "str | float | _Unit") -> Self:
        """From text, or a number that needs no unit. Raises ValueError with what would be right."""
        if str(value).strip() in ("0", "0.0"):
            value = "0s"
        return super().__new__(cls, value)


class Size(_Unit):
    """Bytes, written `64MB`, `2GiB`, or a bare number of bytes."""

    units: ClassVar[dict[str, float]] = {
        "": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
    }  # fmt: skip
    what: ClassVar[str] = "size"

    @classmethod
    def example(cls) -> str:
        """A well-formed value for messages and the schema."""
        return "64MB"
