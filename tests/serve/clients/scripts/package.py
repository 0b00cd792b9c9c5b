"""The roboflow package as it is documented, its hosts set by environment variables: see cases.py."""

import os

import cv2
from cases import FACTS, main
from roboflow import Roboflow
from roboflow.models.keypoint_detection import KeypointDetectionModel

URL, HOST, FOLDER = FACTS["url"], FACTS["host"], FACTS["folder"]
PNG = os.path.join(FOLDER, "a.png")


def project(name, key="some-key"):
    return Roboflow(api_key=key).workspace().project(name)


def saved(prediction, name):
    target = os.path.join(FOLDER, name + ".saved.jpg")
    prediction.save(target)
    return list(cv2.imread(target).shape)


def documented(name):
    """Two lines of the documents, and everything that comes of them."""
    model = project(name).version(1).models()[0]
    answer = model.predict(PNG, confidence=40, overlap=30)
    numpy = model.predict(cv2.imread(PNG), confidence=40, overlap=30)
    url = model.predict(HOST + "/a.jpg", hosted=True, confidence=40, overlap=30)
    return [answer.json(), numpy.json(), url.json(), saved(answer, name)]


def case_detection():
    return documented("det")


def case_keypoints():
    return documented("pose")


def case_segmentation():
    return documented("seg")


def case_classification():
    return documented("cls")


def case_semantic():
    answer = project("sem").version(1).models()[0].predict(PNG)
    return [answer.json(), saved(answer, "sem")]


def case_old_detection():
    model = project("det").version(1, local=URL + "/").model
    answer = model.predict(PNG, confidence=40, overlap=30)
    hosted = model.predict(HOST + "/a.jpg", hosted=True).json()
    drawn = model.predict(PNG, classes="cat", stroke=2, labels=True, format="image")  # the model keeps these settings
    return [answer.json(), hosted, saved(answer, "old"), drawn]


def case_old_percent():
    model = project("det").version(1, local=URL + "/").model
    return [len(model.predict(PNG, confidence=share).json()["predictions"]) for share in (40, 50, 95)]


def case_old_numpy():
    return project("det").version(1, local=URL + "/").model.predict(cv2.imread(PNG)).json()


def case_old_classification():
    return project("cls").version(1, local=URL + "/").model.predict(PNG).json()


def case_old_segmentation():
    model = project("seg").version(1, local=URL).model
    answer = model.predict(PNG)
    return [answer.json(), saved(answer, "oldseg"), model.predict(HOST + "/a.jpg").json()]


def case_old_segmentation_with_a_slash():
    return project("seg").version(1, local=URL + "/").model.predict(PNG).json()


def case_old_keypoints():
    return KeypointDetectionModel("some-key", "ws/pose/1", version="1", local=URL + "/").predict(PNG).json()


def case_wrong_project():
    return project("nobody")


def case_wrong_version():
    return project("det").version(7)


def case_refused():
    return project("det").version(1).models()[0].predict(PNG, confidence=400).json()


if __name__ == "__main__":
    main({name: value for name, value in globals().items() if name.startswith("case_")})
