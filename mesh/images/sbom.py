"""sbom.py NAME DEBIAN PYTHON: writes what an image is made of as CycloneDX JSON.

Of the two folders that make it, it reads the Debian packages (``var/lib/dpkg/status.d``), the Python
distributions (``*.dist-info``), and what SBOMs in these list (``*.dist-info/sboms``): crates, as maturin
writes them, and libraries. Needs nothing but Python: it runs while the image is built.
"""

import email
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

Component = dict[str, Any]


def debian(root: Path) -> Iterator[Component]:
    """Debian packages."""
    release = _os_release(root)
    for file in sorted((root / "var/lib/dpkg/status.d").glob("*")):
        package = email.message_from_string(file.read_text(encoding="utf-8"))
        name, version = package["Package"], package["Version"]
        where = f"?arch={package['Architecture']}&distro={release}"
        found = _component(name, version, f"pkg:deb/debian/{name}@{quote(version)}{where}")
        yield {**found, "supplier": {"name": package["Maintainer"]}}


def python(root: Path) -> Iterator[Component]:
    """Python distributions, and what is in those that say so."""
    for folder in sorted(root.glob("usr/local/lib/python3*/dist-packages/*.dist-info")):
        about = email.message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
        name = re.sub(r"[-_.]+", "-", about["Name"]).lower()
        found = _component(name, about["Version"], f"pkg:pypi/{name}@{about['Version']}")
        if expression := about["License-Expression"]:
            found["licenses"] = [{"expression": expression}]
        yield found
        for sbom in sorted(folder.glob("sboms/*.json")):
            yield from bundled(json.loads(sbom.read_text(encoding="utf-8")))


def bundled(sbom: dict[str, Any]) -> Iterator[Component]:
    """What an SBOM in a wheel lists: crates, libraries. Crates of its own workspace are the wheel."""
    for it in sbom["components"]:
        purl = it.get("purl") or f"pkg:generic/{quote(it['name'])}@{quote(it['version'])}"
        if "?download_url=file:" in purl:
            continue
        found = _component(it["name"], it["version"], purl)
        yield {**found, **{field: it[field] for field in ("hashes", "licenses") if field in it}}


def document(name: str, version: str, components: list[Component]) -> dict[str, Any]:
    """The whole; of the same components it is the same, so that a build can be repeated."""
    purls = "\n".join(component["purl"] for component in components)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, purls)}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "name": name, "version": version, "bom-ref": name},
        },
        "components": components,
    }


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _os_release(root: Path) -> str:
    text = (root / "etc/os-release").read_text(encoding="utf-8")
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return f"{fields['ID']}-{fields['VERSION_ID']}".replace('"', "")


def main(name: str, debian_root: str, python_root: str) -> None:
    """Print the document of an image of this name."""
    found = [*debian(Path(debian_root)), *python(Path(python_root))]
    components = list({component["bom-ref"]: component for component in found}.values())
    version = next(it["version"] for it in components if it["name"] == "infermesh")
    print(json.dumps(document(name, version, components), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
