"""The response cache."""

from dataclasses import dataclass
from typing import Annotated

import typer
from infermesh.errors import ConfigurationError

#: The one implementation there is, under Triton's name for it.
LOCAL = "local"
SIZE = "size"

_EXPECTED = f"expected {LOCAL},{SIZE}=BYTES"


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Memory for the answers of models that enable ``response_cache``."""

    cache_config: Annotated[
        tuple[str, ...],
        typer.Option(
            metavar="local,size=BYTES",
            help="Give answers again to requests that ask the same, for models with response_cache; "
            "up to so many bytes.",
        ),
    ] = ()
    response_cache_byte_size: Annotated[
        int,
        typer.Option(min=0, metavar="BYTES", help="The same as --cache-config local,size=BYTES; 0 is none."),
    ] = 0

    def check(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        if self.cache_config and self.response_cache_byte_size:
            raise ConfigurationError(
                "--cache-config and --response-cache-byte-size both say how large the cache is",
                hint="leave one of them out",
            )
        if len(self.cache_config) > 1:
            raise ConfigurationError(
                "--cache-config was given twice; there is one cache", hint="leave one of them out"
            )
        # For its errors.
        _ = self.response_cache_bytes

    @property
    def response_cache_bytes(self) -> int:
        """Size of the cache; 0 is none. Raises ConfigurationError for what names no size."""
        if not self.cache_config:
            return self.response_cache_byte_size
        name, _, setting = self.cache_config[0].partition(",")
        key, _, size = setting.partition("=")
        if name != LOCAL:
            raise ConfigurationError(f'--cache-config: found the cache "{name}", {_EXPECTED}')
        if key != SIZE or not (size.isascii() and size.isdecimal()):
            raise ConfigurationError(f'--cache-config: found "{setting}", {_EXPECTED}')
        return int(size)
