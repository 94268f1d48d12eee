"""Where a repository on S3-compatible storage is, in the forms that Triton takes."""

import re
from dataclasses import dataclass

from infermesh.errors import ConfigurationError

SCHEME = "s3://"

#: s3://BUCKET/PREFIX, s3://HOST:PORT/BUCKET/PREFIX, s3://https://HOST:PORT/BUCKET/PREFIX.
_LOCATION = re.compile(
    r"s3://(?:(?:(?P<protocol>https?)://)?(?P<host>[^/:]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})/)?"
    r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?"
)


@dataclass(frozen=True)
class Location:
    """``prefix`` is empty or ends with a slash; without an ``endpoint`` it is Amazon's own."""

    text: str
    endpoint: str | None
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> "Location":
        """Read a location. Raises ConfigurationError for any other form."""
        match = _LOCATION.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"the model repository {text} is no location on S3-compatible storage",
                hint="s3://BUCKET/PREFIX, s3://HOST:PORT/BUCKET/PREFIX or s3://https://HOST:PORT/BUCKET/PREFIX",
            )
        endpoint = None
        if match["host"]:
            endpoint = f"{match['protocol'] or 'http'}://{match['host']}:{match['port']}"
        parts = [part for part in (match["prefix"] or "").split("/") if part]
        return cls(text.rstrip("/"), endpoint, match["bucket"], "".join(f"{part}/" for part in parts))

    def __str__(self) -> str:
        return self.text
