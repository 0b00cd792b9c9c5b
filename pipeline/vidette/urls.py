"""URLs as they may be shown."""

import re

_USER_INFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*@")
_SECRET_PARAMETER = re.compile(r"(?i)([?&;](?:[^=&;#]*(?:pass|pwd|token|secret|key|auth|sig)[^=&;#]*)=)[^&;#]*")


def redact(url: str) -> str:
    """The URL without user name and password, and with `***` for query parameters that look like secrets.

    Cameras take passwords in both places. Paths and unusable URLs come back as they are, less their user-info.
    """
    without_user = _USER_INFO.sub(lambda match: f"{match[1] or ''}//", url)
    return _SECRET_PARAMETER.sub(r"\1***", without_user)


def scheme_of(text: str) -> str:
    """The lower-case scheme of `rtsp://...` or `camera:0`, empty for a path.

    One letter is no scheme, so that `a: first try.mp4` stays a path.
    """
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)
    return match[1].lower() if match else ""
