import io
import json

from infermesh.launch.lines import json_lines, read, text_lines
from rich.console import Console

RECORD = json.dumps({"message": "Ready", "log.level": "info", "service.name": "models"})


def test_a_record_is_shown_as_what_it_says() -> None:
    output = io.StringIO()
    say = text_lines(Console(file=output, width=80), 6)
    say("models", RECORD)
    say("shop", "[not a style] and {no record}")
    assert output.getvalue().splitlines() == ["models │ Ready", "shop   │ [not a style] and {no record}"]


def test_an_error_comes_with_its_traceback() -> None:
    record = {"message": "failed", "log.level": "error", "error.stack_trace": "Traceback\n  here"}
    assert read(json.dumps(record)) == ("error", "failed\nTraceback\n  here")


def test_what_is_no_record_is_a_line() -> None:
    for line in ("", "{", '{"a": 1}', "[1]", "plain"):
        assert read(line) == ("", line)


def test_as_json_every_line_is_an_object_with_its_process() -> None:
    output = io.StringIO()
    say = json_lines(output)
    say("models", RECORD)
    say("shop", "plain")
    first, second = map(json.loads, output.getvalue().splitlines())
    assert first == {**json.loads(RECORD), "infermesh.process": "models"}
    assert second == {"message": "plain", "infermesh.process": "shop"}
