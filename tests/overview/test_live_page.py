"""The page in a real browser: what it shows, and that keys are enough to use it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from infermesh.overview.page import STATIC
from infermesh.overview.server import serving
from infermesh.overview.view import Overview, Traffic
from support import overviews
from support.devtools import Page, opened

WELL = overviews.well()

#: How many are in the picture of WELL: callers, two apps, two servers, four models.
ITEMS = 9
CALLS = 9

DRAWN = f"document.querySelectorAll('button[data-id]').length === {ITEMS + CALLS}"
FOCUSED = "document.activeElement.dataset.id"

BOXES = "[...document.querySelectorAll('button[data-id]')].map(it => it.getBoundingClientRect())"

ALL_IN_VIEW = f"""
(() => {{
  const frame = document.querySelector('.graph').getBoundingClientRect();
  return {BOXES}.every(it =>
    it.left >= frame.left && it.right <= frame.right && it.top >= frame.top && it.bottom <= frame.bottom);
}})()
"""

OVERLAPS = f"""
(() => {{
  const boxes = {BOXES};
  const meet = (a, b) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  return boxes.filter((a, at) => boxes.slice(at + 1).some(b => meet(a, b))).length;
}})()
"""


class Shown:
    """What the page is served; a test changes it while it looks."""

    def __init__(self, overview: Overview) -> None:
        self.overview = overview

    def __call__(self) -> Overview:
        return self.overview


def look(
    folder: Path,
    test: Callable[[Page, Shown], Awaitable[None]],
    overview: Overview = WELL,
    size: tuple[int, int] = (1440, 900),
) -> None:
    """Open the page, and let nothing go wrong in it."""
    assert (STATIC / "index.html").exists(), "the page has not been built: make page"

    async def run() -> None:
        shown = Shown(overview)
        async with serving(shown) as url, opened(url, folder) as page:
            await page.resize(*size)
            await page.until("document.querySelector('.banner')")
            await test(page, shown)
            assert page.errors == []

    asyncio.run(run())


def text(selector: str) -> str:
    return f"document.querySelector({selector!r})?.innerText"


def test_everybody_is_in_the_picture_and_in_view(tmp_path: Path) -> None:
    async def test(page: Page, _: Shown) -> None:
        await page.until(DRAWN)
        assert await page.ask(text(".banner h2")) == "All is well"
        assert await page.ask("document.title") == "shop · infermesh"
        # Left to right: callers, apps, servers, models; none of them outside of the frame, none over another.
        left = "document.querySelector('button[data-id=\"%s\"].item').getBoundingClientRect().left"
        columns = [await page.ask(left % it) for it in ("*", "checkout", "fraud", "fraud/fraud/3")]
        assert columns == sorted(columns)
        assert len(set(columns)) == 4
        await page.until(ALL_IN_VIEW)
        overlaps = await page.ask(OVERLAPS)
        assert overlaps == 0
        assert "118/s" in await page.ask(text('button[data-id="checkout>fraud"]'))

    look(tmp_path, test)


def test_keys_are_enough(tmp_path: Path) -> None:
    async def test(page: Page, _: Shown) -> None:
        await page.until(DRAWN)
        # The switch, and then all of the picture, from the left.
        await page.press("Tab")
        assert await page.ask("document.activeElement.getAttribute('role')") == "switch"
        await page.press("Tab")
        assert await page.ask(FOCUSED) == "*"
        assert await page.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        seen = [await page.ask(FOCUSED)]
        for _step in range(ITEMS + CALLS - 1):
            await page.press("Tab")
            seen.append(await page.ask(FOCUSED))
        assert len(set(seen)) == ITEMS + CALLS

        # Arrow keys go along the lines.
        await page.ask("document.querySelector('button[data-id=\"checkout\"]').focus()")
        await page.press("ArrowRight")
        assert await page.ask(FOCUSED) == "checkout>fraud"
        await page.press("ArrowRight")
        assert await page.ask(FOCUSED) == "fraud"
        await page.press("ArrowUp")
        assert await page.ask(FOCUSED) == "ranking"
        await page.press("ArrowDown")
        assert await page.ask(FOCUSED) == "fraud"
        await page.press("ArrowLeft")
        assert await page.ask(FOCUSED) in ("checkout>fraud", "search>fraud")

        # Enter opens, Escape closes, and the focus is where it was.
        await page.ask("document.querySelector('button[data-id=\"fraud\"]').focus()")
        await page.press("Enter")
        await page.until("document.activeElement.id === 'panel-name'")
        assert await page.ask("document.activeElement.innerText") == "fraud"
        assert await page.ask("document.querySelector('button[data-id=\"fraud\"]').ariaExpanded") == "true"
        await page.press("Escape")
        await page.until("document.querySelector('.panel') === null")
        assert await page.ask(FOCUSED) == "fraud"

    look(tmp_path, test)


def test_what_is_pressed_has_a_name_and_a_role(tmp_path: Path) -> None:
    async def test(page: Page, _: Shown) -> None:
        await page.until(DRAWN)
        tree = await page.tell("Accessibility.getFullAXTree")
        names = {it["name"]["value"] for it in tree["nodes"] if it.get("role", {}).get("value") == "button"}
        assert "app checkout: app and sidecar, 1 ready" in names
        assert (
            "checkout to fraud: 118 requests a second, 100 % succeed, 99th percentile 7.2 ms, breaker closed"
            in names
        )
        assert all(names)

    look(tmp_path, test)


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("fraud", ["fraud-1", "fraud-2", "127.0.0.1:41002", "fraud · v3"]),
        ("fraud/fraud/3", ["READY", "6.4 ms", "Rows of a batch", "5 \N{EN DASH} 8", "24 %"]),
        ("checkout>fraud", ["118/s", "7.2 ms", "127.0.0.1:41001", "closed"]),
        ("*", ["Last minute"]),
    ],
)
def test_a_panel_has_the_details(tmp_path: Path, id: str, said: list[str]) -> None:  # noqa: A002
    async def test(page: Page, _: Shown) -> None:
        await page.until(DRAWN)
        await page.ask(f"document.querySelector('button[data-id=\"{id}\"]').click()")
        await page.until("document.querySelector('.panel')")
        found = await page.ask(text(".panel"))
        assert [it for it in said if it not in found] == []

    look(tmp_path, test)


def test_what_is_wrong_is_said_first(tmp_path: Path) -> None:
    async def test(page: Page, shown: Shown) -> None:
        await page.until(DRAWN)
        shown.overview = overviews.hurt()
        await page.until("document.querySelector('.banner h2').innerText === 'Not all is ready'")
        banner = await page.ask(text(".banner"))
        assert "fraud-2: ended, exit code 137" in banner
        assert "its breaker is open" in banner
        assert "search to ranking: only 66 % of requests succeed" in banner
        assert "rank of ranking: UNAVAILABLE, no file model.onnx" in banner
        assert "breaker open" in await page.ask(text('button[data-id="checkout>fraud"]'))
        # Colours are not all that tells.
        assert (
            await page.ask("document.querySelector('button[data-id=\"search>ranking\"] strong').dataset.tone")
            == "bad"
        )

    look(tmp_path, test)


def test_what_is_old_is_said_to_be(tmp_path: Path) -> None:
    async def test(page: Page, shown: Shown) -> None:
        await page.until(DRAWN)
        await page.until("document.querySelector('.banner h2').innerText === 'What is shown is old'")
        assert await page.ask("document.querySelector('.page').classList.contains('stale')")
        shown.overview = replace(WELL, at=(WELL.at or 0) + 60)
        await page.until("!document.querySelector('.page').classList.contains('stale')")

    look(tmp_path, test)


def test_an_empty_mesh_says_so(tmp_path: Path) -> None:
    async def test(page: Page, _: Shown) -> None:
        await page.until("document.querySelector('.banner h2').innerText === 'Nothing runs in this mesh'")
        assert await page.ask("document.querySelectorAll('main').length") == 0

    look(tmp_path, test, overviews.empty())


def test_a_mesh_that_went_away_is_said_to_be(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(Shown(WELL)) as url:
            browser = opened(url, tmp_path)
            page = await browser.__aenter__()
            await page.until(DRAWN)
        try:
            await page.until("document.body.innerText.includes('The connection is gone')")
        finally:
            await browser.__aexit__(None, None, None)

    asyncio.run(run())


def test_light_and_dark(tmp_path: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"

    async def test(page: Page, _: Shown) -> None:
        await page.prefer("light")
        await page.until(f"{paper} === 'rgb(245, 246, 248)'")
        await page.prefer("dark")
        await page.until(f"{paper} === 'rgb(20, 23, 27)'")
        await page.ask("document.querySelector('[role=switch]').click()")
        await page.until(f"{paper} === 'rgb(245, 246, 248)'")
        # It is remembered, whatever the system prefers.
        await page.tell("Page.reload")
        await page.until(f"document.readyState === 'complete' && {paper} === 'rgb(245, 246, 248)'")

    look(tmp_path, test)


def test_a_small_screen_has_tables(tmp_path: Path) -> None:
    async def test(page: Page, _: Shown) -> None:
        await page.until("document.querySelector('.tables')")
        assert await page.ask("getComputedStyle(document.querySelector('.graph')).display") == "none"
        assert await page.ask("document.documentElement.scrollWidth") == 360
        await page.ask("document.querySelector('.tables .link').click()")
        await page.until("document.querySelector('.panel')")
        assert await page.ask("document.querySelector('.panel').getBoundingClientRect().right") <= 360

    look(tmp_path, test, size=(360, 800))


def test_a_thousand_models_are_one_node(tmp_path: Path) -> None:
    traffic = Traffic(3.0, 1.0, 1.0, 2.0)
    models = [overviews.model(f"m{index:04}", traffic) for index in range(1000)]
    server = replace(WELL.workloads[2], models=models)
    mesh = overviews.overview([server], [])

    async def test(page: Page, _: Shown) -> None:
        await page.until("document.querySelectorAll('button.item').length === 7")
        assert "995 more models" in await page.ask(text(".item.more"))

    look(tmp_path, test, mesh)
