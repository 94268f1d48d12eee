"""`infermesh identity`: what the commands write and print, their exit codes, what they say is wrong."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from infermesh.identity import pem, store
from infermesh.identity.authority import Authority
from infermesh.identity.layout import DEFAULT_FOLDER, read_file
from infermesh.identity.request import Request
from rich.console import Console
from support import svids
from support.identity_command import Command, Watching

SHOP = DEFAULT_FOLDER / "shop"


@pytest.fixture
def made(identity: Command) -> Command:
    """With an authority."""
    assert identity("init").code == 0
    return identity


def leaf(folder: Path) -> x509.Certificate:
    return pem.certificates(read_file(folder / "tls.crt"))[0]


def fields(text: str) -> Any:
    return json.loads(text)


def issue_at(moment: datetime, folder: Path = SHOP) -> None:
    """As the command would have then."""
    authority = Authority.create("local.infermesh", moment)
    store.save_identity(folder, authority.issue(Request.of("local.infermesh", "shop"), moment), authority)


def test_init(identity: Command) -> None:
    outcome = identity("init")

    assert outcome.code == 0
    assert outcome.out.startswith("Authority of spiffe://local.infermesh, until ")
    assert ".infermesh/identity/ca.crt" in outcome.out
    assert outcome.err == ""
    assert (DEFAULT_FOLDER / "ca.key").stat().st_mode & 0o777 == 0o600
    assert DEFAULT_FOLDER.stat().st_mode & 0o777 == 0o700
    assert (DEFAULT_FOLDER / ".gitignore").read_text() == "*\n"


def test_init_elsewhere(identity: Command) -> None:
    assert identity("init", "--dir", "a/b", "--trust-domain", "test.example").code == 0

    assert store.load_authority(Path("a/b")).trust_domain == "test.example"
    assert not DEFAULT_FOLDER.exists()


def test_init_does_not_replace_an_authority_unless_told_to(made: Command) -> None:
    before = (DEFAULT_FOLDER / "ca.key").read_bytes()

    outcome = made("init")
    assert outcome.code == 2
    assert "there is an authority in .infermesh/identity already" in outcome.err
    assert "--force" in outcome.err
    assert (DEFAULT_FOLDER / "ca.key").read_bytes() == before

    assert made("init", "--force").code == 0
    assert (DEFAULT_FOLDER / "ca.key").read_bytes() != before
    # It belongs to the certificate beside it.
    store.load_authority(DEFAULT_FOLDER)


def test_a_part_of_an_authority_is_one(identity: Command) -> None:
    DEFAULT_FOLDER.mkdir(parents=True)
    (DEFAULT_FOLDER / "ca.key").write_text("precious")

    assert identity("init").code == 2
    outcome = identity("init", "--force")
    assert outcome.code == 1
    assert "ca.key is there and was not written by infermesh identity" in outcome.err
    assert (DEFAULT_FOLDER / "ca.key").read_text() == "precious"


def test_init_with_a_wrong_trust_domain_writes_nothing(identity: Command) -> None:
    outcome = identity("init", "--trust-domain", "Local")

    assert outcome.code == 2
    assert "trust domain 'Local' has 'L', expected lower-case letters" in outcome.err
    assert not DEFAULT_FOLDER.exists()


def test_issue(made: Command) -> None:
    outcome = made("issue", "shop", "--dns", "localhost", "--dns", "shop", "--ip", "127.0.0.1", "--ttl", "1h")

    assert outcome.code == 0
    assert outcome.err == ""
    certificate = leaf(SHOP)
    assert outcome.out.splitlines() == [
        f"spiffe://local.infermesh/shop, until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC",
        *(f"  {SHOP / name}" for name in ("tls.crt", "tls.key", "ca.crt")),
    ]
    assert pem.uris(certificate) == ["spiffe://local.infermesh/shop"]
    assert pem.names(certificate).get_values_for_type(x509.DNSName) == ["localhost", "shop"]
    assert pem.private_key(read_file(SHOP / "tls.key")).public_key() == certificate.public_key()
    assert (SHOP / "ca.crt").read_bytes() == (DEFAULT_FOLDER / "ca.crt").read_bytes()
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(minutes=58) < left <= timedelta(hours=1)


def test_issue_without_host_names_says_what_that_means(made: Command) -> None:
    outcome = made("issue", "spiffe://local.infermesh/shop/web")

    assert outcome.code == 0
    assert "No host names" in outcome.out
    assert pem.uris(leaf(DEFAULT_FOLDER / "shop" / "web")) == ["spiffe://local.infermesh/shop/web"]


def test_issue_again_is_a_renewal(made: Command) -> None:
    made("issue", "shop")
    before = leaf(SHOP)

    assert made("issue", "shop").code == 0
    assert leaf(SHOP).serial_number != before.serial_number
    assert leaf(SHOP).public_key() != before.public_key()


def test_issue_into_a_folder(made: Command) -> None:
    assert made("issue", "shop", "-o", "certs").code == 0
    assert made("issue", "shop", "--output", "certs").code == 0

    outcome = made("issue", "fraud", "-o", "certs")
    assert outcome.code == 2
    assert "certs has the identity of spiffe://local.infermesh/shop" in outcome.err
    assert pem.uris(leaf(Path("certs"))) == ["spiffe://local.infermesh/shop"]

    assert made("issue", "fraud", "-o", "certs", "--force").code == 0
    assert pem.uris(leaf(Path("certs"))) == ["spiffe://local.infermesh/fraud"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["Shop!"], 2, "'!'"),
        (["spiffe://other/shop"], 2, "the authority here speaks for local.infermesh"),
        (["shop", "--ttl", "tomorrow"], 2, "--ttl: found 'tomorrow', expected a time such as"),
        (["shop", "--ttl", "9000d"], 2, "its authority ends before that"),
        (["shop", "--dns", "a b"], 2, "--dns: found 'a b'"),
        (["shop", "--ip", "localhost"], 2, "--ip: found 'localhost'"),
        ([".shop"], 2, "would be hidden"),
        (["..data/x"], 2, "would be hidden"),
        (["ca.crt"], 1, "cannot write .infermesh/identity/ca.crt"),
        ([], 2, "NAME"),
    ],
)
def test_issue_what_cannot_be(made: Command, arguments: list[str], code: int, said: str) -> None:
    outcome = made("issue", *arguments)

    assert outcome.code == code
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not SHOP.exists()


def test_issue_without_an_authority(identity: Command) -> None:
    outcome = identity("issue", "shop")

    assert outcome.code == 2
    assert "there is no authority in .infermesh/identity: ca.crt is missing" in outcome.err
    assert "infermesh identity init" in outcome.err


def test_issue_from_an_authority_that_is_none(identity: Command) -> None:
    root, folder = svids.authority(), DEFAULT_FOLDER
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(root.pem)
    (folder / "ca.key").write_bytes(svids.authority().key_pem)
    outcome = identity("issue", "shop")
    assert outcome.code == 1
    assert "ca.key is not the key of .infermesh/identity/ca.crt" in outcome.err

    nobody = svids.authority(uri=None)
    (folder / "ca.crt").write_bytes(nobody.pem)
    (folder / "ca.key").write_bytes(nobody.key_pem)
    outcome = identity("issue", "shop")
    assert outcome.code == 1
    assert "is not the certificate of a SPIFFE authority" in outcome.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watch_stays_until_it_is_asked_to_end(made: Command, tmp_path: Path, number: int) -> None:
    watching = Watching(tmp_path, "shop", "--dns", "localhost")
    before = leaf(SHOP)

    outcome = watching.end(number)

    assert outcome.code == 0, outcome
    assert outcome.err == ""
    assert leaf(SHOP) == before
    assert made("show", SHOP).code == 0


def test_watch_issues_anew_in_the_same_place(made: Command, tmp_path: Path) -> None:
    # As short as it can be: some seven seconds until it is due.
    watching = Watching(tmp_path, "shop", "--dns", "localhost", "--ttl", "10s")
    before = leaf(SHOP)

    record = json.loads(watching.wait_for("identity-renewed"))
    after = leaf(SHOP)
    outcome = watching.end(signal.SIGTERM)

    assert outcome.code == 0, outcome
    assert record["message"].startswith("Issued anew, until ")
    assert after.serial_number != before.serial_number
    assert pem.names(after) == pem.names(before)
    assert made("show", SHOP).code == 0


def test_watch_that_cannot_issue_at_first_ends(identity: Command, tmp_path: Path) -> None:
    outcome = identity("issue", "shop", "--watch")

    assert outcome.code == 2
    assert "there is no authority" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_show(made: Command) -> None:
    made("issue", "shop", "--dns", "localhost", "--ip", "::1")

    outcome = made("show", SHOP)

    assert outcome.code == 0
    assert outcome.err == ""
    said = outcome.out
    assert said.startswith("spiffe://local.infermesh/shop\n")
    for line in (
        "  issuer  CN=local.infermesh,O=infermesh development\n",
        "  left    23 h 59 min (100 %)\n",
        "  names   DNS localhost, IP ::1\n",
        "  usages  serverAuth, clientAuth\n",
        "  key     EC P-256, fits the certificate\n",
        f"  trust   CN=local.infermesh,O=infermesh development, in {SHOP}/ca.crt\n",
    ):
        assert line in said
    assert "\x1b" not in said
    assert "problem" not in said
    # The certificate's own name stands for all of it.
    assert made("show", SHOP / "tls.crt").out.splitlines()[0] == said.splitlines()[0]


def test_show_as_json(made: Command) -> None:
    made("issue", "shop", "--dns", "localhost")

    outcome = made("show", SHOP, "--format", "json")

    assert outcome.code == 0
    said, certificate = fields(outcome.out), leaf(SHOP)
    assert said["spiffe_id"] == "spiffe://local.infermesh/shop"
    assert said["valid"] is True
    assert said["problems"] == []
    assert datetime.fromisoformat(said["not_after"]) == certificate.not_valid_after_utc
    assert datetime.fromisoformat(said["not_before"]) == certificate.not_valid_before_utc
    assert 0.98 < said["share_left"] < 1
    assert said["key"] == {"kind": "EC P-256", "fits": True}
    assert int(said["serial_number"], 16) == certificate.serial_number
    assert said["bundle"]["trusted_by"] == "CN=local.infermesh,O=infermesh development"


def test_show_what_is_over(identity: Command) -> None:
    issue_at(datetime.now(UTC) - timedelta(days=2))

    outcome = identity("show", SHOP)

    assert outcome.code == 1
    assert "  left    none\n" in outcome.out
    assert "due for 1 d" in outcome.out
    assert "  problem it expired 1 d ago, on " in outcome.out
    assert "  remedy  issue it anew" in outcome.out
    outcome = identity("show", SHOP, "--format", "json")
    assert outcome.code == 1
    said = fields(outcome.out)
    assert said["valid"] is False
    assert said["seconds_left"] == 0
    assert "expired" in said["problems"][0]["what"]


def test_show_what_is_due_for_renewal_is_in_order(identity: Command) -> None:
    issue_at(datetime.now(UTC) - timedelta(hours=20))

    outcome = identity("show", SHOP)

    assert outcome.code == 0
    assert "due for " in outcome.out
    assert "  left    3 h 59 min (17 %)\n" in outcome.out


def test_show_an_authority_and_what_it_has_issued(made: Command) -> None:
    assert "Nothing is issued yet" in made("show").out
    made("issue", "shop")
    made("issue", "shop/web")

    outcome = made("show")

    assert outcome.code == 0
    assert outcome.out.startswith("authority of spiffe://local.infermesh\n")
    assert "it can issue" in outcome.out
    rows = [line.split() for line in outcome.out.splitlines() if line.startswith("spiffe://")]
    assert [row[0] for row in rows] == ["spiffe://local.infermesh/shop", "spiffe://local.infermesh/shop/web"]
    assert {row[-1] for row in rows} == {"valid"}
    said = fields(made("show", "--format", "json").out)
    assert said["authority"]["key"]["fits"] is True
    assert [it["path"] for it in said["identities"]] == [str(SHOP), str(SHOP / "web")]


def test_show_what_was_issued_by_the_authority_before(made: Command) -> None:
    made("issue", "shop")
    made("init", "--force")

    # By itself it is whole: those who were issued with it still believe it.
    assert made("show", SHOP).code == 0
    outcome = made("show")
    assert outcome.code == 1
    assert "has another key than the one that issued it" in outcome.out

    made("issue", "shop")
    assert made("show").code == 0


def test_show_goes_on_after_what_cannot_be_read(made: Command) -> None:
    made("issue", "shop")
    (DEFAULT_FOLDER / "broken").mkdir()
    (DEFAULT_FOLDER / "broken" / "tls.crt").write_text("nothing")

    outcome = made("show")

    assert outcome.code == 1
    assert "broken/tls.crt holds no certificate in PEM" in outcome.out
    assert "spiffe://local.infermesh/shop " in outcome.out
    said = fields(made("show", "--format", "json").out)
    assert [it["valid"] for it in said["identities"]] == [False, True]


def test_show_a_file(made: Command, tmp_path: Path) -> None:
    outcome = made("show", DEFAULT_FOLDER / "ca.crt")
    assert outcome.code == 0
    assert "authority of spiffe://local.infermesh" in outcome.out
    made("issue", "shop")
    together = tmp_path / "together.pem"
    together.write_bytes((SHOP / "tls.crt").read_bytes() + (SHOP / "tls.key").read_bytes())

    outcome = made("show", together)
    assert outcome.code == 0
    assert "fits the certificate" in outcome.out
    assert "trust" not in outcome.out

    outcome = made("show", SHOP / "tls.key")
    assert outcome.code == 1
    assert "tls.key holds no certificate in PEM" in outcome.err


def test_show_against_the_authorities_of_the_other_side(made: Command) -> None:
    made("issue", "shop")
    made("init", "--dir", "other", "--trust-domain", "other.example")

    assert made("show", SHOP, "--ca", DEFAULT_FOLDER / "ca.crt").code == 0
    outcome = made("show", SHOP, "--ca", "other/ca.crt")
    assert outcome.code == 1
    assert "which is not in other/ca.crt: there is CN=other.example" in outcome.out
    outcome = made("show", SHOP, "--ca", "nowhere")
    assert outcome.code == 1
    assert "cannot read nowhere" in outcome.err
    outcome = made("show", DEFAULT_FOLDER / "ca.crt", "--ca", "other/ca.crt")
    assert outcome.code == 2
    assert "--ca is what an identity is held against" in outcome.err


@pytest.mark.parametrize(
    "names", [("svid.pem", "svid_key.pem", "svid_bundle.pem"), ("svid.0.pem", "svid.0.key", "bundle.0.pem")]
)
def test_show_the_files_of_spire(made: Command, tmp_path: Path, names: tuple[str, ...]) -> None:
    made("issue", "shop")
    spire = tmp_path / "spire"
    spire.mkdir()
    for own, name in zip(("tls.crt", "tls.key", "ca.crt"), names, strict=True):
        (spire / name).write_bytes((SHOP / own).read_bytes())

    outcome = made("show", spire)
    assert outcome.code == 0
    assert outcome.out.startswith("spiffe://local.infermesh/shop\n")

    (spire / names[1]).write_bytes((DEFAULT_FOLDER / "ca.key").read_bytes())
    outcome = made("show", spire)
    assert outcome.code == 1
    assert f"{names[1]} is not that of the certificate" in outcome.out


def test_show_where_nothing_is(identity: Command, tmp_path: Path) -> None:
    outcome = identity("show")
    assert outcome.code == 2
    assert ".infermesh/identity does not exist" in outcome.err
    assert "infermesh identity init" in outcome.err
    (tmp_path / "empty").mkdir()
    assert identity("show", "empty").code == 2
    assert identity("show", "--format", "xml").code == 2


def test_a_terminal_has_colours(made: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    made("issue", "shop")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    assert Console().is_terminal

    outcome = made("show")

    assert "\x1b[" in outcome.out
    made("init", "--force")
    assert "\x1b[31mbroken" in made("show").out


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["init", "-h"], ["issue", "-h"], ["show", "-h"]])
def test_help(identity: Command, arguments: list[str]) -> None:
    outcome = identity(*arguments)

    assert outcome.code == 0
    assert outcome.out.startswith("Usage: infermesh identity")


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from infermesh.cli import main\n"
        "try:\n"
        "    main(['identity', '--help'])\n"
        "finally:\n"
        "    print('heavy:', {'cryptography', 'rich', 'grpc', 'infermesh_native'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )

    assert "heavy: set()" in done.stdout
