"""What most people write to serve a detector: FastAPI, OpenCV, ONNX Runtime on all cores.

python benchmarks/_plain_server.py MODEL PORT
"""

import os
import sys

import uvicorn
from _plain_detector import Detector
from fastapi import FastAPI

detector = Detector(sys.argv[1], threads=len(os.sched_getaffinity(0)))
app = FastAPI()


@app.post("/infer/object_detection")
def infer(body: dict):
    return detector(body)


uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
