"""Every command that a page shows: it is run as it is written, or this file says why not.

A command runs on a machine of its own, where all ports are free, in a folder with the files that its page
shows. What cannot run here and is one of infermesh is understood by its parser at least.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from infermesh.cli import app
from support import onnx_models
from support.consoles import Command, commands, files
from support.namespaces import one_machine
from support.repository import Repository
from support.terminal import Terminal

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if commands(page)
)

#: Pages whose commands have a test of their own, which knows what they print.
OWN_TEST = {"docs/guides/identity.md": "tests/integration/test_guide_identity.py"}

#: Programs that are not here, or whose work is not for a test.
PROGRAMS = {
    "consul": "needs a Consul to speak with",
    "docker": "needs Docker; tests/deploy/test_compose.py starts the rendered file with Podman",
    "git": "changes a repository of people's",
    "kubectl": "needs a cluster; tests/deploy/test_guide_kubernetes.py holds the objects against schemas",
    "linkerd": "needs a cluster",
    "mesh/images/build": "builds images for minutes; tests/deploy/test_images.py does",
    "mesh/images/scan": "needs images; tests/deploy/test_images.py has them",
    "mesh/images/sign": "needs a registry",
    "nomad": "needs a Nomad to speak with; tests/deploy/test_render_nomad.py reads the job",
    "otelcol-contrib": "is not on every machine; tests/deploy/test_collector.py runs it where it is",
    "pip": "needs a registry",
    "podman": "needs images; tests/deploy/test_images.py has them",
    "prometheus": "is not on every machine; tests/deploy/test_observability.py holds the rules",
    "promtool": "is not on every machine; tests/deploy/test_observability.py holds the rules",
}

#: Single commands, with the reason.
COMMANDS = {
    "curl http://127.0.0.1:8080/healthz": "asks what Docker has started; tests/deploy/test_compose.py does",
    """curl -sN 'localhost:15000/tap?code=failure' | """
    """jq -c '[."url.path", ."error.type", ."error.message"]'""": (
        "follows a sidecar without an end; tests/integration/test_sidecar.py does"
    ),
    """curl -X PUT "$ES/_component_template/infermesh-fields" -H 'content-type: application/json' """
    "-d @component-template-infermesh-fields.json": "needs an Elasticsearch",
    """curl -X PUT "$ES/_index_template/infermesh" -H 'content-type: application/json' """
    "-d @index-template-infermesh.json": "needs an Elasticsearch",
    "infermesh sidecar status --admin 127.0.0.1:15100": "asks a Pod",
    "infermesh serve s3://bucket/models": "needs a bucket; tests/integration/test_s3.py has one",
    "infermesh serve s3://minio:9000/bucket/models            # a server of your own, over http": "the same",
    "infermesh serve s3://https://minio:9000/bucket/models": "the same",
    "infermesh serve --model-repository=/models --model-control-mode=explicit --load-model=resnet": (
        "serves a folder of this machine's root"
    ),
    "infermesh serve models --grpc-use-ssl --grpc-server-cert tls.crt --grpc-server-key tls.key": (
        "needs a certificate; tests/integration/test_tls.py has them"
    ),
    "infermesh perf run -m digits": "measures for many seconds; perf/tests measures for less",
    "infermesh perf search -m digits --slo 'p99<20ms,errors<0.1%'": "the same",
    "infermesh perf compare old:8001 new:8001 -m digits --report ab.html": "needs two servers by these names",
    "infermesh perf run -m digits -c 16 --rounds 8 -o baseline.json": "measures for minutes",
    "infermesh perf compare localhost:8001 --baseline baseline.json -m digits": "needs that baseline",
    "infermesh perf run -m digits --rps 2000 --trace-share 0.01 --otlp-port 4318 --report out.html": (
        "measures for many seconds"
    ),
    "infermesh perf worker --listen 0.0.0.0:9410 --cert a.pem --key a.key --cacert ca.pem": (
        "is another machine"
    ),
    "infermesh perf worker --listen 0.0.0.0:9410 --cert b.pem --key b.key --cacert ca.pem": (
        "is another machine"
    ),
    "infermesh perf run -m digits -u models:8001 --rps 200000 --worker a:9410 --worker b:9410": (
        "needs other machines"
    ),
    ".venv/bin/infermesh perf run -m digits --concurrency-range 1,4,16,64 --report out.html": (
        "measures for many seconds"
    ),
    ".venv/bin/infermesh perf search -m digits --slo 'p99<20ms,errors<0.1%'": "measures for many seconds",
    ".venv/bin/infermesh perf compare localhost:8001 other:8001 -m digits": "needs another machine",
    ".venv/bin/python -m checkout --with-sidecar": (
        "trains and sells for a minute; examples/checkout/tests has it"
    ),
    "python -m infermesh_perf.bench.gpu": "needs a GPU",
}

#: What stays until it is ended, by how it begins, with what it says when it is ready.
STAYING = {
    "infermesh serve": "Ready on",
    "infermesh up": "is ready after",
    "infermesh sidecar --": "Ready",
    "infermesh sidecar status --watch": "sidecar",
    "infermesh sidecar tap": "",
    "python -m checkout.shop": "",
}

#: A mesh for pages that show none.
MESH = """
name: shop
models: models
apps:
  shop: {run: python app.py, image: "shop:1", health: /healthz}
