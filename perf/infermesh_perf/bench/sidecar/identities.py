"""Identities for proxies that speak TLS with each other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from infermesh.identity.authority import Authority
from infermesh.identity.request import Request
from infermesh.identity.store import save_identity

from infermesh_perf.peers.mutual import LOOPBACK, TRUST_DOMAIN


def issue(folder: Path, *names: str) -> dict[str, Path]:
    """An identity for each name, from an authority made for them; returns their folders, below `folder`.

    They also carry the address that everything here listens on, for clients that check names and know nothing
    of SPIFFE. Raises InfermeshError when they cannot be written.
    """
    now = datetime.now(UTC)
    authority = Authority.create(TRUST_DOMAIN, now)
    folders = {name: folder / name for name in names}
    for name, place in folders.items():
        issued = authority.issue(Request.of(TRUST_DOMAIN, name, ips=(LOOPBACK,)), now)
        save_identity(place, issued, authority)
    return folders
