"""Routes of Roboflow's server that are not served here: they say so, instead of being taken for a model's name."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from vidette.serve.edge import json_response
from vidette.serve.errors import RequestError

router = APIRouter(tags=["not served"])

_GONE = {"/llm/cogvlm": "CogVLM has been removed; use a detector or classifier instead"}
_LATER = (
    "/clip/embed_image", "/clip/embed_text", "/clip/compare", "/gaze/gaze_detection", "/doctr/ocr",
    "/easy_ocr/ocr", "/ocr/trocr", "/ocr/pp-ocr", "/yolo_world/infer", "/grounding_dino/infer", "/owlv2/infer",
    "/sam/embed_image", "/sam/segment_image", "/sam2/embed_image", "/sam2/segment_image", "/sam3/concept_segment",
    "/sam3/visual_segment", "/sam3/embed_image", "/sam3_3d/infer", "/perception_encoder/embed_image",
    "/perception_encoder/embed_text", "/perception_encoder/compare", "/infer/lmm", "/infer/lmm/{model_id:path}",
    "/infer/depth-estimation", "/infer/depth-estimation/{model_id:path}", "/infer/embeddings",
    "/infer/action_recognition", "/workflows/run", "/workflows/{rest:path}", "/{workspace}/workflows/{rest:path}",
    "/infer/workflows", "/infer/workflows/{workspace}/{workflow}", "/inference_pipelines/{rest:path}",
    "/video_upload_signed_url", "/videoinfer/", "/videoinfer",
)  # fmt: skip


async def later(request: Request) -> Response:
    """501, always."""
    raise RequestError(501, f"{request.url.path} is not served by this version of Vidette")


async def gone(request: Request) -> Response:
    """410, always."""
    message = _GONE[request.url.path]
    return json_response({"message": message, "detail": message, "error_type": "FeatureDeprecatedError"}, 410)


for _path in _LATER:
    router.add_api_route(_path, later, methods=["GET", "POST"], summary="Not served yet", include_in_schema=False)
for _path in _GONE:
    router.add_api_route(_path, gone, methods=["GET", "POST"], summary="Removed", include_in_schema=False)
