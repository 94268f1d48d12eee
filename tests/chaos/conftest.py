"""What the tests of faults have in common: upstreams of which one is hurt, and policies that hide it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fleet import Member, fleet

#: No test of faults may take longer: whoever waits for something gives up before.
SECONDS = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    """Three real servers for the tests of a module, each of which leaves them as they were."""
    with fleet(tmp_path_factory.mktemp("fleet")) as members:
        yield members
