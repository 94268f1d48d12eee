"""Further headers of every request: what `-H` says."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from infermesh_perf.errors import SetupError

Headers = tuple[tuple[str, str], ...]

#: Set by the protocols themselves.
_RESERVED = {"connection", "content-length", "content-type", "inference-header-content-length", "te"}
_RESERVED |= {"transfer-encoding", "upgrade"}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parse(texts: Iterable[str]) -> Headers:
    """Names in lower case, and values, of texts such as `authorization: Bearer abc`.

    Raises SetupError for a text without a colon, a name that is none and one that the protocol sets itself.
    """
    return tuple(_header(text) for text in texts)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or not _NAME.fullmatch(name):
        # The text itself may be a secret.
        raise SetupError("-H: found a text that is no header, expected `name: value`")
    if name in _RESERVED or name.startswith("grpc-"):
        raise SetupError(f"-H: {name} is set by the protocol and cannot be given")
    if not value.isprintable():
        raise SetupError(f"-H: the value of {name} has control characters, expected printable text")
    if name.endswith("-bin") and not _is_base64(value):
        raise SetupError(f"-H: the value of {name} is not base64, expected it as it travels")
    return name, value


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
    return True
