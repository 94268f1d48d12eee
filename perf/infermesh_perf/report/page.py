"""A result as one HTML file that needs nothing beside it: no network, no server, no other file.

The page states a content security policy that lets it load nothing and run two scripts only, which are named
by their hashes: what a model, a tag or an error message is called cannot become more than text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from functools import cache
from pathlib import Path

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infermesh_perf.report import contents, verdict
from infermesh_perf.report.charts.style import CONFIG, Spec
from infermesh_perf.results.document import Comparison, Run
from infermesh_perf.results.files import write_text


def write(document: Run | Comparison, path: Path) -> None:
    """Writes the page. Raises SetupError if it cannot be written."""
    write_text(path, render(document))


def render(document: Run | Comparison) -> str:
    """The whole page as text."""
    templates = _templates()
    scripts = [_bundle(), _source("page.js")]
    return templates.get_template("page.html").render(
        document=document,
        contents=contents.of(document),
        verdict=verdict.of(document),
        command=shlex.join(document.command),
        config=CONFIG,
        raw=_in_script(document.model_dump_json()),
        style=Markup(_source("page.css")),
        scripts=[Markup(script) for script in scripts],
        hashes=[_hash(script) for script in scripts],
    )


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["in_script"] = _spec
    return templates


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, put together when it is first asked for."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _source(name: str) -> str:
    loader = _templates().loader
    assert loader is not None
    return loader.get_source(_templates(), name)[0]


def _spec(spec: Spec) -> Markup:
    return _in_script(json.dumps(spec, separators=(",", ":"), allow_nan=False))


def _in_script(text: str) -> Markup:
    """JSON that cannot end the element around it: these characters only occur within its strings."""
    for char in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
