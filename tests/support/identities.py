"""Folders with identities, as somebody issues them who is trusted."""

import datetime
from pathlib import Path

from infermesh.identity import store
from infermesh.identity.authority import Authority
from infermesh.identity.request import Request


def issue(authority: Authority, place: Path, name: str, folder: str | None = None) -> Path:
    """A folder below `place` with an identity of the trust domain."""
    now = datetime.datetime.now(datetime.UTC)
    issued = authority.issue(Request.of(authority.trust_domain, name, []), now)
    home = place / (folder or name.replace("/", "-"))
    store.save_identity(home, issued, authority)
    return home
