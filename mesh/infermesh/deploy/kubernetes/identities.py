"""Identities where no mesh around gives any: cert-manager issues them, of an authority of the namespace."""

from collections.abc import Iterator

from infermesh.deploy.kubernetes.objects import Object, made, made_for
from infermesh.description.read import Description

_API = "cert-manager.io/v1"
_AUTHORITY = "infermesh-authority"
_BOOTSTRAP = "infermesh-bootstrap"

#: The Issuer of all identities: whoever has an authority already puts another of this name in its place.
ISSUER = "infermesh"


def secret_name(workload: str) -> str:
    """The Secret with the identity of a workload: tls.crt, tls.key, ca.crt."""
    return f"{workload}-identity"


def identities(description: Description, namespace: str) -> Iterator[Object]:
    """The authority, and an identity for each workload."""
    yield _made("Issuer", _BOOTSTRAP, namespace, {"selfSigned": {}})
    yield _made(
        "Certificate",
        _AUTHORITY,
        namespace,
        {
            "isCA": True,
            "commonName": description.mesh.domain[:64],
            "secretName": _AUTHORITY,
            # Long, since whoever trusts it is not told of another one by itself.
            "duration": "87600h",
            "renewBefore": "8760h",
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"kind": "Issuer", "name": _BOOTSTRAP},
        },
    )
    yield _made("Issuer", ISSUER, namespace, {"ca": {"secretName": _AUTHORITY}})
    for name in description.workloads:
        certificate = made_for(_API, "Certificate", name, namespace, name=secret_name(name))
        certificate["spec"] = {
            "secretName": secret_name(name),
            "uris": [f"spiffe://{description.mesh.domain}/{name}"],
            "duration": "24h",
            "renewBefore": "8h",
            "usages": ["digital signature", "server auth", "client auth"],
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"kind": "Issuer", "name": ISSUER},
        }
        yield certificate


def _made(kind: str, name: str, namespace: str, spec: Object) -> Object:
    return {**made(_API, kind, name, namespace), "spec": spec}
