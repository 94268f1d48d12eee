"""Writes the Python stubs of protos/ into mesh/infermesh/proto, or checks that they are up to date.

    python protos/generate.py            write them
    python protos/generate.py --check    write nothing; exit 1 and name the files that differ

Each proto package becomes one Python package, dots turned into underscores: `grpc/health/v1/health.proto` is
`infermesh.proto.grpc_health_v1.health_pb2`, with `health_pb2_grpc` beside it if the file defines a service.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
STUBS = PROTOS.parent / "mesh" / "infermesh" / "proto"
PACKAGE = "infermesh.proto"

# The output differs between releases, so the check holds only for these. grpcio-tools 1.78 still writes stubs
# that ask for no more than protobuf 6.31.1 and grpcio 1.78; a newer one raises both floors for our users.
TOOLS = {"grpcio-tools": "1.78.0", "mypy-protobuf": "5.1.0"}

# Other distributions define these packages too (tritonclient, grpcio-health-checking), under other file
# names. protobuf refuses a second definition within one pool, so ours live in a pool of their own.
PRIVATE = ("inference", "grpc")

DEFAULT_POOL = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
PRIVATE_POOL = f"from {PACKAGE} import _pool as _descriptor_pool\n"


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the Python stubs of protos/.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stubs are out of date")
    check: bool = parser.parse_args().check
    wrong = [
        f"{name}=={version} (found {found})"
        for name, version in TOOLS.items()
        if (found := installed(name)) != version
    ]
    if wrong:
        print(f"The stubs are made with {' and '.join(wrong)}. Install that first.", file=sys.stderr)
        return 2
    wanted = generate()
    present = {
        path.relative_to(STUBS).as_posix(): path.read_text()
        for pattern in ("*/*.py", "*/*.pyi")
        for path in STUBS.glob(pattern)
    }
    differing = sorted(
        f"{name} ({'missing' if name not in present else 'stale' if name not in wanted else 'differs'})"
        for name in wanted.keys() | present.keys()
        if wanted.get(name) != present.get(name)
    )
    if check and differing:
        print(f"{STUBS} does not match {PROTOS}:", *differing, sep="\n  ", file=sys.stderr)
        print("Run `python protos/generate.py` and commit what it writes.", file=sys.stderr)
        return 1
    if not check:
        for name in present.keys() - wanted.keys():
            (STUBS / name).unlink()
        for name, text in wanted.items():
            (STUBS / name).parent.mkdir(parents=True, exist_ok=True)
            (STUBS / name).write_text(text)
    return 0


def installed(distribution: str) -> str:
    """The version of an installed distribution, or "none"."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"


def generate() -> dict[str, str]:
    """The text of every stub, by its path under STUBS."""
    sources = sorted(path.relative_to(PROTOS) for path in PROTOS.rglob("*.proto"))
    packages = {source.parent for source in sources}
    stubs: dict[str, str] = {}
    for package in packages:
        title = f"Generated stubs of the protobuf package {dotted(package)}."
        stubs[f"{flat(package)}/__init__.py"] = f'"""{title}"""\n'
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        compile_protos(sources, out)
        for path in sorted(out.rglob("*_pb2*")):
            package = path.parent.relative_to(out)
            if path.stem.endswith("_grpc") and "class " not in path.with_suffix(".py").read_text():
                continue  # The file defines no service, so there is nothing to call.
            stubs[f"{flat(package)}/{path.name}"] = move(path.read_text(), path.name, package, packages)
    return stubs


def compile_protos(sources: list[Path], out: Path) -> None:
    """Runs protoc with the Python, gRPC and type stub generators."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}"]
    command += [f"--{kind}_out={out}" for kind in ("python", "grpc_python")]
    for plugin, option in (("protoc-gen-mypy", "mypy"), ("protoc-gen-mypy_grpc", "mypy_grpc")):
        # Beside the interpreter first: an environment need not be activated to be used.
        path = shutil.which(plugin, path=str(Path(sys.executable).parent)) or shutil.which(plugin)
        command += [f"--plugin={plugin}={path}", f"--{option}_out={out}"]
    command += [source.as_posix() for source in sources]
    done = subprocess.run(command, cwd=PROTOS, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def move(text: str, name: str, package: Path, packages: set[Path]) -> str:
    """Makes generated code work under PACKAGE: its imports, its module name and, where needed, its pool."""
    for other in packages:
        old = rf"^from {re.escape(dotted(other))} import (\w+_pb2)\b"
        text = re.sub(old, rf"from {PACKAGE}.{flat(other)} import \1", text, flags=re.MULTILINE)
    if name.endswith("_pb2.py"):
        module = name.removesuffix(".py")
        text = replace_once(text, f"'{dotted(package)}.{module}'", f"'{PACKAGE}.{flat(package)}.{module}'")
        if package.parts[0] in PRIVATE:
            text = replace_once(text, DEFAULT_POOL, PRIVATE_POOL)
    return text


def replace_once(text: str, old: str, new: str) -> str:
    """Fails where a new generator no longer writes what this script counts on."""
    if text.count(old) != 1:
        sys.exit(f"The generator's output has changed: expected {old!r} once, found {text.count(old)} times.")
    return text.replace(old, new)


def flat(package: Path) -> str:
    """grpc/health/v1 as a Python package: not nested, since a subpackage called `grpc` would confuse."""
    return "_".join(package.parts)


def dotted(package: Path) -> str:
    """grpc/health/v1 as protobuf spells it."""
    return ".".join(package.parts)


if __name__ == "__main__":
    sys.exit(main())
