"""Workflows, and workflows that a server runs on streams (its "inference pipelines")."""

import json
import os
import time
from typing import Any, Literal, TypeAlias

from vidette.client.answers import workflow_outputs
from vidette.client.errors import HTTPClientError, InvalidParameterError
from vidette.client.inference import Result
from vidette.client.pictures import encoded
from vidette.client.state import ClientState
from vidette.client.wire import Plan, ask, work

BufferFillingStrategy: TypeAlias = Literal[
    "WAIT", "DROP_OLDEST", "ADAPTIVE_DROP_OLDEST", "DROP_LATEST", "ADAPTIVE_DROP_LATEST"
]
BufferConsumptionStrategy: TypeAlias = Literal["LAZY", "EAGER"]


def run_workflow(
    self: ClientState,
    workspace_name: str | None = None,
    workflow_id: str | None = None,
    specification: dict[str, Any] | None = None,
    images: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    excluded_fields: list[str] | None = None,
    use_cache: bool = True,
    enable_profiling: bool = False,
    workflow_version_id: str | None = None,
    disable_sinks: bool = False,
) -> Plan[list[Result]]:
    """Run a saved workflow (`workspace_name` and `workflow_id`) or a `specification`; one result per picture.

    Values of `images` are pictures, lists or nested lists of them. Raises InvalidParameterError, HTTPClientError.
    """
    path = "/workflows/run" if specification is not None else f"/{workspace_name}/workflows/{workflow_id}"
    _one_of_both(workspace_name, workflow_id, specification)
    body = yield from _workflow_body(images, parameters, excluded_fields, use_cache, enable_profiling, disable_sinks)
    return (yield from _run(self, path, body, specification, workflow_version_id))


def infer_from_workflow(
    self: ClientState,
    workspace_name: str | None = None,
    workflow_name: str | None = None,
    specification: dict[str, Any] | None = None,
    images: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    excluded_fields: list[str] | None = None,
    use_cache: bool = True,
    enable_profiling: bool = False,
    workflow_version_id: str | None = None,
    disable_sinks: bool = False,
) -> Plan[list[Result]]:
    """`run_workflow` at the routes that servers had before 2024."""
    path = "/infer/workflows" if specification is not None else f"/infer/workflows/{workspace_name}/{workflow_name}"
    _one_of_both(workspace_name, workflow_name, specification)
    body = yield from _workflow_body(images, parameters, excluded_fields, use_cache, enable_profiling, disable_sinks)
    return (yield from _run(self, path, body, specification, workflow_version_id))


def start_inference_pipeline_with_workflow(
    self: ClientState,
    video_reference: str | int | list[str | int],
    workflow_specification: dict[str, Any] | None = None,
    workspace_name: str | None = None,
    workflow_id: str | None = None,
    image_input_name: str = "image",
    workflows_parameters: dict[str, Any] | None = None,
    workflows_thread_pool_workers: int = 4,
    cancel_thread_pool_tasks_on_exit: bool = True,
    video_metadata_input_name: str = "video_metadata",
    max_fps: float | int | None = None,
    source_buffer_filling_strategy: BufferFillingStrategy | None = "DROP_OLDEST",
    source_buffer_consumption_strategy: BufferConsumptionStrategy | None = "EAGER",
    video_source_properties: dict[str, float | str] | None = None,
    batch_collection_timeout: float | None = None,
    results_buffer_size: int = 64,
) -> Plan[Result]:
    """Have the server run a workflow on streams; `context.pipeline_id` of the answer names what was started."""
    _one_of_both(workspace_name, workflow_id, workflow_specification)
    body = {
        "video_configuration": {
            "type": "VideoConfiguration",
            "video_reference": video_reference,
            "max_fps": max_fps,
            "source_buffer_filling_strategy": source_buffer_filling_strategy,
            "source_buffer_consumption_strategy": source_buffer_consumption_strategy,
            "video_source_properties": video_source_properties,
            "batch_collection_timeout": batch_collection_timeout,
        },
        "processing_configuration": {
            "type": "WorkflowConfiguration",
            "workflow_specification": workflow_specification,
            "workspace_name": workspace_name,
            "workflow_id": workflow_id,
            "image_input_name": image_input_name,
            "workflows_parameters": workflows_parameters,
            "workflows_thread_pool_workers": workflows_thread_pool_workers,
            "cancel_thread_pool_tasks_on_exit": cancel_thread_pool_tasks_on_exit,
            "video_metadata_input_name": video_metadata_input_name,
        },
        "sink_configuration": {"type": "MemorySinkConfiguration", "results_buffer_size": results_buffer_size},
    }
    return (yield from ask(self.request("POST", "/inference_pipelines/initialise", key="body", body=body)))


