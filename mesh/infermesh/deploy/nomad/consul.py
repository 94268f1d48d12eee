"""What Consul is told: what is spoken, who may call, who takes which share, and who is left alone."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

from infermesh.deploy.nomad.intentions import Entry, intentions
from infermesh.deploy.output import File
from infermesh.deploy.weights import percents
from infermesh.description.read import Description
from infermesh.description.workload import Workload
from infermesh.policies.endpoints import Breaker, Endpoints, Outlier

#: Deadlines are the sidecars': Envoy's own 15 s would cut what is allowed to take longer, and streams.
_LONGEST = timedelta(hours=24)


def files(description: Description) -> Iterator[File]:
    """Configuration entries, a file for each. Raises ConfigurationError as `intentions` does."""
    workloads = description.workloads
    for workload in workloads.values():
        entries = [_defaults(workload, workloads), intentions(workload, description), _resolver(workload)]
        if workload.split:
            entries += [_splitter(workload), _router(workload)]
        for entry in entries:
            text = json.dumps(entry, indent=2, ensure_ascii=False) + "\n"
            yield File(f"consul/{workload.name}.{entry['Kind']}.json", text)


def _defaults(workload: Workload, workloads: Mapping[str, Workload]) -> Entry:
    protocol = next((port.protocol for port in workload.ports if port.audience == "mesh"), "http")
    overrides: list[Entry] = [
        {"Name": name, "PassiveHealthCheck": check}
        for name in workload.calls
        if name in workloads and (check := _passive(workloads[name])) is not None
    ]
    return {
        "Kind": "service-defaults",
        "Name": workload.name,
        "Protocol": protocol,
        "LocalRequestTimeoutMs": _LONGEST // timedelta(milliseconds=1),
        **({"UpstreamConfig": {"Overrides": overrides}} if overrides else {}),
    }


def _passive(called: Workload) -> Entry | None:
    policies: object = called.policies
    if not isinstance(policies, Endpoints) or not (policies.breaker or policies.outlier):
        return None
    breaker, outlier = policies.breaker or Breaker(), policies.outlier or Outlier()
    said = outlier if policies.outlier else breaker
    return {
        "Interval": _time(outlier.interval),
        "MaxFailures": said.consecutive_failures,
        "EnforcingConsecutive5xx": 100,
        "MaxEjectionPercent": round(outlier.max_ejected * 100),
        "BaseEjectionTime": _time(outlier.base_ejection if policies.outlier else breaker.backoff_base),
    }


def _resolver(workload: Workload) -> Entry:
    return {
        "Kind": "service-resolver",
        "Name": workload.name,
        "RequestTimeout": _time(_LONGEST),
        "LoadBalancer": {"Policy": "least_request"},
    }


def _splitter(workload: Workload) -> Entry:
    splits = [{"Weight": weight, "Service": name} for name, weight in percents(workload).items()]
    return {"Kind": "service-splitter", "Name": workload.name, "Splits": splits}


def _router(workload: Workload) -> Entry:
    """All requests to the splitter: behind one, the timeout of a resolver is not heeded any more."""
    destination = {"Service": workload.name, "RequestTimeout": _time(_LONGEST)}
    return {"Kind": "service-router", "Name": workload.name, "Routes": [{"Destination": destination}]}


def _time(time: timedelta) -> str:
    """As Go reads it, which knows no days."""
    whole, rest = divmod(time, timedelta(seconds=1))
    return f"{time // timedelta(milliseconds=1)}ms" if rest else f"{whole}s"
