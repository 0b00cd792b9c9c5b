import pytest

from vidette.urls import redact, scheme_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:pass@cam:554/a", "rtsp://cam:554/a"),
        ("rtsp://user:p@ss@cam/a", "rtsp://cam/a"),
        ("RTSP://user@cam/a", "RTSP://cam/a"),
        ("rtsp://cam/a?user=me&password=x&channel=1", "rtsp://cam/a?user=me&password=***&channel=1"),
        ("http://cam/a?api_key=x#f", "http://cam/a?api_key=***#f"),
        ("http://cam/a@b", "http://cam/a@b"),
        ("/films/a@b.mp4", "/films/a@b.mp4"),
    ],
)
def test_secrets_are_not_shown(url, shown):
    assert redact(url) == shown


def test_schemes():
    assert scheme_of("RTSP://h") == "rtsp"
    assert scheme_of("camera:0") == "camera"
    assert scheme_of("a: b.mp4") == ""
    assert scheme_of("/x/cam:1.mp4") == ""
