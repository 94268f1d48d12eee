"""HCL as it is written."""

from infermesh.deploy.nomad.hcl import Attribute, Block, Expression, Value, attributes, block, text


def test_blocks_and_attributes() -> None:
    inner = block("check", name="ready", port=8000, inside=[block("restart", limit=3)])
    written = text([block("job", "shop", type="service", inside=[inner])])
    assert written.splitlines() == [
        'job "shop" {',
        '  type = "service"',
        "",
        "  check {",
        '    name = "ready"',
        "    port = 8000",
        "",
        "    restart {",
        "      limit = 3",
        "    }",
        "  }",
        "}",
    ]


def test_values() -> None:
    values: dict[str, Value] = {
        "yes": True,
        "no": False,
        "one": 1,
        "call": Expression('file("x")'),
        "list": ["a", 2],
        "none": [],
    }
    assert text(attributes(values)).splitlines() == [
        "yes = true",
        "no = false",
        "one = 1",
        'call = file("x")',
        'list = ["a", 2]',
        "none = []",
    ]


def test_mappings_and_long_lists() -> None:
    written = text([Attribute("env", {"A": "x", "B.C": "y"}), Attribute("args", ["x" * 50, "y" * 50])])
    assert written.splitlines() == [
        "env = {",
        '  A = "x"',
        '  "B.C" = "y"',
        "}",
        "args = [",
        f'  "{"x" * 50}",',
        f'  "{"y" * 50}",',
        "]",
    ]


def test_nothing_in_text_is_evaluated() -> None:
    written = text([Block("a", ['"${x}"'], [Attribute("b", 'q" \\ ${v} %{if} $x\n\x07é')])])
    assert written.splitlines()[0] == r'a "\"$${x}\"" {'
    assert written.splitlines()[1] == r'  b = "q\" \\ $${v} %%{if} $x\n\U00000007é"'
