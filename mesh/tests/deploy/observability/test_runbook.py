"""docs/operations.md has a section for each alert, and no other."""

import re
from pathlib import Path

from infermesh.deploy.observability.alerts import alerts

RUNBOOK = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
_SECTION = re.compile(r"^## (Infermesh\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(_SECTION.findall(RUNBOOK))
RULES = [rule for group in alerts("https://runbooks.example/operations") for rule in group["rules"]]


def test_there_is_a_section_for_each_alert_in_their_order() -> None:
    assert list(SECTIONS) == [rule["alert"] for rule in RULES]


def test_each_section_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    for text in SECTIONS.values():
        assert re.findall(r"^\*\*([\w ]+)\*\*:", text, re.MULTILINE) == ["Means", "Look at", "Do"]


def test_alerts_say_all_and_link_to_their_section() -> None:
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        _, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert anchor == rule["alert"].lower()


def test_links_within_lead_somewhere() -> None:
    anchors = {heading.lower() for heading in SECTIONS}
    assert set(re.findall(r"\(#(\w+)\)", RUNBOOK)) <= anchors
    folder = Path(__file__).parents[4] / "docs"
    for path in re.findall(r"\]\((guides/[\w-]+\.md)\)", RUNBOOK):
        assert (folder / path).exists(), path
