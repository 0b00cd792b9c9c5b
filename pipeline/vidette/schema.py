"""The JSON Schema of site files, with the fields of every registered sink."""

from typing import Any

from vidette.config import Site
from vidette.sink import sink_types


def site_schema() -> dict[str, Any]:
    """JSON Schema 2020-12; editors complete and check site files by it."""
    schema = Site.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    choices = []
    for name, cls in sink_types().items():
        settings = cls.Settings.model_json_schema()
        definitions.update(settings.pop("$defs", {}))
        settings["properties"] = {"type": {"const": name}, **settings.get("properties", {})}
        settings["required"] = ["type", *settings.get("required", [])]
        definitions[f"sink-{name}"] = settings
        choices.append({"$ref": f"#/$defs/sink-{name}"})
    schema["properties"]["sinks"]["items"] = {"oneOf": choices}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Vidette site file"}
