"""All that operators bring into what they have, as files."""

import json
from collections.abc import Iterator, Mapping, Sequence

from infermesh.deploy import yaml_text
from infermesh.deploy.observability import collector, operator, scrape
from infermesh.deploy.observability.alerts import RUNBOOK
from infermesh.deploy.observability.dashboards import dashboards
from infermesh.deploy.observability.logs import elasticsearch, filebeat, logstash
from infermesh.deploy.observability.rule import Object
from infermesh.deploy.observability.rules import rules
from infermesh.deploy.output import File
from infermesh.description.read import Description

RULES = "infermesh.rules.yml"


def files(
    description: Description,
    *,
    namespace: str | None = None,
    targets: Mapping[str, Sequence[str]] | None = None,
    runbook: str = RUNBOOK,
    traces: str = collector.DESTINATION,
) -> Iterator[File]:
    """The files of a mesh.

    It runs in a namespace of Kubernetes, at known targets (HOST:PORT by workload), or where the name of a
    workload is resolved to all of its instances.
    """
    yield from _prometheus(description, namespace, targets, runbook)
    if namespace is not None:
        yield File("kubernetes.yaml", yaml_text.several(operator.objects(description, namespace, runbook)))
    for name, text in dashboards().items():
        yield File(f"grafana/{name}.json", text)
    configuration = collector.configuration(description, traces)
    yield File("opentelemetry/collector.yaml", yaml_text.one(configuration))
    yield from _logs(description, namespace)


def _prometheus(
    description: Description,
    namespace: str | None,
    targets: Mapping[str, Sequence[str]] | None,
    runbook: str,
) -> Iterator[File]:
    if namespace is not None:
        jobs = scrape.kubernetes(description, namespace)
    elif targets is not None:
        jobs = scrape.static(description, targets)
    else:
        jobs = scrape.by_dns(description)
    yield File("prometheus/prometheus.yml", yaml_text.one(scrape.configuration(jobs, [RULES])))
    yield File(f"prometheus/{RULES}", yaml_text.one(rules(description, namespace, runbook)))


def _logs(description: Description, namespace: str | None) -> Iterator[File]:
    yield File("logs/filebeat.yml", yaml_text.one(filebeat.configuration(description, namespace)))
    yield File("logs/infermesh.conf", logstash.pipeline(description.mesh))
    yield File(
        f"logs/component-template-{elasticsearch.COMPONENT}.json", _json(elasticsearch.component_template())
    )
    yield File("logs/index-template-infermesh.json", _json(elasticsearch.index_template()))


def _json(value: Object) -> str:
    return json.dumps(value, indent=2) + "\n"
