"""Pages as a browser shows them."""

from collections.abc import Callable
from typing import Any

import pytest
from infermesh_perf.results.document import Comparison, Run
from support import perf_documents

Look = Callable[[Run | Comparison, str], Any]

# A machine without a browser installs one first.
pytestmark = pytest.mark.timeout(600)

#: Every load at both widths: its charts in sight, those without marks, what does not fit.
_SURVEY = """
const choice = document.getElementById("detail");
const loads = choice ? [...choice.options].map((option) => option.value) : ["1"];
const found = [];
for (const width of [1280, 400]) for (const load of loads) {
  await resize(width);
  if (choice) {
    choice.value = load;
    choice.dispatchEvent(new Event("change"));
    await drawn();
  }
  const inSight = (element) => element.clientWidth > 0;
  const charts = [...document.querySelectorAll(".chart")].filter(inSight);
  const drawing = (chart) => chart.querySelector("svg").getBoundingClientRect();
  const named = (wanted) => charts.filter(wanted).map((chart) => chart.ariaLabel);
  found.push({
    figures: [...document.querySelectorAll("figure h3")].filter(inSight).map((title) => title.textContent),
    charts: charts.length,
    unmarked: named((chart) => !chart.querySelector("svg .role-mark :is(path[d], line)")),
    wider: document.documentElement.scrollWidth - window.innerWidth,
    cut: named((chart) => drawing(chart).width > chart.clientWidth + 1),
    narrower: named((chart) => drawing(chart).width < chart.clientWidth - 40),
  });
}
return found;
"""
_ABOVE = ["Latency over throughput", "Where the time goes"]
_COMPARED = ["B over A", "Latency by percentile at concurrency 16", "Where the time goes"]
_OF_A_LOAD = ["Latency by percentile", "Latency over time", "Batch sizes", "Send lag"]
_SOUND: dict[str, Any] = {"unmarked": [], "wider": 0, "cut": [], "narrower": []}

HOSTILE = "</script><img src=x onerror='parent.hacked=1;window.hacked=1'>{{ 7 * 7 }}<b>\"'&"


def short() -> Run:
    run = perf_documents.run()
    return run.model_copy(update={"levels": run.levels[3:5]})


@pytest.mark.parametrize(
    ("make", "above", "charts"),
    [
        (short, _ABOVE, [9, 9]),
        # Only the second load has errors over time; names may be of any length.
        (lambda: perf_documents.failing(hostile="x" * 200), _ABOVE, [9, 10]),
        (perf_documents.comparison, _COMPARED, [10, 10]),
    ],
)
def test_every_chart_is_drawn_within_the_window(
    make: Callable[[], Run | Comparison], above: list[str], charts: list[int], look: Look
) -> None:
    found = look(make(), _SURVEY)

    expected = [{"figures": above + _OF_A_LOAD, "charts": count, **_SOUND} for count in charts]
    assert found == expected * 2


def test_what_is_not_known_is_left_out(look: Look) -> None:
    assert look(perf_documents.unanswered(), _SURVEY) == [{"figures": [], "charts": 0, **_SOUND}] * 2


def test_nothing_measured_is_a_page_too(look: Look) -> None:
    script = """
    return [document.querySelector(".banner h2").textContent, document.querySelectorAll(".detail").length];
    """

    found = look(perf_documents.unanswered().model_copy(update={"levels": []}), script)

    assert found == ["INVALID: nothing was measured", 0]


def test_names_and_messages_are_text_and_nothing_else(look: Look) -> None:
    document = perf_documents.failing(hostile=HOSTILE)
    script = """
    window.location.hash = "load=2";
    await drawn();
    return {
      hacked: [window.hacked ?? 0, parent.hacked ?? 0],
      elements: document.querySelectorAll("img, b").length,
      title: document.querySelector("h1").textContent,
      banner: document.querySelector(".banner").textContent,
      told: document.querySelector(".detail:not([hidden])").textContent,
      raw: document.getElementById("raw").textContent,
    };
    """

    found = look(document, script)

    assert (found["hacked"], found["elements"]) == ([0, 0], 0)
    assert found["title"] == f"{HOSTILE} at localhost:8001"
    assert f"the target closed all connections: {HOSTILE}." in found["banner"]
    assert f"the queue is full {HOSTILE}" in found["told"]
    assert Run.model_validate_json(found["raw"]) == document


def test_the_theme_follows_the_address_and_the_button(look: Look) -> None:
    script = """
    const state = () => [
      window.getComputedStyle(document.body).backgroundColor,
      window.getComputedStyle(document.querySelector(".chart .mark-line path")).stroke,
      document.getElementById("theme").ariaPressed,
    ];
    const states = [];
    for (const hash of ["light", "dark"]) {
      window.location.hash = hash;
      await drawn();
      states.push(state());
    }
    document.getElementById("theme").click();
    return [...states, state()];
    """

    light, dark, again = look(short(), script)

    assert light == ["rgb(245, 246, 248)", "rgb(0, 114, 178)", "false"]
    assert dark == ["rgb(20, 23, 27)", "rgb(79, 168, 224)", "true"]
    assert again == light


def test_the_address_names_a_load(look: Look) -> None:
    script = """
    const found = [];
    for (const hash of ["load=2&dark", "result", "load=1", "load=99", "load=x"]) {
      window.location.hash = hash;
      await drawn();
      const shown = [...document.querySelectorAll(".detail:not([hidden]) > h3")];
      found.push([document.getElementById("detail").value, ...shown.map((title) => title.textContent)]);
    }
    return found;
    """

    second, first = ["2", "concurrency 32"], ["1", "concurrency 16"]
    assert look(short(), script) == [second, second, first, second, first]


def test_a_point_says_what_it_is(look: Look) -> None:
    script = """
    const point = document.querySelector(".chart path[aria-label*='load: concurrency 16']");
    const box = point.getBoundingClientRect();
    const at = { clientX: box.x + 3, clientY: box.y + 3, bubbles: true };
    for (const kind of ["pointermove", "mousemove"]) point.dispatchEvent(new window.MouseEvent(kind, at));
    await rest(100);
    const tooltip = document.getElementById("vg-tooltip-element");
    return [window.getComputedStyle(tooltip).visibility, tooltip.textContent];
    """

    visibility, text = look(short(), script)

    assert visibility == "visible"
    for part in ("concurrency 16", "p50", "3.59 ms", "4,198/s", "0 %"):
        assert part in text


def test_the_command_and_trace_ids_can_be_copied(look: Look) -> None:
    document = short()
    script = """
    const found = [];
    for (const button of [document.querySelector(".command .copy"), document.querySelector(".id .copy")]) {
      button.click();
      await rest(100);
      found.push([window.getSelection().toString(), button.textContent]);
    }
    return found;
    """

    (command, told), (trace, _) = look(document, script)

    assert command == "infermesh perf run -m digits -u localhost:8001 --slo 'p99<20ms,errors<0.1%'"
    assert trace == document.levels[0].slowest[0].trace_id
    # Whether a browser without a screen has a clipboard is its own affair.
    assert told in ("Copied", "Selected")


def test_the_raw_data_is_handed_out(look: Look) -> None:
    document = perf_documents.unanswered()
    script = """
    let saved;
    window.HTMLAnchorElement.prototype.click = function () {
      saved = [this.download, this.href.slice(0, 5)];
    };
    document.getElementById("download").click();
    return [...saved, document.getElementById("raw").textContent];
    """

    name, address, raw = look(document, script)

    assert (name, address) == ("infermesh-perf-run-20261126T123000.json", "blob:")
    assert Run.model_validate_json(raw) == document
