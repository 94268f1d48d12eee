"""Where Prometheus finds whom."""

from pathlib import Path
from typing import Any

import pytest
from infermesh.deploy import yaml_text
from infermesh.deploy.observability import scrape
from infermesh.description.read import Description
from support.prometheus import needs_promtool, promtool

TARGETS = {"fraud": ["127.0.0.1:8002", "127.0.0.1:9002"], "checkout": ["127.0.0.1:15100"]}


def labels(job: dict[str, Any]) -> dict[str, str]:
    return {it["target_label"]: it["replacement"] for it in job["relabel_configs"] if "replacement" in it}


def test_known_targets(description: Description) -> None:
    jobs = scrape.static(description, TARGETS)
    assert [job["static_configs"] for job in jobs] == [[{"targets": it}] for it in TARGETS.values()]
    assert [labels(job) for job in jobs] == [{"mesh": "shop", "workload": name} for name in TARGETS]


def test_names_stand_for_all_instances(description: Description) -> None:
    found = {job["job_name"]: job["dns_sd_configs"][0] for job in scrape.by_dns(description)}
    where = {name: (it["names"], it["port"]) for name, it in found.items()}
    assert where == {
        "infermesh/shop/fraud": (["fraud"], 8002),
        "infermesh/shop/slow": (["slow"], 8002),
        "infermesh/shop/checkout": (["checkout"], 15100),
    }


def test_pods_are_found_by_workload_and_port(description: Description) -> None:
    (job,) = scrape.kubernetes(description, "prod")
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["prod"]}}]
    kept = {
        it["source_labels"][0]: it["regex"] for it in job["relabel_configs"] if it.get("action") == "keep"
    }
    assert kept == {
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "fraud|slow|checkout",
        "__meta_kubernetes_pod_container_port_number": "15100|8002",
    }


@needs_promtool
@pytest.mark.parametrize("by_dns", [True, False])
def test_prometheus_takes_it(description: Description, tmp_path: Path, by_dns: bool) -> None:
    jobs = scrape.by_dns(description) if by_dns else scrape.static(description, TARGETS)
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml_text.one(scrape.configuration(jobs, [])))
    assert "valid prometheus config" in promtool("check", "config", file)


@needs_promtool
def test_prometheus_takes_how_pods_are_found(description: Description, tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml_text.one(scrape.configuration(scrape.kubernetes(description, "prod"), [])))
    try:
        assert "valid prometheus config" in promtool("check", "config", file)
    except AssertionError as error:
        if "field kubernetes_sd_configs not found" not in str(error):
            raise
        pytest.skip("this promtool was built without discovery in Kubernetes, as Debian's is")
