"""inference-sdk 1.8 as its users write it, with another URL: see cases.py."""

import asyncio
import base64
import os

import cv2
from cases import FACTS, main
from inference_sdk import InferenceConfiguration, InferenceHTTPClient, VisualisationResponseFormat
from PIL import Image

URL, KEYED, HOST, FOLDER = FACTS["url"], FACTS["keyed"], FACTS["host"], FACTS["folder"]
PNG, JPG, BROKEN, LARGE, COLOURS = (
    os.path.join(FOLDER, name) for name in ("a.png", "a.jpg", "broken.jpg", "large.jpg", "colours.png")
)


def new(**options):
    return InferenceHTTPClient(**{"api_url": URL, "api_key": "KEY"} | options)


def both(picture, model="det/1", configuration=None):
    """The answers of v1, v0, and their async twins: they must be the same."""
    v1, v0 = new(), new().select_api_v0()
    if configuration is not None:
        v1.configure(configuration)
        v0.configure(configuration)
    answers = [v1.infer(picture, model), v0.infer(picture, model)]
    for client in (v1, v0):
        answers.append(asyncio.run(client.infer_async(picture, model)))
    return answers


def case_info():
    return new().get_server_info()


def case_path_png():
    return both(PNG)


def case_path_jpg():
    return both(JPG)


def case_numpy():
    return both(cv2.imread(PNG))


def case_pil():
    return both(Image.open(PNG))


def case_url():
    return both(HOST + "/a.jpg")


def case_base64():
    with open(JPG, "rb") as file:
        return both(base64.b64encode(file.read()).decode())


def case_list():
    return both([PNG, cv2.imread(PNG), Image.open(JPG)])


def case_list_in_batches():
    return both([PNG] * 5, configuration=InferenceConfiguration(max_batch_size=2, max_concurrent_requests=2))


def case_list_of_one():
    return both([PNG])


def case_slash():
    client = new(api_url=URL + "/")
    with client.use_api_v0():
        v0 = client.infer(PNG, "det/1")
    return [client.infer(PNG, "det/1"), v0]


def case_alias():
    return both(PNG, "yolov8n-640")


def case_no_key():
    return new(api_key=None).infer(PNG, "det/1")


def case_transports():
    return [
        new().configure(InferenceConfiguration(api_key_transport=way)).infer(PNG, "det/1") for way in ("header", "both")
    ]


def every(**more):
    return InferenceConfiguration(
        **{
            "confidence_threshold": 0.3, "keypoint_confidence_threshold": 0.3, "iou_threshold": 0.4,
            "class_agnostic_nms": True, "max_candidates": 1000, "max_detections": 100, "fix_batch_size": True,
            "mask_decode_mode": "fast", "tradeoff_factor": 0.5, "visualize_predictions": True, "visualize_labels": True,
            "stroke_width": 2, "disable_preproc_auto_orientation": True, "disable_preproc_contrast": True,
            "disable_preproc_grayscale": True, "disable_preproc_static_crop": True, "disable_active_learning": True,
            "active_learning_target_dataset": "other", "source": "cam", "source_info": "info",
            "format": "image_and_json", "count_inference": True, "service_secret": "SECRET",
        } | more
    )  # fmt: skip


def case_every_field_detection():
    return both(PNG, "det/1", every())


def case_every_field_keypoints():
    return both(PNG, "pose/1", every())


def case_every_field_segmentation():
    return both(PNG, "seg/1", every())


def case_every_field_classification():
    return both(PNG, "cls/1", every())


def case_every_field_multi_label():
    return both(PNG, "multi/1", every())


def case_rle():
    return both(PNG, "seg/1", InferenceConfiguration(response_mask_format="rle"))


def case_class_filter():
    return new().configure(InferenceConfiguration(class_filter=["dog"], max_detections=1)).infer(PNG, "det/1")


def case_oriented():
    return both(PNG, "obb/1")


def case_semantic_v0():
    return new().select_api_v0().infer(PNG, "sem/1")


def case_semantic_v1():
    return new().infer(PNG, "sem/1")


def case_visualisation():
    answers = []
    for form in VisualisationResponseFormat:
        configuration = every(output_visualisation_format=form)
        answers += [answer["visualization"] for answer in both(PNG, "det/1", configuration)]
    return answers


def case_picture_alone():
    answers = []
    for form in VisualisationResponseFormat:
        client = new().select_api_v0().configure(every(format="image", output_visualisation_format=form))
        answers += [client.infer(PNG, "det/1"), asyncio.run(client.infer_async(PNG, "det/1"))]
    return [answer["visualization"] for answer in answers]


