"""Identities of all workloads, by an authority of the mesh's own, renewed while it runs."""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from infermesh.identity import store
from infermesh.identity.authority import Authority
from infermesh.identity.command.clock import now
from infermesh.identity.renewal import keep
from infermesh.identity.request import Request

AUTHORITY = "authority"


class Identities:
    """Identities below a folder, one for each name."""

    def __init__(self, folder: Path, trust_domain: str, names: Sequence[str]) -> None:
        """Issue all; the authority is the one that is there, unless it speaks for another trust domain.

        Raises InfermeshError if one cannot be written.
        """
        self._folder = folder
        self._authority = _authority(folder / AUTHORITY, trust_domain)
        self._stopped = threading.Event()
        self._first = {name: self._issue(name, now()) for name in names}
        self._threads: list[threading.Thread] = []

    def renew(self) -> None:
        """Issue anew in time, on threads of their own, until `stop`."""
        for name, certificate in self._first.items():
            self._threads.append(
                threading.Thread(
                    target=keep,
                    args=(certificate, lambda moment, name=name: self._issue(name, moment)),
                    kwargs={"clock": now, "stopped": self._stopped.wait},
                    name=f"identity-{name}",
                    daemon=True,
                )
            )
            self._threads[-1].start()

    def stop(self) -> None:
        """Issue no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _issue(self, name: str, moment: datetime) -> x509.Certificate:
        request = Request.of(self._authority.trust_domain, name, ["localhost"], ["127.0.0.1"])
        issued = self._authority.issue(request, moment)
        store.save_identity(self._folder / name, issued, self._authority)
        return issued.certificate


def _authority(folder: Path, trust_domain: str) -> Authority:
    if store.has_authority(folder):
        found = store.load_authority(folder)
        if found.trust_domain == trust_domain and found.certificate.not_valid_after_utc > now():
            return found
    authority = Authority.create(trust_domain, now())
    store.save_authority(folder, authority)
    return authority
