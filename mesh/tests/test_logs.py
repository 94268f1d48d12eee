"""Log lines: Elastic Common Schema for machines, sentences for people."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from infermesh.logs import LogFormat, Selection, configure, ecs, in_traces


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.raiseExceptions)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.raiseExceptions = before[2]


def test_json_is_one_object_per_line_with_the_fields_of_ecs() -> None:
    stream = io.StringIO()
    assert configure(LogFormat.AUTO, {"service.name": "test"}, stream).format is LogFormat.JSON
    extra = ecs("server-ready", server__port=8001, absent=None)
    logging.getLogger("somewhere").info("on %d", 8001, extra=extra)
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert list(record)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]
    assert record["@timestamp"].endswith("Z")
    assert record["message"] == "on 8001"
    assert record["event.action"] == "server-ready"
    assert record["server.port"] == 8001
    assert record["service.name"] == "test"
    assert "absent" not in record


def test_an_exception_is_part_of_its_line() -> None:
    stream = io.StringIO()
    configure(LogFormat.JSON, {}, stream)
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("somewhere").exception("failed")
    record = json.loads(stream.getvalue())
    assert record["error.type"] == "ValueError"
    assert record["error.message"] == "odd"
    assert "test_logs.py" in record["error.stack_trace"]


def test_text_is_the_sentence_alone_and_marks_what_is_wrong() -> None:
    stream = io.StringIO()
    configure(LogFormat.TEXT, {}, stream)
    logging.getLogger("somewhere").info("all is well")
    logging.getLogger("somewhere").warning("less so")
    assert stream.getvalue() == "all is well\nWarning: less so\n"


def test_a_line_names_the_traces_that_it_belongs_to() -> None:
    stream = io.StringIO()
    configure(LogFormat.JSON, {}, stream)
    log = logging.getLogger("somewhere")
    with in_traces([("t1", "s1")]):
        log.info("one")
        log.info("own", extra={"ecs": {"trace.id": "t9"}})
    with in_traces([("t1", "s1"), ("t2", "s2"), ("t1", "s3")]):
        log.info("several")
    log.info("none")
    one, own, several, none = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (one["trace.id"], one["span.id"]) == ("t1", "s1")
    assert own["trace.id"] == "t9"
    assert (several["trace.ids"], "trace.id" in several) == (["t1", "t2"], False)
    assert not {"trace.id", "trace.ids"} & set(none)


def test_what_is_written_may_change() -> None:
    stream = io.StringIO()
    output = configure(LogFormat.TEXT, {}, stream)
    log = logging.getLogger("somewhere")
    log.debug("too much")
    output.select(Selection(info=False, verbose=1))
    log.debug("detail")
    log.info("hidden")
    output.select(Selection(error=False))
    log.error("hidden, too")
    log.info("shown")
    output.write_as(LogFormat.ISO8601)
    log.info("when")
    detail, shown, when = stream.getvalue().splitlines()
    assert (detail, shown) == ("detail", "shown")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z when", when)
