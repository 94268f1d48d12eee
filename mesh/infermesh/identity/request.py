"""What an identity is asked to be, from the words of a command line."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from infermesh.errors import ConfigurationError
from infermesh.identity.spiffe import SpiffeId
from infermesh.identity.times import parse_duration

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: With less there would be nothing but renewals.
MIN_TTL = timedelta(seconds=10)

#: Of RFC 1034 and 1123, with the underscore that Compose and others allow.
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MAX_DNS = 253


@dataclass(frozen=True)
class Request:
    """One identity: the names that its certificate is to carry, and for how long."""

    id: SpiffeId
    dns: tuple[str, ...]
    ips: tuple[IpAddress, ...]
    ttl: timedelta

    @classmethod
    def of(
        cls, trust_domain: str, name: str, dns: Sequence[str] = (), ips: Sequence[str] = (), ttl: str = "24h"
    ) -> Self:
        """Read a name such as ``shop/web``, or a whole SPIFFE id of the trust domain, and the options.

        Raises ConfigurationError for what cannot be understood, and for an id of another trust domain.
        """
        span = parse_duration("--ttl", ttl)
        if span < MIN_TTL:
            raise ConfigurationError(
                f"--ttl: found {ttl!r}, expected {int(MIN_TTL.total_seconds())}s or more"
            )
        return cls(
            _id(trust_domain, name),
            tuple(dict.fromkeys(_dns(text) for text in dns)),
            tuple(dict.fromkeys(_ip(text) for text in ips)),
            span,
        )


def _id(trust_domain: str, name: str) -> SpiffeId:
    if "://" not in name:
        return SpiffeId.of(trust_domain, name)
    found = SpiffeId.parse(name)
    if found.trust_domain != trust_domain:
        raise ConfigurationError(
            f"{found} is of the trust domain {found.trust_domain}, and the authority here speaks for "
            f"{trust_domain}",
            hint=f"name an id of {trust_domain}, or another authority with --dir",
        )
    if not found.path:
        raise ConfigurationError(
            f"{found} names a trust domain, expected a path behind it, such as {found}/shop"
        )
    return found


def _dns(text: str) -> str:
    try:
        _ = ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        raise ConfigurationError(f"--dns: found the IP address {text}", hint=f"use --ip {text}")
    labels = text.removeprefix("*.").split(".")
    if len(text) > _MAX_DNS or not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigurationError(
            f"--dns: found {text[:80]!r}, expected a host name such as localhost, fraud.shop.svc or "
            "*.shop.svc (international names in their xn-- form)"
        )
    return text


def _ip(text: str) -> IpAddress:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--ip: found {text[:80]!r}, expected an address such as 127.0.0.1 or ::1"
        ) from error
