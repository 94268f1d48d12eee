"""docs/cli-reference.md."""

from pathlib import Path

from infermesh.command_reference import ELSEWHERE, reference

PAGE = Path(__file__).parents[2] / "docs" / "cli-reference.md"


def test_the_reference_is_that_of_the_commands() -> None:
    assert PAGE.read_text() == reference(), "python -m infermesh.command_reference > docs/cli-reference.md"


def test_it_has_every_command_of_its_own_and_the_way_to_the_others() -> None:
    page = reference()
    for name in ("identity issue", "render kubernetes", "render nomad", "serve", "up"):
        assert f"\n## infermesh {name}\n\n```\nUsage: infermesh {name} " in page
    for name, way in ELSEWHERE.items():
        assert f"\n## infermesh {name}\n" in page
        assert way in page
