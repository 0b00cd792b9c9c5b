"""Models that are no project of a user: CLIP, OCR, YOLO-World, segment anything, depth, language and vision.

Only the routes, names and shapes of requests are here; whether a server has such a model is its affair.
"""

from typing import Any, Literal, NoReturn

from vidette.client.answers import depth, one_per_row, unwrapped
from vidette.client.errors import FeatureDeprecatedError, InvalidParameterError
from vidette.client.inference import Result, Results, as_field, in_batches
from vidette.client.pictures import Picture, Pictures, encoded, flat
from vidette.client.state import ClientState
from vidette.client.wire import Plan, ask, exchange

_OCR = {"doctr": "/doctr/ocr", "trocr": "/ocr/trocr", "easy_ocr": "/easy_ocr/ocr", "pp_ocr": "/ocr/pp-ocr"}
_CLIP_KINDS = ("image", "text")


def ocr_image(
    self: ClientState,
    inference_input: Pictures,
    model: str = "doctr",
    version: str | None = None,
    quantize: bool | None = None,
    generate_bounding_boxes: bool | None = None,
    language_codes: list[str] | None = None,
) -> Plan[Results]:
    """The text of pictures. `model` is doctr, trocr, easy_ocr or pp_ocr; raises InvalidParameterError for others."""
    name = model.lower()
    if name not in _OCR:
        raise InvalidParameterError(f"no OCR model {model}: there are {', '.join(_OCR)}")
    fields = {
        f"{name}_version_id": version or None,
        "quantize": quantize,
        "generate_bounding_boxes": generate_bounding_boxes,
        "language_codes": language_codes,
    }
    return unwrapped((yield from _for_each(self, inference_input, _OCR[name], _given(fields), batch=1)))


def infer_from_yolo_world(
    self: ClientState,
    inference_input: Pictures,
    class_names: list[str],
    model_version: str | None = None,
    confidence: float | None = None,
) -> Plan[list[Result]]:
    """Detections of what `class_names` say, one result per picture, always as a list."""
    fields = {"text": class_names, "yolo_world_version_id": model_version, "confidence": confidence}
    return (yield from _for_each(self, inference_input, "/yolo_world/infer", _given(fields), batch=1))


def get_clip_image_embeddings(
    self: ClientState, inference_input: Pictures, clip_version: str | None = None
) -> Plan[Results]:
    """CLIP embeddings of pictures, one result per picture."""
    fields = _given({"clip_version_id": clip_version})
    return _rows((yield from _for_each(self, inference_input, "/clip/embed_image", fields)))


def get_clip_text_embeddings(self: ClientState, text: str | list[str], clip_version: str | None = None) -> Plan[Result]:
    """CLIP embeddings of texts, one row per text in one result."""
    fields = _given({"text": text, "clip_version_id": clip_version})
    return (yield from ask(self.core_request("/clip/embed_text", fields)))


def clip_compare(
    self: ClientState,
    subject: Picture,
    prompt: Pictures,
    subject_type: str = "image",
    prompt_type: str = "text",
    clip_version: str | None = None,
) -> Plan[Result]:
    """How alike CLIP finds `subject` and each `prompt`. The types are image or text; raises InvalidParameterError."""
    for name, kind in (("subject_type", subject_type), ("prompt_type", prompt_type)):
        if kind not in _CLIP_KINDS:
            raise InvalidParameterError(f"{name}: {kind!r} is none of {', '.join(_CLIP_KINDS)}")
    fields = _given({"subject_type": subject_type, "prompt_type": prompt_type, "clip_version_id": clip_version})
    for name, kind, given in (("subject", subject_type, subject), ("prompt", prompt_type, prompt)):
        fields[name] = as_field((yield from encoded(given))) if kind == "image" else given
    return (yield from ask(self.core_request("/clip/compare", fields)))


def get_perception_encoder_image_embeddings(
    self: ClientState, inference_input: Pictures, perception_encoder_version: str | None = None
) -> Plan[Results]:
    """Perception Encoder embeddings of pictures, as the server groups them."""
    fields = _given({"perception_encoder_version_id": perception_encoder_version})
    return unwrapped((yield from _for_each(self, inference_input, "/perception_encoder/embed_image", fields)))


def get_perception_encoder_text_embeddings(
    self: ClientState, text: str | list[str], perception_encoder_version: str | None = None
) -> Plan[Result]:
    """Perception Encoder embeddings of texts."""
    fields = _given({"text": text, "perception_encoder_version_id": perception_encoder_version})
    return (yield from ask(self.core_request("/perception_encoder/embed_text", fields)))


def get_image_embeddings(
    self: ClientState,
    inference_input: Pictures,
    model_id: str,
    output_type: Literal["feature_vector", "logits"] = "feature_vector",
) -> Plan[Results]:
    """What a classifier makes of pictures before its last layer, or its logits; one result per picture."""
    as_sent = self.inference_configuration.to_legacy_call_parameters()
    along = {k: v for k, v in as_sent.items() if k.startswith("disable_preproc_") or k in ("source", "source_info")}
    fields = {"model_id": model_id, **along, "output_type": output_type}
    return _rows((yield from _for_each(self, inference_input, "/infer/embeddings", fields)))


