"""What mesh.yaml says beside its parts."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr

from infermesh.settings.forms import Text
from infermesh.settings.names import Name
from infermesh.settings.section import Section

#: A name that every target takes for a host.
Label = Annotated[
    str, Text("name of small letters, digits and hyphens", r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", "fraud")
]

Host = Annotated[
    str,
    Text(
        "host", r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", "shop.example.com"
    ),
]

TrustDomain = Annotated[str, Text("trust domain", r"[a-z0-9._-]+", "shop.example")]


class Images(Section):
    """Container images of what infermesh brings."""

    server: Name = Field(default="infermesh/server", description="Of model servers on CPUs.")
    server_gpu: Name = Field(default="infermesh/server-cuda", description="Of model servers on GPUs.")
    sidecar: Name = Field(default="infermesh/sidecar", description="Of sidecars.")
    tag: Name | None = Field(default=None, description="Of all three. Without it, this version's.")


class Mesh(Section):
    """A mesh, said once. Paths are relative to the folder of the file.

    What is below `environments` is laid over the rest when that environment is chosen.
    """

    name: Label = Field(default="mesh", description="What it is called, where several are.")
    trust_domain: TrustDomain | None = Field(
        default=None, description="Of its SPIFFE identities. Without it, the name with `.local`."
    )
    tls: Literal["mutual", "off"] = Field(
        default="mutual",
        description="mutual: everybody has an identity and speaks mutual TLS, by infermesh or by the mesh "
        "around. off: plaintext.",
    )
    collector: Name | None = Field(
        default=None, description="URL of an OpenTelemetry collector that traces go to."
    )
    images: Images = Field(default=Images(), description="Container images of what infermesh brings.")
    environments: dict[Label, dict[str, Any]] = Field(
        default={}, description="What is different elsewhere: by environment, what is laid over the rest."
    )

    _folder: Path = PrivateAttr(default=Path())

    def at(self, folder: Path) -> Self:
        """The same, of a file in this folder."""
        self._folder = folder
        return self

    @property
    def folder(self) -> Path:
        """What paths are relative to."""
        return self._folder

    @property
    def domain(self) -> str:
        """The trust domain."""
        return self.trust_domain or f"{self.name}.local"
