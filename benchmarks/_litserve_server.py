"""The plain detector behind LitServe, in its interpreter: a worker process per core, one thread in each.

python benchmarks/_litserve_server.py MODEL PORT
"""

import os
import sys

import litserve
from _plain_detector import Detector


class Detection(litserve.LitAPI):
    """Its three steps stay what they are by default: JSON in, `predict`, JSON out."""

    def setup(self, device: str) -> None:
        self.detector = Detector(sys.argv[1], threads=1)

    def predict(self, body: dict) -> dict:
        return self.detector(body)


if __name__ == "__main__":  # the workers import this file again
    api = Detection(api_path="/infer/object_detection")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=len(os.sched_getaffinity(0)))
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="error", generate_client_file=False)