def case_downsized():
    """The client shrinks 1600x800 to the model's size, and divides the answer."""
    configuration = InferenceConfiguration(client_downsizing_disabled=False)
    return [answer for model in ("det/1", "pose/1", "seg/1") for answer in both(LARGE, model, configuration)]


def case_contexts():
    client = new()
    with client.use_model("det/1"), client.use_configuration(InferenceConfiguration(confidence_threshold=0.95)):
        none = client.infer(PNG)
    with client.use_api_v0():
        some = client.infer(PNG, "det/1")
    return [none, some, client.select_model("det/1").infer(PNG)]


def case_stream_of_a_folder():
    return [
        [os.path.basename(name), list(frame.shape), answer]
        for name, frame, answer in new().infer_on_stream(os.path.join(FOLDER, "pictures"), "det/1")
    ]


def case_stream_of_a_file():
    return [
        [number, list(frame.shape), answer]
        for number, frame, answer in new().infer_on_stream(os.path.join(FOLDER, "clip.mkv"), "tiny/1")
    ]


def case_management():
    client = new()
    told = [client.get_model_description("spare/1")]
    told.append([model.model_id for model in client.list_loaded_models().models])
    told.append([model.model_id for model in client.unload_model("spare/1").models])
    told.append([model.model_id for model in client.load_model("spare/1", set_as_default=True).models])
    told.append(client.selected_model)

    async def again():
        await client.load_model_async("spare/1")
        described = await client.get_model_description_async("spare/1")
        left = await client.unload_model_async("spare/1")
        return [described, [model.model_id for model in left.models]]

    return [*told, asyncio.run(again()), client.infer(PNG, "spare/1")]


def case_same_as_run():
    return both(COLOURS, "tiny/1")


def case_same_as_run_real():
    return both(FACTS["real"], "yolo/11") if FACTS["real"] else None


def case_wrong_model():
    return new().infer(PNG, "nobody/9")


def case_wrong_model_v0():
    return new().select_api_v0().infer(PNG, "nobody/9")


def case_wrong_model_async():
    return asyncio.run(new().select_api_v0().infer_async(PNG, "nobody/9"))


def case_broken():
    return new().infer(BROKEN, "det/1")


def case_broken_v0():
    return new().select_api_v0().infer(BROKEN, "det/1")


def case_broken_async():
    return asyncio.run(new().infer_async(BROKEN, "det/1"))


def case_broken_in_a_list():
    return new().configure(InferenceConfiguration(max_batch_size=3)).infer([PNG, BROKEN, PNG], "det/1")


def case_out_of_range():
    return new().configure(InferenceConfiguration(iou_threshold=3)).infer(PNG, "det/1")


def case_right_key():
    client = new(api_url=KEYED, api_key="right-key")
    with client.use_api_v0():
        v0 = client.infer(COLOURS, "tiny/1")
    return [client.infer(COLOURS, "tiny/1"), v0]


def case_wrong_key():
    return new(api_url=KEYED, api_key="wrong-key").infer(COLOURS, "tiny/1")


def case_wrong_key_v0():
    return new(api_url=KEYED, api_key="wrong-key").select_api_v0().infer(COLOURS, "tiny/1")


def case_keys_in_headers():
    client = new(api_url=KEYED, api_key="right-key").configure(InferenceConfiguration(api_key_transport="header"))
    return client.infer(COLOURS, "tiny/1")


def case_later_clip():
    return new().clip_compare(PNG, "a cat")


def case_later_ocr():
    return new().ocr_image(PNG)


def case_later_workflow():
    return new().run_workflow(workspace_name="ws", workflow_id="wf", images={"image": PNG})


def case_later_pipelines():
    return new().list_inference_pipelines()


def case_supervision_reads_them():
    import supervision as sv

    client = new()
    found = [sv.Detections.from_inference(client.infer(PNG, model)) for model in ("det/1", "seg/1", "obb/1")]
    points = sv.KeyPoints.from_inference(client.infer(PNG, "pose/1"))
    masks = found[1].mask
    return [len(each) for each in found] + [list(masks.shape), masks.sum(axis=(1, 2)).tolist(), list(points.xy.shape)]


def case_unload_all_comes_last():
    client = new()
    left = client.unload_all_models().models
    again = asyncio.run(client.unload_all_models_async()).models
    return [len(left), len(again), client.infer(PNG, "det/1")]


if __name__ == "__main__":
    main({name: value for name, value in globals().items() if name.startswith("case_")})
