"""Links between pages lead somewhere in a plain page view of git, without the site."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")]
)

LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> set[str]:
    """Of its headings, as page views of git make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        count = 0
        while anchor in found:
            count += 1
            anchor = f"{name}-{count}"
        found.add(anchor)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    lost = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and (not anchor or anchor in anchors(target))
        if not is_there:
            lost.append(link)
    assert lost == []


def test_there_are_links() -> None:
    assert sum(len(LINK.findall(prose(ROOT / name))) for name in PAGES) > 200
