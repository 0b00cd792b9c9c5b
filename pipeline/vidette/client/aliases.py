"""Names of public models and the ids that clients send for them (the table of `inference_sdk` 1.8.3)."""

from collections.abc import Iterator


def _sizes(ids: str, *names: str, **numbers: int) -> Iterator[tuple[str, str]]:
    """One id per size letter; `{}` in a name stands for the letter."""
    for letter, number in numbers.items():
        for name in names:
            yield name.format(letter), f"{ids}/{number}"


def _both(name: str) -> tuple[str, str]:
    """Ultralytics wrote the `v` up to version 10, users do so still."""
    return f"yolov{name}", f"yolo{name}"


_PALIGEMMA = (
    {"mix-224": 1, "mix-448": 20}
    | {
        f"ft-{of}-224": 8 + n
        for n, of in enumerate(("cococap", "screen2words", "vqav2", "tallyqa", "docvqa", "ocrvqa"))
    }
    | {
        f"ft-{of}-448": 14 + n
        for n, of in enumerate(("cococap", "screen2words", "vqav2", "tallyqa", "docvqa", "ocrvqa"))
    }
)

ALIASES: dict[str, str] = dict(
    (
        *_sizes("coco", "yolov8{}-640", n=3, s=6, m=8, l=7, x=5),
        *_sizes("coco", "yolov8{}-1280", n=9, s=10, m=11, l=12, x=13),
        *_sizes("coco", "yolo-nas-{}-640", s=14, m=15, l=16),
        *_sizes("coco", "yolov10{}-640", n=19, s=20, m=21, b=22, l=23, x=24),
        *_sizes("coco", *_both("11{}-640"), n=25, s=26, m=27, l=28, x=29),
        *_sizes("coco", *_both("11{}-1280"), n=30, s=31, m=32, l=33, x=34),
        *_sizes("coco", *_both("26{}-640"), n=41, s=42, m=43, l=44, x=45),
        *_sizes("coco", "rfdetr-{}", base=36, nano=38, small=39, medium=40, large=50, xlarge=47, **{"2xlarge": 48}),
        *_sizes("coco-dataset-vdnr1", "yolov8{}-seg-640", n=2, s=4, m=5, l=6, x=3),
        *_sizes("coco-dataset-vdnr1", "yolov8{}-seg-1280", n=7, s=8, m=9, l=10, x=11),
        *_sizes("coco-dataset-vdnr1", *_both("11{}-seg-640"), n=19, s=20, m=21, l=22, x=23),
        *_sizes("coco-dataset-vdnr1", *_both("26{}-seg-640"), n=27, s=28, m=29, l=31, x=34),
        *_sizes("coco-dataset-vdnr1", "rfdetr-seg-{}", preview=26, nano=41, small=36, medium=37, large=38),
        *_sizes("coco-dataset-vdnr1", "rfdetr-seg-{}", xlarge=39, **{"2xlarge": 40}),
        *_sizes("coco-pose-detection", "yolov8{}-pose-640", n=1, s=2, m=3, l=4, x=5),
        *_sizes("coco-pose-detection", "yolov8{}-pose-1280", x=6),
        *_sizes("coco-pose-detection", *_both("26{}-pose-640"), n=12, s=13, m=14, l=15, x=16),
        *_sizes("classifiers", "resnet{}", **{"18": 1, "34": 2, "50": 3, "101": 4}),
        *_sizes("florence-pretrains", "florence-2-{}", base=3, large=4),
        *_sizes("qwen-pretrains", "qwen{}", **{"25-vl-7b": 1, "3vl-2b-instruct": 2}),
        *_sizes("paligemma-pretrains", "paligemma-3b-{}", **_PALIGEMMA),
        *((name, f"yolo26-pretrains/yolo26{x}-sem") for x in "nsmlx" for name in _both(f"26{x}-sem-1024")),
        *((name, f"yolo26-pretrains/yolo26{x}-depth") for x in "nsmlx" for name in _both(f"26{x}-depth-768")),
        ("rfdetr-keypoint-preview", "microsoft/coco-pose-detection-17-rfdetr-keypoint-preview-t1"),
    )
)


def resolve(model_id: str) -> str:
    """The id behind a name, other ids as they are."""
    return ALIASES.get(model_id, model_id)
