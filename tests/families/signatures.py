"""Signatures of model files as exporters write them."""

from vidette.signature import Signature, Tensor

YOLO = {"task": "detect", "stride": "32", "imgsz": "[640, 640]", "names": "{0: 'cat', 1: 'dog', 2: 'cow'}"}


def signature(
    *outputs,
    image=(1, 3, 640, 640),
    dtype="float32",
    metadata=None,
    sidecar=None,
):
    return Signature(
        (Tensor("images", image, dtype),),
        tuple(Tensor(f"output{i}", shape, "float32") for i, shape in enumerate(outputs)),
        metadata or {},
        sidecar or {},
    )


def centerface(height=32, width=32, batch=10):
    maps = [(batch, channels, height // 4, width // 4) for channels in (1, 2, 2, 10)]
    return signature(*maps, image=(batch, 3, height, width))
