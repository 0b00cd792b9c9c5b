"""The same steps for two clients of the same surface: this package's, and `inference_sdk` in an environment of its own.

Run as a program by an interpreter that has `inference_sdk`: `script.py SERVER RECORDER FOLDER GROUP...` prints the
outcome of each step as a line of JSON. Steps of a group that is named like a recording do what its `call` says.
"""

import asyncio
import base64
import dataclasses
import json
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SPECIFICATION = {
    "version": "1.0",
    "inputs": [{"type": "InferenceImage", "name": "image"}],
    "steps": [],
    "outputs": [],
}


class Kit:
    """A client package, a server, and pictures of every form, by URL from `host`, which is told of every step."""

    def __init__(self, package: Any, url: str, host: str, folder: Path) -> None:
        self.package = package
        self.url = url
        self.host = host
        self.folder = folder
        self.jpg, self.png = str(folder / "pictures" / "a.jpg"), str(folder / "pictures" / "b.png")
        self.pil = Image.open(self.jpg).convert("RGB")
        self.array = np.ascontiguousarray(np.asarray(self.pil)[:, :, ::-1])
        self.text = base64.b64encode(Path(self.jpg).read_bytes()).decode()
        self.link = f"{host}/pic.jpg"
        self.clip = f"{host}/clip.mp4"
        self.wide = np.ascontiguousarray(np.tile(self.array, (16, 16, 1)))  # 1536x1024

    def config(self, **fields: Any) -> Any:
        return self.package.InferenceConfiguration(**fields)

    def v1(self, url: str | None = None, key: str | None = "KEY", **fields: Any) -> Any:
        client = self.package.InferenceHTTPClient(url or self.url, key)
        return client.configure(self.config(**fields))

    def v0(self, url: str | None = None, key: str | None = "KEY", **fields: Any) -> Any:
        return self.v1(url, key, **fields).select_api_v0()

    def every_field(self) -> dict[str, Any]:
        return {
            "confidence_threshold": 0.5,
            "keypoint_confidence_threshold": 0.1,
            "format": "image_and_json",
            "mask_decode_mode": "tradeoff",
            "tradeoff_factor": 0.5,
            "max_candidates": 1000,
            "max_detections": 100,
            "iou_threshold": 0.4,
            "stroke_width": 2,
            "count_inference": True,
            "service_secret": "SECRET",
            "disable_preproc_auto_orientation": True,
            "disable_preproc_contrast": True,
            "disable_preproc_grayscale": True,
            "disable_preproc_static_crop": True,
            "class_agnostic_nms": True,
            "class_filter": ["thing", "other"],
            "fix_batch_size": True,
            "include_anomaly_map": False,
            "visualize_predictions": True,
            "visualize_labels": True,
            "disable_active_learning": True,
            "active_learning_target_dataset": "other",
            "source": "cam",
            "source_info": "info",
            "response_mask_format": "rle",
        }


Step = Callable[[Kit], Any]


def _tasks(every: Callable[[Kit], Any], plain: Callable[[Kit], Any] | None) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for task, model in (
        ("object-detection", "det/1"),
        ("keypoint-detection", "pose/1"),
        ("instance-segmentation", "seg/1"),
        ("classification", "cls/1"),
        ("classification", "multi/1"),
        ("semantic-segmentation", "sem/1"),
    ):
        name = f"infer({task}, {model})"
        steps[f"{name} with every field of InferenceConfiguration set"] = lambda kit, m=model: every(kit).infer(
            kit.jpg, m
        )
        if plain is not None:
            steps[f"infer({task}, {model}), default configuration"] = lambda kit, m=model: plain(kit).infer(kit.jpg, m)
    return steps


