"""What services have to keep."""

from decimal import Decimal

from infermesh.settings.validate import close_to
from infermesh.settings.values import format_share, split_address

from infermesh_sidecar.settings.resolve import has_tls
from infermesh_sidecar.settings.rules.place import Broken, below, broken
from infermesh_sidecar.settings.rules.policies import endpoint_rules, policy_rules
from infermesh_sidecar.settings.services import Service
from infermesh_sidecar.settings.sidecar import Sidecar


def service_rules(name: str, service: Service, sidecar: Sidecar) -> Broken:
    """Of one service among all, by its name."""
    yield from _whereabouts(service)
    yield from _tls(service, sidecar)
    yield from below(("split",), _split(name, service, sidecar))
    yield from endpoint_rules(service)
    yield from policy_rules(service, captures=sidecar.capture is not None)
    if service.transcode is not None and service.protocol == "http1":
        yield broken("transcode", text="found beside protocol: http1, expected another: gRPC needs HTTP/2")


def known_service(name: str | None, sidecar: Sidecar) -> Broken:
    """Of a name where one of a service stands."""
    if name is not None and name not in sidecar.services:
        expected = close_to(name, sidecar.services)
        yield broken("service", text=f"found {name!r}, which is no service, expected {expected}")


def _whereabouts(service: Service) -> Broken:
    where = {"endpoints": service.endpoints, "dns": service.dns, "endpoints_file": service.endpoints_file}
    given = [field for field, value in where.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) or "nothing that says where it is"
        yield broken(text=f"found {found}, expected one of {', '.join(where)}")
    if service.dns is not None:
        parts = split_address(service.dns.name)
        if parts is not None and parts[1] == 0:
            yield broken("dns", "name", text=f"found {service.dns.name!r}, expected a port from 1 to 65535")


def _split(name: str, service: Service, sidecar: Sidecar) -> Broken:
    total = Decimal()
    for target, share in service.split.items():
        other = sidecar.services.get(target)
        if target == name:
            yield broken(target, text=f"found {target!r} itself, expected another service")
        elif other is None:
            expected = close_to(target, [it for it in sidecar.services if it != name])
            yield broken(target, text=f"found {target!r}, which is no service, expected {expected}")
        elif other.split:
            text = f"found {target!r}, whose requests are split too, expected a service that keeps its own"
            yield broken(target, text=text)
        elif other.protocol == "http1" and service.protocol != "http1":
            text = f"found {target!r}, whose protocol is http1, expected one that takes gRPC as {name!r} does"
            yield broken(target, text=text)
        # As it is written: binary fractions would not add up.
        exact = Decimal(str(share))
        if exact * 1_000_000 % 1:
            yield broken(target, text=f"found {format_share(share)}, expected 0.0001% or a multiple of it")
        if total <= 1 < total + exact:
            left = format_share(float(1 - total))
            yield broken(target, text=f"found {format_share(share)}, expected no more than the {left} left")
        total += exact


def _tls(service: Service, sidecar: Sidecar) -> Broken:
    if service.tls == "mutual" and sidecar.identity is None:
        yield broken("tls", text="found 'mutual' without an identity, expected identity at the top")
    if not has_tls(service, sidecar):
        lacking = "identity at the top" if sidecar.identity is None else "tls: mutual"
        for field in ("identities", "server_name"):
            if getattr(service, field):
                text = f"found for a service that is spoken to in plaintext, expected {lacking}"
                yield broken(field, text=text)
