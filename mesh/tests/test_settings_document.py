"""YAML with the line of every field."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh.settings.document import OptionsDocument, YamlDocument, as_written, dotted

TEXT = """\
name: shop

services:
  fraud:
    endpoints:
    - 10.0.0.1:8001
    - 10.0.0.2:8001
  catalog: {dns: "catalog:8001",
    timeout: 5s}
8001: text
"""


def parse(text: str) -> YamlDocument:
    return YamlDocument.parse(text, "it.yaml")


def test_every_field_has_its_line() -> None:
    document = parse(TEXT)
    assert document.place(("services", "fraud", "endpoints", 1)) == "it.yaml:7: services.fraud.endpoints[1]"
    assert document.place(("services", "catalog", "timeout")) == "it.yaml:9: services.catalog.timeout"
    assert document.place(("8001",)) == "it.yaml:10: 8001"
    assert document.place(()) == "it.yaml:1"


def test_what_is_not_written_is_where_it_belongs() -> None:
    document = parse(TEXT)
    assert document.place(("services", "fraud", "dns")) == "it.yaml:4: services.fraud.dns"
    assert document.place(("outbound",)) == "it.yaml:1: outbound"


def test_short_forms_have_no_steps_of_their_own() -> None:
    data = {"inbound": {"app": "127.0.0.1:5000"}, "tags": "a"}
    assert as_written(data, ("inbound", 0, "app", "address")) == ("inbound", "app")
    assert as_written(data, ("tags", 0)) == ("tags",)
    assert as_written(data, ("inbound", 0, "listen")) == ("inbound", "listen")
    assert as_written({"list": [{"a": 1}]}, ("list", 0, "a")) == ("list", 0, "a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        # What YAML 1.1 takes for booleans, numbers to the base of 60, octal numbers and dates.
        ("off", "off"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("10", 10),
        ("-3", -3),
        ("0x10", 16),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!int one", "one"),
        ("!custom 1", "1"),
        ("1" * 5000, "1" * 5000),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_what_is_merged_gives_way_to_what_is_written() -> None:
    document = parse("""\
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
one:
  <<: *base
  a: 9
both: {<<: [*base, *other]}
""")
    assert document.data["one"] == {"a": 9, "b": 2}
    assert document.data["both"] == {"a": 1, "b": 2, "c": 4}
    assert document.place(("one", "a")) == "it.yaml:5: one.a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "it.yaml:2: a: found a second one, expected it once"),
        ("a: {b: 1,\n b: 2}", "it.yaml:2: a.b: found a second one, expected it once"),
        ("a: [1", "it.yaml:1: found no YAML"),
        ("a:\n\t- b", "it.yaml:2: found no YAML"),
        ("a: b: c", "it.yaml:1: found no YAML: mapping values are not allowed here"),
        ("a: *b", "it.yaml:1: found no YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "it.yaml:2: found no YAML"),
        ("a: &x\n  b: *x", "it.yaml:2: a.b: found an alias of what it is part of"),
        ("? {a: 1}\n: 2", "it.yaml:1: found a name that is a mapping or a list, expected text"),
        ("a:\n  <<: 1", "a.<<: found something else than a mapping to merge"),
        ("\x00", "it.yaml: found no YAML"),
    ],
)
def test_what_is_no_document_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert str(caught.value).splitlines() == [
        "it.yaml:2: a: found a second one, expected it once",
        "it.yaml:3: b.c: found a second one, expected it once",
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read: No such file"):
        YamlDocument.read(tmp_path / "nowhere.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: \xe9t\xe9")
    with pytest.raises(ConfigurationError, match="found no UTF-8"):
        YamlDocument.read(latin)
    with pytest.raises(ConfigurationError, match="Is a directory"):
        YamlDocument.read(tmp_path)


def test_an_empty_file_is_an_empty_document(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.touch()
    document = YamlDocument.read(file)
    assert document.data == {}
    assert document.place(("name",)) == f"{file}:1: name"


def test_a_command_line_is_a_document_whose_places_are_options() -> None:
    data = {"outbound": {"listen": "x"}, "services": {"upstream": {"endpoints": ["a", "b"]}}}
    document = OptionsDocument(
        "the command line",
        data,
        {("outbound", "listen"): "--listen", ("services", "upstream", "endpoints"): "--upstream"},
    )
    assert document.place(("outbound", "listen")) == "--listen"
    assert document.place(("services", "upstream", "endpoints", 1)) == "--upstream"
    assert document.place(("services", "upstream")) == "services.upstream"


def test_dotted() -> None:
    assert dotted(()) == ""
    assert dotted(("a", 0, "b")) == "a[0].b"