def _inputs(of: Callable[..., Any], before: str) -> dict[str, Step]:
    return {
        f"{before}infer(path jpg, 'det/1')": lambda kit: of(kit).infer(kit.jpg, "det/1"),
        f"{before}infer(path png, 'det/1')": lambda kit: of(kit).infer(kit.png, "det/1"),
        f"{before}infer(numpy, 'det/1')": lambda kit: of(kit).infer(kit.array, "det/1"),
        f"{before}infer(pil, 'det/1')": lambda kit: of(kit).infer(kit.pil, "det/1"),
        f"{before}infer(url, 'det/1')": lambda kit: of(kit).infer(kit.link, "det/1"),
        f"{before}infer(base64 text, 'det/1')": lambda kit: of(kit).infer(kit.text, "det/1"),
        "infer(path, alias 'yolov8n-640')": lambda kit: of(kit).infer(kit.jpg, "yolov8n-640"),
        "api_key=None: infer(path, 'det/1')": lambda kit: of(kit, key=None).infer(kit.jpg, "det/1"),
        "api_url ends with a slash: infer": lambda kit: of(kit, url=f"{kit.url}/").infer(kit.jpg, "det/1"),
        "api_key_transport='header': infer": lambda kit: of(kit, api_key_transport="header").infer(kit.jpg, "det/1"),
        "api_key_transport='both': infer": lambda kit: of(kit, api_key_transport="both").infer(kit.jpg, "det/1"),
        "client_downsizing_disabled=False, 1600x1200 picture": lambda kit: of(
            kit, client_downsizing_disabled=False
        ).infer(kit.wide, "det/1"),
    }


def _core(of: Callable[..., Any]) -> dict[str, Step]:
    prompts = [{"points": [{"x": 3, "y": 4, "positive": True}]}]
    return {
        "get_clip_image_embeddings(path)": lambda kit: of(kit).get_clip_image_embeddings(kit.jpg),
        "get_clip_image_embeddings([path, path])": lambda kit: of(kit).get_clip_image_embeddings([kit.jpg] * 2),
        "get_clip_image_embeddings([path, path]) max_batch_size=2": lambda kit: of(
            kit, max_batch_size=2
        ).get_clip_image_embeddings([kit.jpg] * 2),
        "get_clip_image_embeddings(path, clip_version='RN50')": lambda kit: of(kit).get_clip_image_embeddings(
            kit.jpg, clip_version="RN50"
        ),
        "get_clip_text_embeddings('some')": lambda kit: of(kit).get_clip_text_embeddings("some"),
        "get_clip_text_embeddings(['some','other'])": lambda kit: of(kit).get_clip_text_embeddings(["some", "other"]),
        "clip_compare(image, ['fox','dog'])": lambda kit: of(kit).clip_compare(kit.jpg, ["fox", "dog"]),
        "clip_compare(text, image)": lambda kit: of(kit).clip_compare(
            "fox", kit.jpg, subject_type="text", prompt_type="image"
        ),
        "clip_compare(text, [image, image])": lambda kit: of(kit).clip_compare(
            "fox", [kit.jpg] * 2, subject_type="text", prompt_type="image"
        ),
        "ocr_image(path)": lambda kit: of(kit).ocr_image(kit.jpg),
        "ocr_image([path, path])": lambda kit: of(kit, max_batch_size=2).ocr_image([kit.jpg] * 2),
        "ocr_image(path, model='trocr')": lambda kit: of(kit).ocr_image(kit.jpg, model="trocr"),
        "ocr_image(path, model='easy_ocr')": lambda kit: of(kit).ocr_image(kit.jpg, model="easy_ocr"),
        "ocr_image(path, model='pp_ocr')": lambda kit: of(kit).ocr_image(kit.jpg, model="pp_ocr"),
        "ocr_image(path, version='v', generate_bounding_boxes=True)": lambda kit: of(kit).ocr_image(
            kit.jpg, version="v", generate_bounding_boxes=True
        ),
        "infer_lmm(path, 'florence-2-base', prompt)": lambda kit: of(kit).infer_lmm(
            kit.jpg, "florence-2-base", "caption"
        ),
        "infer_lmm(..., model_id_in_path=True)": lambda kit: of(kit).infer_lmm(
            kit.jpg, "florence-2-base", "caption", model_id_in_path=True
        ),
        "depth_estimation(path)": lambda kit: of(kit).depth_estimation(kit.jpg),
        "sam2_segment_image(path, prompts)": lambda kit: of(kit).sam2_segment_image(kit.jpg, prompts),
        "sam3_concept_segment(path, prompts)": lambda kit: of(kit).sam3_concept_segment(
            kit.jpg, [{"type": "text", "text": "cat"}]
        ),
        "get_image_embeddings(path, 'resnet18')": lambda kit: of(kit).get_image_embeddings(kit.jpg, "resnet18"),
        "get_perception_encoder_image_embeddings(path)": lambda kit: of(kit).get_perception_encoder_image_embeddings(
            kit.jpg
        ),
        "detect_gazes(path)": lambda kit: of(kit).detect_gazes(kit.jpg),
        "infer_from_yolo_world(path, ['cat'])": lambda kit: of(kit).infer_from_yolo_world(
            kit.jpg, ["cat"], model_version="s", confidence=0.1
        ),
    }


