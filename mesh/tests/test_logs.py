"""Log lines: Elastic Common Schema for machines, sentences for people."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from infermesh.logs import LogFormat, configure, ecs


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