"""

APP = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def reason(command: Command) -> str | None:
    """Why it cannot be run here."""
    if command.text in COMMANDS:
        return COMMANDS[command.text]
    return next((PROGRAMS[program] for program in sorted(command.programs) if program in PROGRAMS), None)


def scene(page: Path, folder: Path) -> None:
    """What a page's reader has in his folder: what the page shows, and what it takes for granted."""
    models = Repository.make(folder / "models")
    for name in ("digits", "fraud", "double"):
        models.onnx(name, onnx_models.scale(2.0))
    (folder / "mesh.yaml").write_text(MESH, encoding="utf-8")
    (folder / "app.py").write_text(APP, encoding="utf-8")
    # Without what a mesh that somebody has run here has left.
    left_out = shutil.ignore_patterns("tests", "*.egg-info", ".infermesh")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=left_out)
    shown = files(page)
    for name in {Path(name).parts[1] for name in shown if name.startswith("models/")}:
        shutil.rmtree(folder / "models" / name, ignore_errors=True)
        # An ensemble has a version, and nothing in it.
        (folder / "models" / name / "1").mkdir(parents=True)
    for name, text in shown.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def staying(command: Command) -> tuple[str, str] | None:
    """Which of those it is, and what it says."""
    text = command.text.removeprefix(".venv/bin/")
    if "--check" in command.words:
        return None
    return next(((kind, ready) for kind, ready in STAYING.items() if text.startswith(kind)), None)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with one_machine() as machine:
        terminal = Terminal(machine, tmp_path)
        try:
            yield terminal
            terminal.close()
        finally:
            terminal.kill()


@pytest.mark.parametrize("name", [page for page in PAGES if page not in OWN_TEST])
def test_commands(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shown = [it for it in commands(ROOT / name) if reason(it) is None and it.programs != {"make"}]
    if not shown:
        return
    terminal: Terminal = request.getfixturevalue("terminal")
    scene(ROOT / name, tmp_path)
    for command in shown:
        if (found := staying(command)) is not None:
            terminal.start(command.text.partition(" #")[0], *found)
            continue
        done = terminal.run(command.text)
        assert done.returncode == 0, (command.text, done.stdout, done.stderr)
        if command.printed:
            assert done.stdout.rstrip("\n") == command.printed.rstrip("\n"), command.text


def of_infermesh() -> list[list[str]]:
    shown = [it for page in PAGES for it in commands(ROOT / page) if reason(it) is not None]
    return [it.words for it in shown if it.words[0].removeprefix(".venv/bin/") == "infermesh"]


@pytest.mark.parametrize("words", of_infermesh(), ids=" ".join)
def test_what_is_not_run_is_understood(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("&&", "|", ";"):
        words = words[: words.index(word)] if word in words else words
    found: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(found, "commands") and rest and not rest[0].startswith("-"):
        found = found.get_command(None, rest.pop(0))
    # Parsing alone: nothing is opened, nothing runs.
    assert found.make_context(" ".join(words), rest).args == []


@pytest.mark.parametrize(
    "words",
    [it.words for page in PAGES for it in commands(ROOT / page) if it.programs == {"make"}],
    ids=" ".join,
)
def test_make_knows_its_targets(words: list[str]) -> None:
    subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True, timeout=60)


def test_what_is_excused_is_there() -> None:
    shown = [it for page in PAGES for it in commands(ROOT / page)]
    assert set(COMMANDS) <= {it.text for it in shown}
    assert set(PROGRAMS) <= {program for it in shown for program in it.programs}
    assert set(OWN_TEST) <= set(PAGES)
    assert all((ROOT / test).exists() for test in OWN_TEST.values())
