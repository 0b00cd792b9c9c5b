"""An ONNX file in the layout of Roboflow's model packages, which its own code loads without its hub."""

import ast
import json
from pathlib import Path

CONFIG = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}


def labels(model: str) -> list[str]:
    """Class names as Ultralytics' exporter writes them into the file."""
    import onnxruntime

    names = onnxruntime.InferenceSession(model).get_modelmeta().custom_metadata_map["names"]
    return list(ast.literal_eval(names).values())


def write_package(folder: Path, model: str, side: int) -> None:
    """Fill a folder with what a YOLOv8-like detector of side x side needs."""
    (folder / "weights.onnx").symlink_to(Path(model).resolve())
    (folder / "class_names.txt").write_text("\n".join(labels(model)))
    inference = {
        "network_input": {
            "training_input_size": {"height": side, "width": side},
            "dynamic_spatial_size_supported": False,
            "color_mode": "rgb",
            "resize_mode": "letterbox",
            "padding_value": 114,
            "input_channels": 3,
            "scaling_factor": 255,
        },
        "forward_pass": {"static_batch_size": 1},
        "post_processing": {"type": "nms", "fused": False},
    }
    for name, content in (("model_config.json", CONFIG), ("inference_config.json", inference)):
        (folder / name).write_text(json.dumps(content))