async def _managed(kit: Kit) -> Any:
    client = kit.v1()
    return [
        await client.load_model_async("det/1"),
        await client.get_model_description_async("det/1"),
        await client.unload_model_async("det/1"),
        await client.unload_all_models_async(),
    ]


async def _clip_and_ocr(kit: Kit) -> Any:
    client = kit.v1()
    return [
        await client.get_clip_image_embeddings_async(kit.jpg),
        await client.get_clip_text_embeddings_async(["a", "b"]),
        await client.clip_compare_async(kit.jpg, ["a", "b"]),
        await client.ocr_image_async(kit.jpg),
    ]


def _start(kit: Kit, many: bool) -> Any:
    if not many:
        return kit.v1().start_inference_pipeline_with_workflow("rtsp://camera/1", workspace_name="ws", workflow_id="wf")
    return kit.v1().start_inference_pipeline_with_workflow(
        ["rtsp://camera/1", 0],
        workflow_specification=SPECIFICATION,
        image_input_name="frame",
        workflows_parameters={"p": 1},
        max_fps=5,
        source_buffer_filling_strategy="WAIT",
        source_buffer_consumption_strategy="LAZY",
        video_source_properties={"frame_width": 1920.0},
        batch_collection_timeout=0.5,
        results_buffer_size=8,
    )


def _shown(kit: Kit, mode: str, form: str) -> Any:
    kinds = kit.package.VisualisationResponseFormat
    client = getattr(kit, mode)(output_visualisation_format=kinds(form), visualize_predictions=True, format="image")
    return client.infer(kit.jpg, "det/1")


def _selected(kit: Kit) -> Any:
    client = kit.v1()
    told = []
    with client.use_model("a/1"), client.use_api_v0(), client.use_configuration(kit.config(max_detections=3)) as inner:
        told += [inner.selected_model, inner.client_mode.value, inner.inference_configuration.max_detections]
        inner.infer(kit.jpg)
    return [*told, client.selected_model, client.client_mode.value, client.inference_configuration.max_detections]


def _default(kit: Kit) -> Any:
    client = kit.v1()
    client.load_model("yolov8n-640", set_as_default=True)
    loaded = client.selected_model
    client.unload_model("yolov8n-640")
    return [loaded, client.selected_model]


def _live(of: Callable[..., Any]) -> dict[str, Step]:
    """For a real server with the model tiny/1."""
    return {
        "path": lambda kit: of(kit).infer(kit.jpg, "tiny/1"),
        "png": lambda kit: of(kit).infer(kit.png, "tiny/1"),
        "array": lambda kit: of(kit).infer(kit.array, "tiny/1"),
        "image": lambda kit: of(kit).infer(kit.pil, "tiny/1"),
        "url": lambda kit: of(kit).infer(kit.link, "tiny/1"),
        "text": lambda kit: of(kit).infer(kit.text, "tiny/1"),
        "list": lambda kit: of(kit, max_batch_size=2, max_concurrent_requests=2).infer(
            [kit.jpg, kit.png, kit.array], "tiny/1"
        ),
        "awaited": lambda kit: of(kit).infer_async(kit.jpg, "tiny/1"),
        "awaited list": lambda kit: of(kit, max_batch_size=2).infer_async([kit.jpg, kit.png, kit.array], "tiny/1"),
        "thresholds": lambda kit: of(kit, confidence_threshold=0.7, max_detections=2).infer(kit.png, "tiny/1"),
        "made smaller": lambda kit: of(kit, client_downsizing_disabled=False).infer(kit.wide, "tiny/1"),
        "selected": lambda kit: of(kit).select_model("tiny/1").infer(kit.png),
        "unknown model": lambda kit: of(kit).infer(kit.jpg, "none/9"),
        "no picture": lambda kit: of(kit).infer("AAAA", "tiny/1"),
        "out of range": lambda kit: of(kit, mask_decode_mode="x", confidence_threshold=-1).infer(kit.jpg, "tiny/1"),
        "folder": lambda kit: sorted(
            [Path(name).name, told(pixels), result]
            for name, pixels, result in of(kit).infer_on_stream(str(kit.folder / "pictures"), "tiny/1")
        ),
        "video": lambda kit: [
            [number, told(pixels), len(result["predictions"])]
            for number, pixels, result in of(kit).infer_on_stream(str(kit.folder / "clip.mp4"), "tiny/1")
        ],
    }


