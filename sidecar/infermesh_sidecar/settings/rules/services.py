"""What services have to keep."""

from infermesh.settings.validate import close_to
from infermesh.settings.values import split_address

from infermesh_sidecar.settings.resolve import has_tls
from infermesh_sidecar.settings.rules.place import Broken, broken
from infermesh_sidecar.settings.rules.policies import endpoint_rules, policy_rules
from infermesh_sidecar.settings.services import Service
from infermesh_sidecar.settings.sidecar import Sidecar


def service_rules(service: Service, sidecar: Sidecar) -> Broken:
    """Of one service among all."""
    yield from _whereabouts(service)
    yield from _tls(service, sidecar)
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


def _tls(service: Service, sidecar: Sidecar) -> Broken:
    if service.tls == "mutual" and sidecar.identity is None:
        yield broken("tls", text="found 'mutual' without an identity, expected identity at the top")
    if not has_tls(service, sidecar):
        lacking = "identity at the top" if sidecar.identity is None else "tls: mutual"
        for field in ("identities", "server_name"):
            if getattr(service, field):
                text = f"found for a service that is spoken to in plaintext, expected {lacking}"
                yield broken(field, text=text)
