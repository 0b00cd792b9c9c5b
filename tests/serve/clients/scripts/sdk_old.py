"""inference-sdk 0.9 and 0.37 as far as both have it: see cases.py."""

import os

import cv2
from cases import FACTS, main
from inference_sdk import InferenceConfiguration, InferenceHTTPClient
from PIL import Image

URL, HOST, FOLDER = FACTS["url"], FACTS["host"], FACTS["folder"]
PNG, LARGE = os.path.join(FOLDER, "a.png"), os.path.join(FOLDER, "large.jpg")


def new():
    return InferenceHTTPClient(api_url=URL, api_key="KEY")


def case_info():
    return new().get_server_info()


def case_v1():
    return [new().infer(picture, "det/1") for picture in (PNG, cv2.imread(PNG), Image.open(PNG), HOST + "/a.jpg")]


def case_v0():
    client = new()
    client.select_api_v0()
    return [client.infer(picture, "det/1") for picture in (PNG, cv2.imread(PNG), Image.open(PNG), HOST + "/a.jpg")]


def case_list():
    return new().infer([PNG, PNG], "det/1")


def case_downsized_by_default():
    v0 = new()
    v0.select_api_v0()
    return [new().infer(LARGE, "det/1"), v0.infer(LARGE, "det/1"), new().infer(LARGE, "seg/1")]


def case_visualisation():
    client = new()
    client.configure(InferenceConfiguration(visualize_predictions=True, format="image_and_json"))
    return client.infer(PNG, "det/1")["visualization"]


def case_tasks():
    return [new().infer(PNG, model) for model in ("pose/1", "seg/1", "cls/1")]


def case_management():
    client = new()
    return [
        client.get_model_description("det/1"),
        [model.model_id for model in client.load_model("spare/1").models],
        [model.model_id for model in client.unload_model("spare/1").models],
    ]


def case_stream():
    return [answer for _, _, answer in new().infer_on_stream(os.path.join(FOLDER, "pictures"), "det/1")]


def case_wrong_model():
    return new().infer(PNG, "nobody/9")


def case_later_gaze():
    return new().detect_gazes(PNG)


def case_later_cogvlm():
    return new().prompt_cogvlm(visual_prompt=PNG, text_prompt="what is it")


if __name__ == "__main__":
    main({name: value for name, value in globals().items() if name.startswith("case_")})
