"""What most people write to serve a detector: FastAPI, OpenCV, ONNX Runtime on all cores.

python benchmarks/_plain_server.py MODEL PORT
"""

import base64
import sys

import cv2
import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
app = FastAPI()


@app.post("/infer/object_detection")
def infer(body: dict):
    bgr = cv2.imdecode(np.frombuffer(base64.b64decode(body["image"]["value"]), np.uint8), cv2.IMREAD_COLOR)
    height, width = bgr.shape[:2]
    gain = 640 / max(height, width)
    inner = cv2.resize(bgr, (round(width * gain), round(height * gain)))
    canvas = np.full((640, 640, 3), 114, np.uint8)
    canvas[: inner.shape[0], : inner.shape[1]] = inner
    head = session.run(None, {"images": cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)})[0][0].T
    scores = head[:, 4:]
    ids = scores.argmax(1)
    best = scores.max(1)
    keep = best > body["confidence"]
    boxes = head[keep, :4] / gain
    corner = boxes.copy()
    corner[:, :2] -= boxes[:, 2:] / 2
    chosen = cv2.dnn.NMSBoxesBatched(corner.tolist(), best[keep].tolist(), ids[keep].tolist(), 0.25, 0.45)
    rows = [
        dict(zip("xywh", map(float, boxes[i]), strict=True))
        | {"confidence": float(best[keep][i]), "class_id": int(ids[keep][i])}
        for i in chosen
    ]
    return {"predictions": rows, "image": {"width": width, "height": height}}


uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
