"""What keypoints are called and which of them are joined by bones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Names of the points in the order of the model, and pairs of point numbers to draw as lines."""

    name: str
    points: tuple[str, ...]
    bones: tuple[tuple[int, int], ...] = ()


COCO_17 = Skeleton(
    "coco-17",
    (
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    (
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
        *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
)
"""People, https://cocodataset.org/#keypoints-2020."""

FACE_5 = Skeleton("face-5", ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth"))
"""Faces as CenterFace, SCRFD and YuNet mark them; left and right as the viewer sees them."""

FACE_6 = Skeleton("face-6", ("right_eye", "left_eye", "nose_tip", "mouth", "right_ear", "left_ear"))
"""Faces as BlazeFace marks them; left and right are the person's own, as MediaPipe names them."""

BODY_33 = Skeleton(
    "body-33",
    (
        *("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer"),
        *("left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow"),
        *("right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index"),
        *("left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle"),
        *("right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index"),
    ),
    (
        *((0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (11, 12), (11, 23), (12, 24)),
        *((23, 24), (11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19), (12, 14), (14, 16), (16, 18)),
        *((16, 20), (16, 22), (18, 20), (23, 25), (25, 27), (27, 29), (29, 31), (27, 31), (24, 26), (26, 28)),
        *((28, 30), (30, 32), (28, 32)),
    ),
)
"""People as BlazePose marks them, https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker."""

MPII_16 = Skeleton(
    "mpii-16",
    (
        *("head_top", "upper_neck", "right_shoulder", "right_elbow", "right_wrist", "thorax", "left_shoulder"),
        *("left_elbow", "left_wrist", "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee"),
        "left_ankle",
    ),
    (
        *((0, 1), (1, 5), (5, 2), (2, 3), (3, 4), (5, 6), (6, 7), (7, 8), (5, 9)),
        *((9, 10), (10, 11), (11, 12), (9, 13), (13, 14), (14, 15)),
    ),
)
"""People as annotated in MPII (http://human-pose.mpi-inf.mpg.de), in EfficientPose's order."""

USUAL = (COCO_17, FACE_5)
SKELETONS = {skeleton.name: skeleton for skeleton in (*USUAL, FACE_6, BODY_33, MPII_16)}


def numbered(count: int) -> Skeleton:
    """Points that nobody has named."""
    return Skeleton(f"points-{count}", tuple(str(i) for i in range(count)))


def by_count(count: int) -> Skeleton:
    """The skeleton that models with so many points usually mean."""
    return next((known for known in USUAL if len(known.points) == count), None) or numbered(count)