def list_inference_pipelines(self: ClientState) -> Plan[Result]:
    """What runs on the server."""
    return (yield from ask(self.request("GET", "/inference_pipelines/list", key="body", body={})))


def get_inference_pipeline_status(self: ClientState, pipeline_id: str) -> Plan[Result]:
    """How a pipeline is doing."""
    return (yield from ask(self.request("GET", _pipeline(pipeline_id, "status"), key="body", body={})))


def pause_inference_pipeline(self: ClientState, pipeline_id: str) -> Plan[Result]:
    """Have a pipeline wait."""
    return (yield from ask(self.request("POST", _pipeline(pipeline_id, "pause"), key="body", body={})))


def resume_inference_pipeline(self: ClientState, pipeline_id: str) -> Plan[Result]:
    """Have a pipeline go on."""
    return (yield from ask(self.request("POST", _pipeline(pipeline_id, "resume"), key="body", body={})))


def terminate_inference_pipeline(self: ClientState, pipeline_id: str) -> Plan[Result]:
    """End a pipeline."""
    return (yield from ask(self.request("POST", _pipeline(pipeline_id, "terminate"), key="body", body={})))


def consume_inference_pipeline_result(
    self: ClientState, pipeline_id: str, excluded_fields: list[str] | None = None
) -> Plan[Result]:
    """Take the oldest result of a pipeline; `outputs` is empty while there is none. Pictures stay base64 objects."""
    body = {"excluded_fields": excluded_fields or []}
    return (yield from ask(self.request("GET", _pipeline(pipeline_id, "consume"), key="body", body=body)))


def _run(
    self: ClientState,
    path: str,
    body: dict[str, Any],
    specification: dict[str, Any] | None,
    workflow_version_id: str | None,
) -> Plan[list[Result]]:
    configuration = self.inference_configuration
    if specification is not None:
        body["specification"] = specification
    elif workflow_version_id is not None:
        body["workflow_version_id"] = workflow_version_id
    request = self.request("POST", path, key="body", body=body)
    answer = yield from ask(request, retries=configuration.workflow_run_retries_enabled)
    if not isinstance(answer.get("outputs"), list):
        raise HTTPClientError("the server's answer has no list `outputs`")
    if body["enable_profiling"]:
        trace = answer.get("profiler_trace", [])
        yield from work(lambda: _write_trace(configuration.profiling_directory, trace))
    outputs: list[Result] = workflow_outputs(answer["outputs"], configuration.output_visualisation_format)
    return outputs


def _workflow_body(
    images: dict[str, Any] | None,
    parameters: dict[str, Any] | None,
    excluded_fields: list[str] | None,
    use_cache: bool,
    enable_profiling: bool,
    disable_sinks: bool,
) -> Plan[dict[str, Any]]:
    given = images or {}
    ready = iter((yield from encoded(list(given.values()))))

    def shaped(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [shaped(each) for each in value]
        return {"type": "base64", "value": next(ready).base64}

    inputs = {name: shaped(value) for name, value in given.items()}
    body: dict[str, Any] = {
        "use_cache": use_cache,
        "enable_profiling": enable_profiling,
        "inputs": {**inputs, **(parameters or {})},
    }
    if excluded_fields is not None:
        body["excluded_fields"] = excluded_fields
    if disable_sinks:
        body["disable_sinks"] = True
    return body


def _one_of_both(workspace: str | None, workflow: str | None, specification: dict[str, Any] | None) -> None:
    if (workspace is not None and workflow is not None) == (specification is not None):
        raise InvalidParameterError("give either a workspace and the name of a workflow in it, or a specification")


def _pipeline(pipeline_id: str, action: str) -> str:
    if not pipeline_id:
        raise InvalidParameterError("pipeline_id is empty")
    return f"/inference_pipelines/{pipeline_id}/{action}"


def _write_trace(directory: str, trace: Any) -> None:
    """A file per run, as Chrome's about:tracing reads it; the name is the one that `inference_sdk` gives."""
    os.makedirs(directory, exist_ok=True)
    name = time.strftime("workflow_execution_tack_%Y_%m_%d_%H_%M_%S.json")
    with open(os.path.join(directory, name), "w") as file:
        json.dump(trace, file)
