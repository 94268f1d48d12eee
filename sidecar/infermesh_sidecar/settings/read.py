"""Turns a document into a checked configuration."""

from infermesh.settings.document import Document
from infermesh.settings.validate import broken, validate

from infermesh_sidecar.settings.rules import broken_rules
from infermesh_sidecar.settings.sidecar import Sidecar


def read_settings(document: Document) -> Sidecar:
    """Check fields and what they have to keep together.

    Raises ConfigurationError with one line per mistake. What fields have to keep together is looked at once
    each of them is right by itself.
    """
    sidecar = validate(Sidecar, document)
    if found := list(broken_rules(sidecar)):
        raise broken(document, found)
    return sidecar
