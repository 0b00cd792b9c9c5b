"""What most people write around an ONNX file of a detector: OpenCV and ONNX Runtime. The rivals' servers share it."""

import base64

import cv2
import numpy as np
import onnxruntime


class Detector:
    """Answers the body of `/infer/object_detection`; `threads` compute one run."""

    def __init__(self, model: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, body: dict) -> dict:
        """Decode the picture, run, keep the best boxes."""
        bgr = cv2.imdecode(np.frombuffer(base64.b64decode(body["image"]["value"]), np.uint8), cv2.IMREAD_COLOR)
        height, width = bgr.shape[:2]
        gain = 640 / max(height, width)
        inner = cv2.resize(bgr, (round(width * gain), round(height * gain)))
        canvas = np.full((640, 640, 3), 114, np.uint8)
        canvas[: inner.shape[0], : inner.shape[1]] = inner
        blob = cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)
        head = self._session.run(None, {"images": blob})[0][0].T
        scores = head[:, 4:]
        ids = scores.argmax(1)
        best = scores.max(1)
        keep = best > body["confidence"]
        boxes = head[keep, :4] / gain
        corner = boxes.copy()
        corner[:, :2] -= boxes[:, 2:] / 2
        chosen = cv2.dnn.NMSBoxesBatched(
            corner.tolist(), best[keep].tolist(), ids[keep].tolist(), body["confidence"], body["iou_threshold"]
        )
        rows = [
            dict(zip(("x", "y", "width", "height"), map(float, boxes[i]), strict=True))
            | {"confidence": float(best[keep][i]), "class_id": int(ids[keep][i])}
            for i in chosen
        ]
        return {"predictions": rows, "image": {"width": width, "height": height}}
