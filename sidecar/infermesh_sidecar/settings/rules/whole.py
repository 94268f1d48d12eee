"""What the whole has to keep."""

from infermesh_sidecar.settings.process import Identity
from infermesh_sidecar.settings.resolve import app_names, listener_names
from infermesh_sidecar.settings.rules.listeners import inbound_rules, outbound_rules
from infermesh_sidecar.settings.rules.place import Broken, below, broken
from infermesh_sidecar.settings.rules.services import service_rules
from infermesh_sidecar.settings.sidecar import Sidecar


def broken_rules(sidecar: Sidecar) -> Broken:
    """Every mistake, each with its place in the document."""
    yield from _process(sidecar)
    for name, service in sidecar.services.items():
        yield from below(("services", name), service_rules(name, service, sidecar))
    for index, outbound in enumerate(sidecar.outbound):
        yield from below(("outbound", index), outbound_rules(outbound, sidecar))
    for index, inbound in enumerate(sidecar.inbound):
        yield from below(("inbound", index), inbound_rules(inbound, sidecar))
    yield from _names(sidecar)
    yield from _addresses(sidecar)


def _process(sidecar: Sidecar) -> Broken:
    if not sidecar.inbound and not sidecar.outbound:
        yield broken(text="found neither inbound nor outbound, expected one of them, or both")
    if sidecar.identity is not None:
        yield from below(("identity",), _identity(sidecar.identity))
        if sidecar.tls is not None:
            yield broken("tls", text=f"found {sidecar.tls!r} beside identity, expected one of the two")
    if sidecar.limits.replay_request > sidecar.limits.replay:
        yield broken("limits", "replay_request", text="found more than replay, of which it is a part")
    if sidecar.capture is not None and sidecar.capture.max_file > sidecar.capture.max_total:
        yield broken("capture", "max_file", text="found more than max_total, expected no more")
    if sidecar.shutdown.wait_for_app_exit is not None and not sidecar.inbound:
        text = "found without inbound, expected it, since it says where the app is"
        yield broken("shutdown", "wait_for_app_exit", text=text)


def _identity(identity: Identity) -> Broken:
    files = {"certificate": identity.certificate, "key": identity.key, "authorities": identity.authorities}
    given = [name for name, file in files.items() if file is not None]
    if identity.directory is not None and given:
        yield broken(given[0], text="found beside directory, expected one of the two")
    if identity.directory is None and len(given) < len(files):
        missing = ", ".join(name for name in files if name not in given)
        yield broken(text=f"found no {missing}, expected directory, or all of {', '.join(files)}")


def _names(sidecar: Sidecar) -> Broken:
    seen: set[str] = set()
    for side, listeners in (("inbound", sidecar.inbound), ("outbound", sidecar.outbound)):
        for index, name in enumerate(listener_names(listeners, side)):
            if name in seen:
                yield broken(side, index, "name", text=f"found {name!r}, expected a name of its own")
            seen.add(name)
    for name in app_names(sidecar):
        if name in sidecar.services:
            yield broken("services", name, text=f"found {name!r}, expected another: so the app is called")


def _addresses(sidecar: Sidecar) -> Broken:
    places = [
        *((("inbound", index, "listen"), it.listen) for index, it in enumerate(sidecar.inbound)),
        *((("outbound", index, "listen"), it.listen) for index, it in enumerate(sidecar.outbound)),
        *([(("admin",), sidecar.admin)] if sidecar.admin is not None else []),
    ]
    seen: set[str] = set()
    for at, address in places:
        # Port 0 is another one each time.
        if address in seen and not address.endswith(":0"):
            yield broken(*at, text=f"found {address!r}, expected one on which nothing else listens")
        seen.add(address)
