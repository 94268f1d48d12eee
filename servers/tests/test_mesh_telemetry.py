"""What a server of a mesh is told of its log and its traces."""

from pathlib import Path

from infermesh.description.place import Duty, Reach
from infermesh.description.read import read


class Anywhere:
    """Some place."""

    identity = None
    is_private = True
    duties: frozenset[Duty] = frozenset()

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{self.number(port)}"

    def number(self, _port: str) -> int:
        return 8001

    def reach(self, _workload: str, _port: str) -> Reach:
        return Reach()

    def path(self, given: str) -> str:
        return given

    def file(self, name: str) -> str:
        return name


def environment(folder: Path, text: str) -> dict[str, str]:
    (folder / "models").mkdir()
    file = folder / "mesh.yaml"
    file.write_text(f"servers: {{fraud: {{models: models, environment: {{LEVEL: high}}}}}}\n{text}")
    (container,) = read(file).workloads["fraud"].containers(Anywhere())
    return dict(container.environment)


def test_its_log_and_its_traces_are_its_own(tmp_path: Path) -> None:
    assert environment(tmp_path, "") == {"OTEL_SERVICE_NAME": "fraud", "LEVEL": "high"}


def test_traces_go_where_those_of_sidecars_go(tmp_path: Path) -> None:
    found = environment(tmp_path, "collector: http://collector:4318/v1/traces\n")
    assert found["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "http://collector:4318/v1/traces"
