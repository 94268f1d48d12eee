"""A browser that looks at reports."""

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from infermesh_perf.report import page
from infermesh_perf.results.document import Comparison, Run
from support import browser

#: Opens the page of a result and returns what a script finds there, the body of an asynchronous function of
#: the window and document; `drawn()` waits for the charts in sight, `resize(width)` for a new width.
Look = Callable[[Run | Comparison, str], Any]

_FRAME = """<!doctype html>
<iframe src="report.html" style="border: 0; width: 1280px; height: 3000px"></iframe>
<pre id="found"></pre>
<script>
"use strict";
const frame = document.querySelector("iframe");
const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
async function drawn() {
  const waits = (chart) => chart.clientWidth > 0 && !chart.querySelector("svg") && !chart.matches(".failed");
  while ([...frame.contentDocument.querySelectorAll(".chart")].some(waits)) await rest(20);
  // A chart that was there already may have a new width to follow.
  await rest(100);
}
async function resize(width) {
  frame.style.width = `${width}px`;
  await drawn();
}
async function look(window, document) { SCRIPT }
onload = async () => {
  await drawn();
  const found = await look(frame.contentWindow, frame.contentDocument).catch(String);
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    return browser.find()


@pytest.fixture
def look(chromium: str, tmp_path: Path) -> Look:
    """Fails too if the page writes anything to the console, such as an error or what its policy refused."""

    def at(document: Run | Comparison, script: str) -> Any:
        page.write(document, tmp_path / "report.html")
        frame = tmp_path / "frame.html"
        frame.write_text(_FRAME.replace("SCRIPT", script))
        opened = browser.open_page(chromium, frame, tmp_path / "profile")
        assert opened.console == []
        _, _, rest = opened.document.partition('<pre id="found">')
        return json.loads(unescape(rest.partition("</pre>")[0]))

    return at
