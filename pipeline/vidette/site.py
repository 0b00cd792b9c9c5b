"""Reading a site file: YAML with `${NAME}` from the environment, every mistake with its line and field."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from vidette.config import Site, at_base, make_sink
from vidette.errors import ConfigError
from vidette.job import Job, ModelRequest, SinkRequest
from vidette.server_settings import ServerConfig, refuse_open_door
from vidette.sink import sink_type
from vidette.sources import missing, several
from vidette.urls import redact

_MERGE = "tag:yaml.org,2002:merge"
"""The tag of `<<` (https://yaml.org/type/merge.html)."""

_DEPTH = 32  # a site file needs five levels
_VALUES = 100_000  # aliases of aliases can mean more values than memory holds

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Location = tuple[str | int, ...]


class SiteFile:
    """A parsed file that knows on which line each field stands."""

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._environment = os.environ if environment is None else environment
        self._lines: dict[Location, int] = {}
        self._mistakes: list[str] = []
        self._values = 0
        try:
            text = path.read_text()
        except FileNotFoundError:
            near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], 1)
            raise ConfigError(f"{path}: no such file" + (f"; did you mean {near[0]}?" if near else "")) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from None
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data = self._value(node, ()) if node is not None else {}
        except RecursionError:  # PyYAML composes lists in lists by calling itself
            raise ConfigError(f"{path}: nested too deeply for a site file") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark else str(path)
            raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
        if not isinstance(self.data, dict):
            raise ConfigError(f"{path}:1: a site file holds models:, streams: and sinks:")
        for key in [key for key in self.data if key.startswith("x-")]:
            del self.data[key]  # a place for what is only there to be merged or aliased

    def job(self) -> Job:
        """The job of the file. Raises ConfigError that lists every mistake, one a line."""
        site, sinks = self._checked()
        if not site.streams and site.server is None:
            raise ConfigError(f"{self.where(('streams',))}: is missing")
        return self._job(site, sinks)

    def served(self) -> tuple[ServerConfig, list[ModelRequest], Job]:
        """What `vidette serve` takes: the server, all models, the cameras' job. Raises ConfigError as `job` does."""
        site, sinks = self._checked()
        config = site.server or ServerConfig.model_validate({})
        return self._at_base(config), list(site.requests(self.path.parent).values()), self._job(site, sinks)

    def _at_base(self, config: ServerConfig) -> ServerConfig:
        """Relative paths start from the file's folder."""
        base = self.path.parent
        update: dict[str, Any] = {}
        if config.models_folder is not None:
            update["models_folder"] = str(base / config.models_folder)
        if config.tls is not None:
            paths = {"certificate": str(base / config.tls.certificate), "key": str(base / config.tls.key)}
            update["tls"] = config.tls.model_copy(update=paths)
        if config.access_log not in (None, "-"):
            update["access_log"] = str(base / str(config.access_log))
        return config.model_copy(update=update)

    def _checked(self) -> tuple[Site, list[SinkRequest]]:
        mistakes = list(self._mistakes)
        site: Site | None = None
        try:
            site = Site.model_validate(self.data)
        except ValidationError as error:
            mistakes += self._explain(error, (), Site)
        sinks = self._sinks(mistakes)
        if site is not None:
            self._check_references(site, sinks, mistakes)
        if not mistakes and site is not None:
            return site, sinks
        raise ConfigError("\n".join(mistakes))

    def _job(self, site: Site, sinks: list[SinkRequest]) -> Job:
        try:
            return site.job(self.path.parent, sinks)
        except ConfigError as error:
            raise ConfigError(f"{self.where(('sinks',))}: {error}") from None

    def _sinks(self, mistakes: list[str]) -> list[SinkRequest]:
        sinks: list[SinkRequest] = []
        entries = self.data.get("sinks") or []
        for index, fields in enumerate(entries if isinstance(entries, list) else []):
            place: Location = ("sinks", index)
            if not isinstance(fields, dict):
                continue  # Site has said it
            try:
                sinks.append(make_sink(fields, self.path.parent))
            except ValidationError as error:
                mistakes += self._explain(error, place, sink_type(fields["type"]).Settings)
            except ConfigError as error:
                mistakes.append(f"{self.where(place)}: {error}")
        return sinks

    def _check_references(self, site: Site, sinks: list[SinkRequest], mistakes: list[str]) -> None:
        for id, model in site.models.items():
            try:
                model.request(id, self.path.parent)
            except ConfigError as error:
                mistakes.append(f"{self.where(('models', id, 'path'))}: {error}")
        for id, stream in site.streams.items():
            if stream.model is None and len(site.models) != 1:
                known = ", ".join(site.models) or "none is defined"
                mistakes.append(f"{self.where(('streams', id))}: say which model watches it; models: {known}")
            elif stream.model is not None and stream.model not in site.models:
                hint = _nearest(stream.model, site.models)
                name = redact(stream.model)
                mistakes.append(f"{self.where(('streams', id, 'model'))}: there is no model {name!r}; {hint}")
            url = at_base(stream.url, self.path.parent)
            if stream.url and (problem := missing(url) or several(url)) is not None:
                mistakes.append(f"{self.where(('streams', id, 'url'))}: {problem}")
        for index, sink in enumerate(sinks):
            for id in (sink.streams or frozenset()) - site.streams.keys():
                place = self.where(("sinks", index, "streams"))
                mistakes.append(f"{place}: there is no stream {redact(id)!r}; {_nearest(id, site.streams)}")

        if site.server is not None:
            self._check_server(site, self._at_base(site.server), mistakes)

    def _check_server(self, site: Site, server: ServerConfig, mistakes: list[str]) -> None:
        try:
            refuse_open_door(server)
        except ConfigError as error:
            mistakes.append(f"{self.where(('server', 'host'))}: {str(error).removeprefix('server: ')}")
        known = set(site.models)
        if server.models_folder is not None:
            folder = Path(server.models_folder)
            if not folder.is_dir():
                mistakes.append(
                    f"{self.where(('server', 'models_folder'))}: there is no folder {folder}; make it first"
                )
            known |= {file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.onnx")}
        named: list[tuple[Location, str]] = [(("aliases", name), id) for name, id in server.aliases.items()]
        named += [(("hub_models", name), id) for name, id in server.hub_models.items()]
        named += [(("pinned", index), id) for index, id in enumerate(server.pinned)]
        named += [(("preload", index), id) for index, id in enumerate(server.preload) if server.preload != "all"]
        for place, id in named:
            names = known if place[0] == "aliases" else known | set(server.aliases)
            if id not in names:
                mistakes.append(
                    f"{self.where(('server', *place))}: there is no model {id!r}; {_nearest(id, sorted(names))}"
                )

    def _explain(self, error: ValidationError, prefix: Location, schema: type[BaseModel]) -> list[str]:
        lines = []
        for item in error.errors(include_input=False, include_url=False):
            location = prefix + tuple(part for part in item["loc"] if part != "[key]")
            message = item["msg"].removeprefix("Value error, ")
            if item["type"] == "extra_forbidden":
                fields = _fields_at(schema, item["loc"][:-1])
                message = f"unknown key {redact(str(location[-1]))!r}; {_nearest(str(location[-1]), fields)}"
            elif item["type"] == "missing":
                message = "is missing"
            elif item["type"] in ("model_type", "dict_type"):
                message = "must hold fields, each as name: value"
            lines.append(f"{self.where(location)}: {message}")
        return lines

    def where(self, location: Location) -> str:
        """File, line and field, as every message about a site file begins; the nearest line that is known."""
        known = location
        while known and known not in self._lines:
            known = known[:-1]
        return f"{self.path}:{self._lines.get(known, 1)}: {'.'.join(redact(str(part)) for part in location)}"

    def _value(self, node: yaml.Node, location: Location) -> Any:
        self._lines.setdefault(location, node.start_mark.line + 1)
        self._values += 1
        if len(location) > _DEPTH or self._values > _VALUES:
            raise ConfigError(
                f"{self.path}:{node.start_mark.line + 1}: nested too deeply for a site file, or an alias of itself"
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*location, index)) for index, child in enumerate(node.value)]
        loader = yaml.SafeLoader("")
        if "${" in str(node.value):
            text = _VARIABLE.sub(lambda match: self._variable(match[1], location), node.value)
            if not (isinstance(node, yaml.ScalarNode) and node.style is None):
                return text
            # Unquoted: a number stays a number. PyYAML's stubs leave these two untyped.
            tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
            node = yaml.ScalarNode(tag, text, node.start_mark)
        return loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        """Keys that are merged in come first, so that the mapping's own replace them."""
        data: dict[str, Any] = {}
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                data |= self._merged(value_node, location)
        seen: set[str] = set()
        for key_node, value_node in own:
            key = str(key_node.value)
            place = (*location, key)
            self._lines[place] = key_node.start_mark.line + 1
            if key in seen:
                self._mistakes.append(f"{self.where(place)}: stands twice")
            seen.add(key)
            data[key] = self._value(value_node, place)
        return data

    def _merged(self, node: yaml.Node, location: Location) -> dict[str, Any]:
        """What `<<:` stands for: a mapping, or a list of which the earlier replace the later."""
        merged: dict[str, Any] = {}
        parts = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                merged |= self._value(part, location)
            else:
                self._lines[*location, "<<"] = part.start_mark.line + 1
                self._mistakes.append(
                    f"{self.where((*location, '<<'))}: must name fields, such as *base with base: &base {{...}} above"
                )
        return merged

    def _variable(self, name: str, location: Location) -> str:
        if name not in self._environment:
            near = difflib.get_close_matches(name, self._environment, 1)
            hint = f"; did you mean ${{{near[0]}}}?" if near else f"; set it, for example with export {name}=..."
            self._mistakes.append(f"{self.where(location)}: the environment has no {name}{hint}")
            return ""
        return self._environment[name]


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    if near:
        return f"did you mean {redact(near[0])!r}?"
    return f"known: {', '.join(redact(name) for name in known) or 'none'}"


def _fields_at(schema: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The fields of the model that an error location points into."""
    model: Any = schema
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = field.annotation if field is not None else None
        else:  # a dict[str, Model] or list[Model]: step into its values
            arguments = getattr(model, "__args__", ())
            model = arguments[-1] if arguments else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
