"""What the example's README shows is so."""

import json
import re
from pathlib import Path

import pytest
import yaml
from checkout.features import INPUTS
from checkout.orders import Order
from checkout.story import scores
from checkout.train import Trained, model_file
from infermesh.description.read import read

HERE = Path(__file__).parents[1]
TEXT = (HERE / "README.md").read_text()


def test_the_table_names_every_input_and_where_it_lies() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| `([\w.]+)` \|$", TEXT, re.MULTILINE)
    assert rows == [(each.name, each.datatype, ".".join(each.path)) for each in INPUTS]


def test_the_order_in_it_scores_as_it_says(repository: Path) -> None:
    found = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    document = json.loads(found[1])
    assert Order.model_validate(document).model_extra == {}
    (score,) = scores(model_file(repository), [document])
    (said,) = re.findall(r"risk: ([0-9.]+)", TEXT)
    assert float(said) == pytest.approx(score, abs=0.01)


def test_mesh_and_sidecar_say_the_same_of_an_order() -> None:
    mesh, sidecar = (yaml.safe_load((HERE / name).read_text()) for name in ("mesh.yaml", "sidecar.yaml"))
    assert mesh["apps"]["shop"]["enrich"] == sidecar["inbound"]["enrich"]


def test_in_a_cluster_there_are_several_and_one_host(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text((HERE / "mesh.yaml").read_text().replace("../../out/checkout/models", str(repository)))
    fraud, shop = read(file, "cluster").workloads.values()
    assert (fraud.name, fraud.models, fraud.placement.replicas) == ("fraud", ["fraud"], 2)
    assert (shop.name, shop.calls, shop.placement.replicas) == ("shop", ["fraud"], 2)


def test_its_figures_are_those_of_the_model(trained: Trained) -> None:
    quality, words = trained.quality, " ".join(TEXT.split())
    auc, ceiling = re.findall(
        r"an AUC of ([0-9.]+), where knowing the mechanism itself gives ([0-9.]+)\.", words
    )[0]
    assert [float(auc), float(ceiling)] == pytest.approx([quality.auc, quality.ceiling], abs=0.002)
    fraud, honest = re.findall(r"lie ([0-9.]+) % of the fraud and ([0-9.]+) % of the honest orders", words)[0]
    assert [float(fraud), float(honest)] == pytest.approx(
        [quality.fraud_held * 100, quality.honest_held * 100], abs=1
    )
