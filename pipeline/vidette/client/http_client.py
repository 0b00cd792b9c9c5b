"""`InferenceHTTPClient`: every call of the client, blocking and on an event loop."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, NoReturn

from vidette.client import core_models, inference, videos, workflows
from vidette.client.errors import HTTPClientError
from vidette.client.inference import Results
from vidette.client.state import ClientState
from vidette.client.streaming import frames
from vidette.client.transport import DEFAULT_TIMEOUT, Connected, Transport, twins

if TYPE_CHECKING:
    from vidette.frame import Bgr


class InferenceHTTPClient(ClientState, Connected):
    """Asks an inference server. The dialect follows the address: hosted ones speak API v0, all others v1.

    api_url    such as `http://localhost:9001`
    api_key    None where the server asks for none
    timeout    seconds that an answer may take

    Threads may share a client as long as none changes its state. Every call raises HTTPClientError.
    """

    def __init__(self, api_url: str, api_key: str | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        super().__init__(api_url, api_key)
        self._transport = Transport(timeout)

    @classmethod
    def init(
        cls, api_url: str, api_key: str | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> "InferenceHTTPClient":
        """The same as calling the class."""
        return cls(api_url, api_key, timeout=timeout)

    infer, infer_async = twins(inference.infer)
    infer_from_api_v0, infer_from_api_v0_async = twins(inference.infer_from_api_v0)
    infer_from_api_v1, infer_from_api_v1_async = twins(inference.infer_from_api_v1)

    get_server_info, get_server_info_async = twins(inference.get_server_info)
    get_model_description, get_model_description_async = twins(inference.get_model_description)
    list_loaded_models, list_loaded_models_async = twins(inference.list_loaded_models)
    load_model, load_model_async = twins(inference.load_model)
    unload_model, unload_model_async = twins(inference.unload_model)
    unload_all_models, unload_all_models_async = twins(inference.unload_all_models)

    ocr_image, ocr_image_async = twins(core_models.ocr_image)
    infer_from_yolo_world, infer_from_yolo_world_async = twins(core_models.infer_from_yolo_world)
    get_clip_image_embeddings, get_clip_image_embeddings_async = twins(core_models.get_clip_image_embeddings)
    get_clip_text_embeddings, get_clip_text_embeddings_async = twins(core_models.get_clip_text_embeddings)
    clip_compare, clip_compare_async = twins(core_models.clip_compare)
    get_perception_encoder_image_embeddings, get_perception_encoder_image_embeddings_async = twins(
        core_models.get_perception_encoder_image_embeddings
    )
    get_perception_encoder_text_embeddings, get_perception_encoder_text_embeddings_async = twins(
        core_models.get_perception_encoder_text_embeddings
    )
    get_image_embeddings, get_image_embeddings_async = twins(core_models.get_image_embeddings)
    infer_lmm, infer_lmm_async = twins(core_models.infer_lmm)
    depth_estimation, depth_estimation_async = twins(core_models.depth_estimation)
    sam2_segment_image, sam2_segment_image_async = twins(core_models.sam2_segment_image)
    sam3_visual_segment, sam3_visual_segment_async = twins(core_models.sam3_visual_segment)
    sam3_concept_segment, sam3_concept_segment_async = twins(core_models.sam3_concept_segment)
    sam3_embed_image, sam3_embed_image_async = twins(core_models.sam3_embed_image)
    sam3_3d_infer, sam3_3d_infer_async = twins(core_models.sam3_3d_infer)
    detect_gazes, detect_gazes_async = twins(core_models.detect_gazes)

    infer_on_video, infer_on_video_async = twins(videos.infer_on_video)
    infer_on_video_from_api_v0, infer_on_video_from_api_v0_async = twins(videos.infer_on_video_from_api_v0)
    infer_on_video_from_api_v1, infer_on_video_from_api_v1_async = twins(videos.infer_on_video_from_api_v1)

    run_workflow, run_workflow_async = twins(workflows.run_workflow)
    infer_from_workflow, infer_from_workflow_async = twins(workflows.infer_from_workflow)
    start_inference_pipeline_with_workflow, start_inference_pipeline_with_workflow_async = twins(
        workflows.start_inference_pipeline_with_workflow
    )
    list_inference_pipelines, list_inference_pipelines_async = twins(workflows.list_inference_pipelines)
    get_inference_pipeline_status, get_inference_pipeline_status_async = twins(workflows.get_inference_pipeline_status)
    pause_inference_pipeline, pause_inference_pipeline_async = twins(workflows.pause_inference_pipeline)
    resume_inference_pipeline, resume_inference_pipeline_async = twins(workflows.resume_inference_pipeline)
    terminate_inference_pipeline, terminate_inference_pipeline_async = twins(workflows.terminate_inference_pipeline)
    consume_inference_pipeline_result, consume_inference_pipeline_result_async = twins(
        workflows.consume_inference_pipeline_result
    )

    def infer_on_stream(
        self, input_uri: str, model_id: str | None = None
    ) -> Iterator[tuple[str | int, "Bgr", Results]]:
        """Predictions for each picture of a folder or each frame of a video or camera, in order, one at a time.

        Yields the path of the picture or the number of the frame (from 0), its pixels (BGR), and what `infer` gives.
        Raises SourceError (of `vidette.errors`) for what cannot be opened, and as `infer`.
        """
        for reference, pixels in frames(input_uri, self.inference_configuration.image_extensions_for_directory_scan):
            yield reference, pixels, self.infer(pixels, model_id)

    async def infer_on_stream_async(
        self, input_uri: str, model_id: str | None = None
    ) -> AsyncIterator[tuple[str | int, "Bgr", Results]]:
        """The same on an event loop, which goes on while frames are decoded."""
        pictures = frames(input_uri, self.inference_configuration.image_extensions_for_directory_scan)
        while (found := await asyncio.to_thread(next, pictures, None)) is not None:
            reference, pixels = found
            yield reference, pixels, await self.infer_async(pixels, model_id)

    @property
    def webrtc(self) -> NoReturn:
        """Raises HTTPClientError: browsers' media sessions are not part of this client."""
        raise HTTPClientError("there is no WebRTC here: infer_on_stream takes cameras and videos")
