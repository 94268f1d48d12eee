"""Files of identities are replaced under a load that passes TLS between two proxies: nobody notices."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from infermesh.identity.authority import Authority
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from support.client import Client
from support.fleet import REQUEST
from support.holders import Holder, authority, peer_serial
from support.proxy import Proxy, listener, nanos, proxying, upstream
from support.scripted_upstream import ScriptedUpstream, scripted
from support.steady_load import SteadyLoad

RATE = 150.0
SECONDS = 10.0

#: Connections are replaced after this time, so that the load makes new ones all the time.
AGE_SECONDS = 0.2


@dataclass
class Mesh:
    """A load's way: the shop's proxy, that of fraud, its server. And a witness of what the shop shows."""

    shop: Holder
    fraud: Holder
    witness: Holder
    shop_proxy: Proxy
    fraud_proxy: Proxy
    witness_tls: ssl.SSLContext
    witness_server: ScriptedUpstream

    def renew(self, by: Authority, *trusts: Authority) -> None:
        """Everybody gets new files; returns when new connections show them."""
        for holder in (self.witness, self.fraud, self.shop):
            holder.renew(by, *trusts)
        self.witness.load(self.witness_tls)
        until(lambda: self._shown_by_fraud() == self.fraud.serial)
        until(lambda: self._shown_by_shop() == self.shop.serial)

    def _shown_by_fraud(self) -> int:
        port = self.fraud_proxy.port("inbound")
        with (
            socket.create_connection(("127.0.0.1", port), SECONDS) as plain,
            self.shop.client().wrap_socket(plain) as secured,
        ):
            return peer_serial(secured)

    def _shown_by_shop(self) -> int | None:
        with Client(self.shop_proxy.target("to_witness")) as client:
            client.infer(REQUEST)
        return self.witness_server.links[-1].serial


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "the new certificate is not shown"
        time.sleep(0.05)


@pytest.fixture
def first() -> Authority:
    return authority()


@pytest.fixture
def mesh(tmp_path: Path, first: Authority) -> Iterator[Mesh]:
    shop, fraud, witness = (Holder(name, tmp_path / name) for name in ("shop", "fraud", "witness"))
    for holder in (shop, fraud, witness):
        holder.renew(first, first)
    witness_tls = witness.server()
    with ExitStack() as stack:
        server = stack.enter_context(scripted())
        witness_server = stack.enter_context(scripted(tls=witness_tls))
        fraud_proxy = stack.enter_context(proxying(of_fraud(fraud, shop, server.port), tmp_path))
        config = of_shop(shop, {fraud: fraud_proxy.port("inbound"), witness: witness_server.port})
        shop_proxy = stack.enter_context(proxying(config, tmp_path))
        yield Mesh(shop, fraud, witness, shop_proxy, fraud_proxy, witness_tls, witness_server)


def of_fraud(fraud: Holder, shop: Holder, port: int) -> pb.ProxyConfig:
    inbound = listener("inbound", pb.Route())
    inbound.tls = pb.LISTENER_TLS_MUTUAL
    inbound.permissions.add(identities=[shop.id])
    return pb.ProxyConfig(
        name="fraud", identity=fraud.files, listeners=[inbound], clusters=[upstream([port], pb.Cluster())]
    )


def of_shop(shop: Holder, servers: dict[Holder, int]) -> pb.ProxyConfig:
    """A listener for each server; without retries, which would hide what is to be seen."""
    return pb.ProxyConfig(
        name="shop",
        identity=shop.files,
        listeners=[listener(f"to_{server.name}", pb.Route(cluster=server.name)) for server in servers],
        clusters=[
            upstream(
                [port],
                pb.Cluster(
                    name=server.name,
                    tls=pb.UpstreamTls(identities=[server.id]),
                    pool=pb.Pool(max_age_ns=nanos(AGE_SECONDS)),
                ),
            )
            for server, port in servers.items()
        ],
    )


def test_identities_and_authorities_are_replaced_under_load(mesh: Mesh, first: Authority) -> None:
    second = authority()
    with SteadyLoad(mesh.shop_proxy.target("to_fraud"), REQUEST, RATE) as load:
        load.wait_until_well(50)
        mesh.renew(first, first)
        # The second authority is trusted before it has issued anything, the first as long as it stands for
        # anybody.
        mesh.renew(first, first, second)
        mesh.renew(second, first, second)
        mesh.renew(second, second)
        load.wait_until_well(50)
    assert load.told.failed == 0, load.told
    assert load.told.ok == load.told.sent
