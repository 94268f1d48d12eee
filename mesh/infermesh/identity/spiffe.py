"""SPIFFE ids: ``spiffe://TRUST_DOMAIN/PATH``.

Rules are those of the SPIFFE ID specification, https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md.
"""

import re
from dataclasses import dataclass
from typing import Self

from infermesh.errors import ConfigurationError

SCHEME = "spiffe://"

#: In bytes, all of them ASCII.
MAX_ID = 2048
MAX_TRUST_DOMAIN = 255

_NOT_IN_TRUST_DOMAIN = re.compile(r"[^a-z0-9._-]")
_NOT_IN_SEGMENT = re.compile(r"[^a-zA-Z0-9._-]")


@dataclass(frozen=True, order=True)
class SpiffeId:
    """Who somebody is. Without a path it names the trust domain itself, which only authorities do."""

    trust_domain: str
    #: Empty, or ``/`` and segments.
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id; raises ConfigurationError that says what was found and what is expected."""
        if not text.startswith(SCHEME):
            raise _wrong(text, f"it does not begin with {SCHEME}", "spiffe://TRUST_DOMAIN/PATH")
        for mark, what in (("?", "a query"), ("#", "a fragment"), ("%", "an escaped character")):
            if mark in text:
                raise _wrong(text, f"it has {what} ({mark!r})", "a trust domain and a path alone")
        trust_domain, slash, path = text.removeprefix(SCHEME).partition("/")
        return cls.of(trust_domain, path) if slash else cls(parse_trust_domain(trust_domain))

    @classmethod
    def of(cls, trust_domain: str, path: str) -> Self:
        """The id of a path such as ``shop/web``; raises ConfigurationError as ``parse`` does."""
        found = cls(parse_trust_domain(trust_domain), f"/{path}")
        for segment in path.split("/"):
            _check_segment(str(found), segment)
        if len(str(found)) > MAX_ID:
            raise _wrong(f"{str(found)[:40]}...", f"it has {len(str(found))} characters", f"{MAX_ID} at most")
        return found

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"


def parse_trust_domain(text: str) -> str:
    """The name itself, if it is one; raises ConfigurationError."""
    what = f"trust domain {text[:80]!r}"
    expected = "lower-case letters, digits, '.', '-' and '_' such as local.infermesh"
    if not text:
        raise ConfigurationError(f"the trust domain is empty, expected {expected}")
    if len(text) > MAX_TRUST_DOMAIN:
        raise ConfigurationError(f"{what} has {len(text)} characters, expected {MAX_TRUST_DOMAIN} at most")
    if (found := _NOT_IN_TRUST_DOMAIN.search(text)) is not None:
        said = {"@": " (a user)", ":": " (a port, or a scheme)"}.get(found[0], "")
        raise ConfigurationError(f"{what} has {found[0]!r}{said}, expected {expected}")
    return text


def _check_segment(text: str, segment: str) -> None:
    if not segment:
        raise _wrong(text, "a segment of its path is empty", "PATH without '//' and without '/' at its end")
    if segment in (".", ".."):
        raise _wrong(text, f"a segment of its path is {segment!r}", "names alone")
    if (found := _NOT_IN_SEGMENT.search(segment)) is not None:
        raise _wrong(text, f"its path has {found[0]!r}", "letters, digits, '.', '-' and '_' between slashes")


def _wrong(text: str, found: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{text!r} is no SPIFFE id: {found}, expected {expected}")