GROUPS: dict[str, dict[str, Step]] = {
    "sdk_v0_inputs": {
        **_inputs(Kit.v0, "select_api_v0()."),
        "infer([path]*3) with max_batch_size=2, max_concurrent_requests=3": lambda kit: kit.v0(
            max_batch_size=2, max_concurrent_requests=3
        ).infer([kit.jpg] * 3, "det/1"),
        "format='image' (answer is image/jpeg)": lambda kit: kit.v0(format="image").infer(kit.jpg, "det/1"),
    },
    "sdk_v1_inputs": {
        "get_server_info()": lambda kit: kit.v1().get_server_info(),
        **_inputs(Kit.v1, ""),
        "infer([path, numpy, pil], 'det/1')  # max_batch_size 1": lambda kit: kit.v1().infer(
            [kit.jpg, kit.array, kit.pil], "det/1"
        ),
        "infer([path]*3) with max_batch_size=2": lambda kit: kit.v1(max_batch_size=2).infer([kit.jpg] * 3, "det/1"),
    },
    "sdk_v0_tasks": _tasks(lambda kit: kit.v0(**kit.every_field()), None),
    "sdk_v1_tasks": _tasks(lambda kit: kit.v1(**kit.every_field()), Kit.v1),
    "sdk_core_v0": _core(Kit.v0),
    "sdk_core_v1": _core(Kit.v1),
    "sdk_models": {
        "list_loaded_models()": lambda kit: kit.v1().list_loaded_models(),
        "list_loaded_models() without a key": lambda kit: kit.v1(key=None).list_loaded_models(),
        "get_model_description('det/1')": lambda kit: kit.v1().get_model_description("det/1"),
        "get_model_description('missing/1')": lambda kit: kit.v1().get_model_description("missing/1"),
        "load_model('det/1', set_as_default=True)": lambda kit: kit.v1().load_model("det/1", set_as_default=True),
        "load_model('yolov8n-640')": lambda kit: kit.v1().load_model("yolov8n-640"),
        "unload_model('det/1')": lambda kit: kit.v1().unload_model("det/1"),
        "unload_all_models()": lambda kit: kit.v1().unload_all_models(),
        "v0 client: list_loaded_models()": lambda kit: kit.v0().list_loaded_models(),
    },
    "sdk_async": {
        "infer_async v1, every field set": lambda kit: kit.v1(**kit.every_field()).infer_async(kit.jpg, "det/1"),
        "infer_async v0, every field set": lambda kit: kit.v0(**kit.every_field()).infer_async(kit.jpg, "det/1"),
        "infer_async([path]*3), max_batch_size=2, max_concurrent_requests=2": lambda kit: kit.v1(
            max_batch_size=2, max_concurrent_requests=2
        ).infer_async([kit.jpg] * 3, "det/1"),
        "load/describe/unload/unload_all async": _managed,
        "clip and ocr async": _clip_and_ocr,
    },
    "sdk_workflows": {
        "run_workflow(specification=..., images, parameters, excluded_fields)": lambda kit: kit.v1().run_workflow(
            specification=SPECIFICATION,
            images={"image": kit.jpg},
            parameters={"my_param": 37},
            excluded_fields=["crop"],
        ),
        "run_workflow(workspace_name, workflow_id, list and nested list of images, use_cache=False)": lambda kit: (
            kit.v1().run_workflow(
                workspace_name="ws",
                workflow_id="wf",
                images={"image": [kit.jpg, kit.array], "nested": [[kit.jpg], [kit.jpg]]},
                use_cache=False,
            )
        ),
        "run_workflow(..., enable_profiling=True)": lambda kit: kit.v1(
            profiling_directory=str(kit.folder / "traces")
        ).run_workflow("ws", "wf", images={"image": kit.link}, enable_profiling=True),
        "run_workflow(..., workflow_version_id, disable_sinks)": lambda kit: kit.v1().run_workflow(
            "ws", "wf", images={"image": kit.jpg}, workflow_version_id="3", disable_sinks=True
        ),
        "infer_from_workflow(workspace_name, workflow_name)  # legacy": lambda kit: kit.v1().infer_from_workflow(
            "ws", "wf", images={"image": kit.jpg}
        ),
        "infer_from_workflow(specification)  # legacy": lambda kit: kit.v1().infer_from_workflow(
            specification=SPECIFICATION, images={"image": kit.jpg}
        ),
        "v0 client: run_workflow(workspace_name, workflow_id)": lambda kit: kit.v0().run_workflow(
            "ws", "wf", images={"image": kit.jpg}
        ),
        "run_workflow, api_key_transport='header'": lambda kit: kit.v1(api_key_transport="header").run_workflow(
            "ws", "wf", images={"image": kit.jpg}
        ),
    },
    "sdk_streams": {
        "start_inference_pipeline_with_workflow(url, workspace, workflow)": lambda kit: _start(kit, False),
        "start_inference_pipeline_with_workflow([url, 0], specification, ...)": lambda kit: _start(kit, True),
        "list_inference_pipelines()": lambda kit: kit.v1().list_inference_pipelines(),
        "get_inference_pipeline_status('p1')": lambda kit: kit.v1().get_inference_pipeline_status("p1"),
        "pause_inference_pipeline('p1')": lambda kit: kit.v1().pause_inference_pipeline("p1"),
        "resume_inference_pipeline('p1')": lambda kit: kit.v1().resume_inference_pipeline("p1"),
        "consume_inference_pipeline_result('p1')": lambda kit: kit.v1().consume_inference_pipeline_result("p1"),
        "terminate_inference_pipeline('p1')": lambda kit: kit.v1().terminate_inference_pipeline("p1"),
        "consume_inference_pipeline_result('p1', excluded_fields=['a'])": lambda kit: (
            kit.v1().consume_inference_pipeline_result("p1", excluded_fields=["a"])
        ),
    },
    "sdk_stream_input": {
        "list(infer_on_stream(folder, 'det/1'))": lambda kit: sorted(
            [Path(name).name, told(pixels), result]
            for name, pixels, result in kit.v1().infer_on_stream(str(kit.folder / "pictures"), "det/1")
        ),
        "infer_on_video(clip, 'act/1') v1": lambda kit: kit.v1().infer_on_video(kit.clip, "act/1"),
        "infer_on_video(clip, 'act/1') v0": lambda kit: kit.v0().infer_on_video(kit.clip, "act/1"),
    },
    "further": {
        **{
            f"{mode}: drawn as {form}": lambda kit, m=mode, f=form: _shown(kit, m, f)
            for mode in ("v0", "v1")
            for form in ("base64", "numpy", "pillow")
        },
        "context managers": _selected,
        "selected by load_model": _default,
        "no model": lambda kit: kit.v1().infer(kit.jpg),
        "one part": lambda kit: kit.v0().infer(kit.jpg, "det"),
        "no picture": lambda kit: kit.v1().infer(3, "det/1"),
        "no pictures": lambda kit: kit.v1().infer([], "det/1"),
        "list of one": lambda kit: kit.v1().infer([kit.jpg], "det/1"),
        "v1 of a v0 client": lambda kit: kit.v0().infer_from_api_v1(kit.jpg, "det/1"),
        "v0 of a v1 client": lambda kit: kit.v1().infer_from_api_v0(kit.jpg, "det/1"),
        "clip of a model of pictures": lambda kit: kit.v1().infer_on_video(kit.clip, "det/1"),
        "picture to a model of clips": lambda kit: kit.v1().infer(kit.jpg, "act/1"),
        "clip that is not there": lambda kit: kit.v1().infer_on_video("nothing.mp4", "act/1"),
        "clip of a file": lambda kit: kit.v0(class_filter=["a", "b"]).infer_on_video(kit.jpg, "act/1"),
        "workflow named twice": lambda kit: kit.v1().run_workflow("ws", "wf", specification=SPECIFICATION),
        "workflow not named": lambda kit: kit.v1().run_workflow("ws"),
        "pipeline without id": lambda kit: kit.v1().get_inference_pipeline_status(""),
        "unknown transport": lambda kit: kit.v1(api_key_transport="pigeon"),
        "unknown kind of subject": lambda kit: kit.v1().clip_compare("a", "b", subject_type="smell"),
        "unknown OCR": lambda kit: kit.v1().ocr_image(kit.jpg, model="crystal ball"),
        "workflow pictures as arrays": lambda kit: kit.v1(output_visualisation_format=
            kit.package.VisualisationResponseFormat.NUMPY).run_workflow("ws", "wf", images={"image": kit.pil}),
        "depth as PNG": lambda kit: kit.v1().depth_estimation(kit.jpg, depth_map_format="png16"),
        "sam3 3d": lambda kit: kit.v1().sam3_3d_infer(kit.jpg, [[1]]),
        "sam3 visual": lambda kit: kit.v1().sam3_visual_segment(kit.jpg, []),
        "sam3 embedding": lambda kit: kit.v1().sam3_embed_image(kit.jpg, "one"),
        "perception encoder text": lambda kit: kit.v0().get_perception_encoder_text_embeddings("a", "v"),
        "billing of core models": lambda kit: kit.v0(count_inference=False, service_secret="S").ocr_image(kit.jpg),
        "several at a time": lambda kit: kit.v1(max_batch_size=2, max_concurrent_requests=2).infer(
            [kit.jpg, kit.array, [kit.pil, kit.png], kit.text], "det/1"
        ),
    },
    "live v0": {
        **_live(Kit.v0),
        **{
            f"drawn as {form}": lambda kit, f=form: kit.v0(
                format="image", output_visualisation_format=kit.package.VisualisationResponseFormat(f)
            ).infer(kit.png, "tiny/1")
            for form in ("base64", "numpy", "pillow")
        },
    },
    "live v1": {
        **_live(Kit.v1),
        **{
            f"drawn as {form}": lambda kit, f=form: kit.v1(
                visualize_predictions=True, output_visualisation_format=kit.package.VisualisationResponseFormat(f)
            ).infer(kit.png, "tiny/1")
            for form in ("base64", "numpy", "pillow")
        },
        "class filter": lambda kit: kit.v1(class_filter=["red"]).infer(kit.png, "tiny/1"),
        "loaded models": lambda kit: kit.v1().list_loaded_models().models,
        "load": lambda kit: kit.v1().load_model("tiny/1").models,
        "load what is not there": lambda kit: kit.v1().load_model("none/9"),
        "describe": lambda kit: kit.v1().get_model_description("tiny/1"),
        "unload": lambda kit: kit.v1().unload_model("tiny/1").models,
        "asked again": lambda kit: kit.v1().infer(kit.png, "tiny/1"),
        "unload all": lambda kit: kit.v1().unload_all_models().models,
        "a removed feature": lambda kit: kit.v1().detect_gazes(kit.jpg),
        "a route of later": lambda kit: kit.v1().get_clip_text_embeddings("a"),
    },
}  # fmt: skip


def told(value: Any) -> Any:
    """The value as JSON: arrays and images as what they are of."""
    if isinstance(value, np.ndarray):
        return ["array", list(value.shape), str(value.dtype)]
    if isinstance(value, Image.Image):
        return ["image", list(value.size), value.mode]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return told(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: told(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [told(each) for each in value]
    return value


def outcomes(kit: Kit, groups: list[str]) -> Iterator[tuple[str, Any]]:
    """The outcome of each step, and the server told which one begins."""
    for group in groups:
        for name, step in GROUPS[group].items():
            marker = urllib.parse.urlencode({"name": f"{group}: {name}"})
            urllib.request.urlopen(f"{kit.host}/step?{marker}").close()
            try:
                value = step(kit)
                if asyncio.iscoroutine(value):
                    value = asyncio.run(value)
                outcome = told(value)
            except Exception as error:
                outcome = {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
            yield f"{group}: {name}", outcome


if __name__ == "__main__":
    import warnings

    import inference_sdk

    warnings.simplefilter("ignore")
    for name, outcome in outcomes(Kit(inference_sdk, *sys.argv[1:3], Path(sys.argv[3])), sys.argv[4:]):
        print(json.dumps([name, outcome]), flush=True)
