"""The page that shows an overview: its files, and what whoever serves it says along with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: What `mesh/page` is built into.
STATIC = Path(__file__).with_name("static")

#: Of every answer, the overview's too.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class File:
    """One of the page's, and its own headers."""

    url_path: str
    path: Path
    headers: Mapping[str, str]


def files(static: Path = STATIC) -> Sequence[File]:
    """All there are; none if the page has not been built. `/` is the page itself."""
    return [_file(path, static) for path in sorted(static.rglob("*")) if path.suffix in _TYPES]


def _file(path: Path, static: Path) -> File:
    name = path.relative_to(static).as_posix()
    # Names of assets change with what is in them.
    keep = "no-cache" if path.suffix == ".html" else "max-age=31536000, immutable"
    return File(
        url_path="/" if name == "index.html" else f"/{name}",
        path=path,
        headers={"Content-Type": _TYPES[path.suffix], "Cache-Control": keep},
    )
