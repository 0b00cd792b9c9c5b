"""Ultralytics HUB's form: a picture or a video in, rows of corners and names out."""

from vidette.client.inference import Result
from vidette.client.pictures import Picture, file_bytes, is_url
from vidette.client.transport import DEFAULT_TIMEOUT, Connected, Transport, twins
from vidette.client.wire import Plan, ask, exchange, work
from vidette.remote.requests import File, Request, hub


def predict(
    self: "HubClient",
    source: Picture,
    *,
    model: str | None = None,
    conf: float | None = None,
    iou: float | None = None,
    imgsz: int | None = None,
) -> Plan[Result]:
    """The server's answer: `images`, one entry per picture or video frame, and `metadata`.

    source    a picture, or the path, URL or bytes of a video
    conf      least confidence, 0.01 to 1; iou: overlap above which one of two boxes goes, 0 to 0.95; imgsz: the
              model's input size in pixels, where it can vary. What is None is left to the server

    Raises HTTPClientError; HTTPCallErrorError with status 422 for what is out of range.
    """
    if is_url(source):  # fetched here: the server need not reach it
        (answer,) = yield from exchange([Request("GET", source)])
        file: File = source.partition("?")[0].rpartition("/")[2] or "file", answer.content
    else:
        file = yield from work(lambda: file_bytes(source))
    fields = {"model": model or self.model, "conf": conf, "iou": iou, "imgsz": imgsz}
    return (yield from ask(hub(self.url, file, self._api_key, fields), retries=True))


class HubClient(Connected):
    """Asks a server of Ultralytics HUB's inference API, Vidette's own included.

    url        where the form goes: `http://localhost:9001`, `https://predict.ultralytics.com`, or the address of a
               dedicated endpoint
    api_key    sent as `x-api-key`, to `.../predict` also as a bearer; None where the server asks for none
    model      the model's name or address, as the server knows it; None where the server has but one
    timeout    seconds that an answer may take; a video takes its time

    >>> HubClient("http://localhost:9001", model="coco/3").predict("bus.jpg")["images"][0]["results"]  # doctest: +SKIP
    """

    def __init__(
        self, url: str, api_key: str | None = None, model: str | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self.url = url
        self.model = model
        self._api_key = api_key
        self._transport = Transport(timeout)

    predict, predict_async = twins(predict)
