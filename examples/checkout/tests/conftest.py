"""A trained model and a shop that runs, for all tests of the example."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout.data import Document, generate
from checkout.train import Trained, train, write_repository
from support.shop import Shop, open_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop for the tests of a module, which find each other's orders in its book."""
    with open_shop(tmp_path_factory.mktemp("shop") / "shop.log") as shop:
        yield shop


@pytest.fixture
def new_shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose book is empty."""
    with open_shop(tmp_path / "shop.log") as shop:
        yield shop


@pytest.fixture
def document() -> Document:
    """An order."""
    return generate(1, seed=3).documents[0]


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train()


@pytest.fixture(scope="session")
def repository(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout") / "models"
    write_repository(trained, folder)
    return folder
