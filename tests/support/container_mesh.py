"""A mesh for containers: a server twice, and an app, `compose_app`, that asks it through a sidecar."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from support import compose_app, onnx_models
from support.podman import IMAGES, Podman
from support.repository import Repository


def make_mesh(folder: Path, name: str, **app: Any) -> None:
    """Write its mesh.yaml and its models; `app` is what is said of the app besides."""
    make_models(folder / "models")
    mesh = {
        "name": name,
        "images": {"server": IMAGES, "sidecar": IMAGES, "tag": "test"},
        "servers": {
            "scale": {"models": "models", "placement": {"replicas": 2, "memory": "1GiB", "cpu": "500m"}}
        },
        "apps": {
            "shop": {
                "image": f"{IMAGES}-app:test",
                "port": compose_app.PORT,
                "health": "/healthz",
                **app,
            }
        },
    }
    (folder / "mesh.yaml").write_text(yaml.safe_dump(mesh, sort_keys=False))


def make_models(folder: Path) -> None:
    """What the server serves: one model, which makes three of one."""
    Repository.make(folder).onnx("scale", onnx_models.scale(3.0))


def make_images(engine: Podman, app_user: int = 0) -> None:
    """What mesh.yaml names: of infermesh, and of the app, which runs as this user."""
    engine.image(f"{IMAGES}:test", ["infermesh"])
    engine.image(f"{IMAGES}-app:test", ["python", str(compose_app.__file__)], app_user)


def infermesh(folder: Path, *arguments: object) -> None:
    """Run a command where the mesh is. Raises CalledProcessError if it fails."""
    subprocess.run([sys.executable, "-m", "infermesh", *map(str, arguments)], cwd=folder, check=True)