def infer_lmm(
    self: ClientState,
    inference_input: Pictures,
    model_id: str,
    prompt: str | None = None,
    model_id_in_path: bool = False,
    max_new_tokens: int | None = None,
    enable_thinking: bool | None = None,
) -> Plan[Results]:
    """What a language and vision model says to pictures and a prompt."""
    fields = {
        "model_id": model_id,
        "prompt": prompt,
        "max_new_tokens": max_new_tokens,
        "enable_thinking": enable_thinking,
    }
    path = f"/infer/lmm/{model_id}" if model_id_in_path else "/infer/lmm"
    return unwrapped((yield from _for_each(self, inference_input, path, _given(fields))))


def depth_estimation(
    self: ClientState,
    inference_input: Pictures,
    model_id: str = "depth-anything-v3/small",
    model_id_in_path: bool = False,
    depth_map_format: str = "json",
) -> Plan[Results]:
    """Depth of every pixel, 0 to 1: lists (`json`), or a float32 array that travelled as `png16` or `png8`."""
    path = f"/infer/depth-estimation/{model_id}" if model_id_in_path else "/infer/depth-estimation"
    fields = {"model_id": model_id, "depth_map_format": depth_map_format}
    answers = yield from _for_each(self, inference_input, path, fields)
    return unwrapped([_each(depth, answer) for answer in answers])


def sam2_segment_image(
    self: ClientState,
    inference_input: Pictures,
    prompts: list[dict[str, Any]] | None = None,
    sam2_version_id: str = "hiera_tiny",
    multimask_output: bool = True,
    mask_input_format: str = "json",
) -> Plan[Results]:
    """Masks of what points and boxes mark."""
    fields = {"sam2_version_id": sam2_version_id, **_masks(prompts, multimask_output, mask_input_format)}
    return unwrapped((yield from _for_each(self, inference_input, "/sam2/segment_image", fields)))


def sam3_visual_segment(
    self: ClientState,
    inference_input: Pictures,
    prompts: list[dict[str, Any]] | None = None,
    multimask_output: bool = True,
    mask_input_format: str = "json",
) -> Plan[Results]:
    """Masks of what points and boxes mark."""
    fields = _masks(prompts, multimask_output, mask_input_format)
    return unwrapped((yield from _for_each(self, inference_input, "/sam3/visual_segment", fields)))


def sam3_concept_segment(
    self: ClientState,
    inference_input: Pictures,
    prompts: list[dict[str, Any]],
    model_id: str = "sam3/sam3_final",
    output_prob_thresh: float = 0.5,
    nms_iou_threshold: float | None = None,
    format: str = "polygon",
) -> Plan[Results]:
    """Masks of everything that a text or an example describes."""
    fields = {
        "model_id": model_id,
        "prompts": prompts,
        "output_prob_thresh": output_prob_thresh,
        "format": format,
        "nms_iou_threshold": nms_iou_threshold,
    }
    return unwrapped((yield from _for_each(self, inference_input, "/sam3/concept_segment", _given(fields))))


def sam3_embed_image(self: ClientState, inference_input: Pictures, image_id: str | None = None) -> Plan[Results]:
    """Have a picture's embedding made and kept by the server under `image_id`."""
    fields = _given({"image_id": image_id})
    return unwrapped((yield from _for_each(self, inference_input, "/sam3/embed_image", fields)))


def sam3_3d_infer(
    self: ClientState,
    inference_input: Picture,
    mask_input: Any,
    model_id: str = "sam3-3d-objects",
    *,
    output_meshes: bool = True,
    output_scene: bool = True,
    with_mesh_postprocess: bool = True,
    with_texture_baking: bool = True,
    use_distillations: bool = False,
) -> Plan[Result]:
    """Solids of what masks mark."""
    fields = {
        "model_id": model_id,
        "mask_input": mask_input,
        "output_meshes": output_meshes,
        "output_scene": output_scene,
        "with_mesh_postprocess": with_mesh_postprocess,
        "with_texture_baking": with_texture_baking,
        "use_distillations": use_distillations,
    }
    return (yield from _for_each(self, inference_input, "/sam3_3d/infer", fields, batch=1))[0]


def detect_gazes(self: ClientState, inference_input: Pictures) -> Plan[NoReturn]:
    """Raises FeatureDeprecatedError: no server answers it any more."""
    raise FeatureDeprecatedError("detect_gazes", reason="servers answer 410")
    yield


def _for_each(
    self: ClientState, pictures: Pictures, path: str, fields: dict[str, Any], batch: int | None = None
) -> Plan[list[Result]]:
    """Pictures to one route, `batch` per request, by default as many as the configuration says; the answers."""
    configuration = self.inference_configuration
    batches = in_batches((yield from encoded(pictures)), batch or configuration.max_batch_size)
    answers = yield from exchange(
        [self.core_request(path, {**fields, "image": as_field(each)}) for each in batches],
        retries=True,
        concurrency=configuration.max_concurrent_requests,
    )
    return [answer.json() for answer in answers]


def _rows(answers: list[Any]) -> Results:
    return unwrapped(one_per_row(flat(answers)))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _masks(prompts: list[dict[str, Any]] | None, multimask_output: bool, mask_format: str) -> dict[str, Any]:
    fields = {"multimask_output": multimask_output, "format": mask_format}
    return fields if prompts is None else {**fields, "prompts": {"prompts": prompts}}


def _each(change: Any, answer: Any) -> Any:
    return [_each(change, part) for part in answer] if isinstance(answer, list) else change(answer)
