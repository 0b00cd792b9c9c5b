"""The few read-only answers of Roboflow's platform that the `roboflow` package asks for before it predicts.

They are made of the configured models: `dataset/version` is project and version of the one workspace there is.
"""

import time
from collections import defaultdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from vidette.remote.dialects import TASK_TYPES
from vidette.serve.dialects import roboflow_hosted
from vidette.serve.dialects.roboflow_keys import given_keys
from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError
from vidette.serve.registry import Held, hosted_name
from vidette.serve.server import Server

router = APIRouter(tags=["Roboflow platform"])

WORKSPACE = "vidette"
_TOKENS = {
    "object-detection": "vidette", "keypoint-detection": "vidette-pose", "instance-segmentation": "vidette-seg",
    "classification": "vidette-cls", "semantic-segmentation": "vidette-sem",
}  # fmt: skip
"""The client reads the task from a token in the name of the model type."""


def projects(server: Server) -> dict[str, dict[int, Held]]:
    """The versions of each project, aliases included."""
    found: dict[str, dict[int, Held]] = defaultdict(dict)
    registry = server.registry
    for name, id in [*((id, id) for id in registry.held), *server.config.aliases.items()]:
        if id in registry.held:  # an alias may be of a model that has not come yet
            project, version = hosted_name(name)
            found[project].setdefault(version, registry.held[id])
    return found


def _of(server: Server, name: str) -> dict[int, Held]:
    known = projects(server)
    if name not in known:
        raise RequestError(404, f"there is no project {name[:100]!r}; projects here: {', '.join(list(known)[:8])}")
    return known[name]


async def _task(server: Server, held: Held) -> str:
    described = await server.registry.describe(held)
    return TASK_TYPES[described.recognised.task]


@router.get(f"/{WORKSPACE}", summary="The workspace and its projects")
async def workspace(request: Request) -> Response:
    """For `Roboflow(api_key).workspace()`."""
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")
    names = [{"id": f"{WORKSPACE}/{name}", "name": name} for name in projects(server)]
    return json_response({"workspace": {"name": "Vidette", "url": WORKSPACE, "members": 1, "projects": names}})


@router.get(f"/{WORKSPACE}/{{project}}", summary="A project and its versions")
async def project(request: Request, project: str) -> Response:
    """For `workspace.project(name)`; with `image=` it is inference, as for every path of two parts."""
    if "image" in request.query_params:
        return await roboflow_hosted.infer(request, WORKSPACE, project)
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")
    versions = _of(server, project)
    held = next(iter(versions.values()))
    now = int(time.time())
    labels = (await server.registry.describe(held)).recognised.labels
    about: dict[str, Any] = {
        "id": f"{WORKSPACE}/{project}", "name": project, "type": await _task(server, held), "annotation": project,
        "classes": dict.fromkeys(labels, 0), "colors": {}, "created": now, "updated": now, "images": 0,
        "unannotated": 0, "public": False, "splits": {}, "versions": len(versions),
    }  # fmt: skip
    return json_response(
        {"workspace": {"name": "Vidette", "url": WORKSPACE}, "project": about,
         "versions": [_version(project, number, now) for number in sorted(versions)]}
    )  # fmt: skip


def _version(project: str, number: int, now: int) -> dict[str, Any]:
    id = f"{WORKSPACE}/{project}/{number}"
    return {
        "id": id, "name": f"{project} {number}", "created": now, "images": 0, "splits": {}, "exports": [],
        "augmentation": {}, "preprocessing": {}, "model": {"id": f"{project}/{number}", "endpoint": ""},
    }  # fmt: skip


@router.get(f"/{WORKSPACE}/{{project}}/{{version}}", summary="A version of a project")
async def version(request: Request, project: str, version: str) -> Response:
    """For `project.version(number)`."""
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")
    number = _number(_of(server, project), version)
    return json_response({"version": _version(project, number, int(time.time()))})


@router.get(f"/{WORKSPACE}/{{project}}/{{version}}/v2/trainings", summary="The one training of a version")
async def trainings(request: Request, project: str, version: str) -> Response:
    """For `version.models()`."""
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")
    versions = _of(server, project)
    number = _number(versions, version)
    kind = _TOKENS[await _task(server, versions[number])]
    return json_response({"trainings": [{"id": f"{project}-{number}", "status": "finished", "modelType": kind}]})


@router.get(f"/{WORKSPACE}/{{project}}/{{version}}/v2/trainings/get", summary="What a training made")
async def training(request: Request, project: str, version: str) -> Response:
    """For `version.models()`."""
    server: Server = request.app.state.server
    server.keys.check(given_keys(request), "infer")
    versions = _of(server, project)
    number = _number(versions, version)
    kind = _TOKENS[await _task(server, versions[number])]
    return json_response({"modelType": kind, "models": [{"modelId": f"{project}/{number}"}]})


def _number(versions: dict[int, Held], given: str) -> int:
    if not given.isdecimal() or int(given) not in versions:
        raise RequestError(404, f"there is no version {given[:20]!r}; versions here: {sorted(versions)}")
    return int(given)
