"""What the parts of sidecar.yaml keep together: each mistake has its place, and all are told at once."""

import pytest
from support.sidecar_settings import mistakes, read

SERVICE = 'services: {a: {endpoints: "h:1"}}\n'
INBOUND = 'inbound: {listen: "h:1", app: "h:2"}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "sidecar.yaml:1: found neither inbound nor outbound, expected one of them, or both"),
        ('outbound: {listen: "h:2"}', "outbound: found no services, expected services at the top"),
        # Where a service is.
        (INBOUND + "services: {a: {}}", "services.a: found nothing that says where it is, expected one of"),
        (
            INBOUND + 'services: {a: {endpoints: "h:1", dns: "h:1"}}',
            "sidecar.yaml:2: services.a: found endpoints and dns, expected one of endpoints, dns, endp",
        ),
        (
            INBOUND + 'services: {a: {dns: "h:0"}}',
            "services.a.dns: found 'h:0', expected a port from 1 to 65535",
        ),
        (INBOUND + 'services: {app: {endpoints: "h:1"}}', "services.app: found 'app', expected another"),
        # Names of services.
        (
            SERVICE + 'outbound: {listen: "h:2", service: b}',
            "sidecar.yaml:2: outbound.service: found 'b', which is no service, expected one of a",
        ),
        (
            'services: {fraud: {endpoints: "h:1"}}\noutbound: {listen: "h:2", routes: [{service: fruad}]}',
            "outbound.routes[0].service: found 'fruad', which is no service, expected fraud",
        ),
        (
            'services: {a: {endpoints: "h:1"}, b: {endpoints: "h:1"}}\noutbound: {listen: "h:2", routes: {}}',
            "outbound.routes.service: is missing, expected one of a, b",
        ),
        # Splits.
        (
            SERVICE.replace("}}", ", split: {b: 1%}}}") + 'outbound: {listen: "h:2"}',
            "sidecar.yaml:1: services.a.split.b: found 'b', which is no service, expected",
        ),
        (
            SERVICE.replace("}}", ", split: {a: 1%}}}") + 'outbound: {listen: "h:2"}',
            "services.a.split.a: found 'a' itself, expected another service",
        ),
        (
            'services:\n  a: {endpoints: "h:1", split: {b: 1%}}\n  b: {endpoints: "h:1", split: {c: 1%}}\n'
            '  c: {endpoints: "h:1"}\n' + INBOUND,
            "sidecar.yaml:2: services.a.split.b: found 'b', whose requests are split too, expected a service",
        ),
        (
            'services:\n  a:\n    endpoints: "h:1"\n    split:\n      b: 70%\n      c: 0.4\n'
            '  b: {endpoints: "h:1"}\n  c: {endpoints: "h:1"}\n' + INBOUND,
            "sidecar.yaml:6: services.a.split.c: found 40%, expected no more than the 30% left",
        ),
        (
            'services: {a: {endpoints: "h:1", split: {b: 0.00015%}}, b: {endpoints: "h:1"}}\n' + INBOUND,
            "services.a.split.b: found 0.00015%, expected 0.0001% or a multiple of it",
        ),
        (
            'services: {a: {endpoints: "h:1", split: {b: 0%}}, b: {endpoints: "h:1"}}\n' + INBOUND,
            "services.a.split.b: found '0%', expected a share above 0%",
        ),
        (
            'services: {a: {endpoints: "h:1", split: {b: 1%}}, b: {endpoints: "h:1", protocol: http1}}\n'
            + INBOUND,
            "services.a.split.b: found 'b', whose protocol is http1, expected one that takes gRPC",
        ),
        # Policies.
        (
            SERVICE.replace("}}", ", retry: {backoff_base: 1s}}}") + 'outbound: {listen: "h:2"}',
            "services.a.retry.backoff_base: found more than backoff_max",
        ),
        (
            INBOUND.replace("}", ", timeout: 1s, retry: {per_try_timeout: 2s}}"),
            "inbound.retry.per_try_timeout: found more than timeout",
        ),
        (
            INBOUND.replace("}", ", hedge: {delay: 1ms, quantile: 50%}}"),
            "inbound.hedge.quantile: found beside delay, expected one of the two",
        ),
        (
            INBOUND.replace("}", ", rate_limit: {rate: 1, key: header}}"),
            "inbound.rate_limit.header: is missing, expected the header that is the key",
        ),
        (
            INBOUND.replace("}", ", rate_limit: {rate: 1, header: x}}"),
            "inbound.rate_limit.key: found 'all' beside header, expected 'header'",
        ),
        (
            INBOUND.replace("}", ", concurrency: {limit: 3, min: 1}}"),
            "inbound.concurrency.limit: found beside min or max",
        ),
        (
            INBOUND.replace("}", ", concurrency: {min: 9, max: 8}}"),
            "inbound.concurrency.min: found 9, expected 8 at most, as max is",
        ),
        (
            INBOUND.replace("}", ", capture: true}"),
            "inbound.capture: found without capture at the top, expected it, with a directory",
        ),
        (
            SERVICE.replace("}}", ", breaker: {backoff_base: 2m}}}") + INBOUND,
            "services.a.breaker.backoff_base: found more than backoff_max",
        ),
        (
            SERVICE.replace("}}", ", outlier: {base_ejection: 10m}}}") + INBOUND,
            "services.a.outlier.base_ejection: found more than max_ejection",
        ),
        (
            SERVICE.replace("}}", ", health_check: {path: /a, service: b}}}") + INBOUND,
            "services.a.health_check.service: found beside path, expected one of the two",
        ),
        (
            SERVICE.replace("}}", ", protocol: http1, transcode: true}}") + INBOUND,
            "services.a.transcode: found beside protocol: http1, expected another: gRPC needs HTTP/2",
        ),
        (
            SERVICE + 'outbound: {listen: "h:2", routes: {strip_prefix: /a}}',
            "outbound.routes.strip_prefix: found where REST becomes gRPC",
        ),
        # Identities.
        (
            SERVICE.replace("}}", ", identities: x}}") + INBOUND,
            "identities: found for a service that is spoken to in plaintext, expected identity at the top",
        ),
        (
            SERVICE.replace("}}", ", tls: mutual}}") + INBOUND,
            "services.a.tls: found 'mutual' without an identity, expected identity at the top",
        ),
        (
            "identity: {directory: d}\n" + SERVICE.replace("}}", ", tls: off, server_name: x}}") + INBOUND,
            "server_name: found for a service that is spoken to in plaintext, expected tls: mutual",
        ),
        (INBOUND.replace("}", ", tls: mutual}"), "inbound.tls: found 'mutual' without an identity"),
        (
            INBOUND.replace("}", ", allow: {identities: x}}"),
            "inbound.allow.identities: found where peers speak plaintext, expected tls: mutual",
        ),
        ("identity: {}\n" + INBOUND, "identity: found no certificate, key, authorities, expected directory"),
        (
            "identity: {directory: d, key: k}\n" + INBOUND,
            "identity.key: found beside directory, expected one of the two",
        ),
        (
            "tls: mesh\nidentity: {directory: d}\n" + INBOUND,
            "sidecar.yaml:1: tls: found 'mesh' beside identity",
        ),
        # Listeners.
        (
            INBOUND.replace("}", ", max_connection_age_grace: 1s}"),
            "inbound.max_connection_age_grace: found without max_connection_age, expected both",
        ),
        (
            'inbound: {listen: "h:1", app: {address: "h:2", protocol: http2}, wait_for_app: {path: /a}}',
            "inbound.wait_for_app.path: found beside protocol: http2",
        ),
        (
            'admin: "h:1"\n' + INBOUND,
            "sidecar.yaml:1: admin: found 'h:1', expected one on which nothing else",
        ),
        (
            'inbound: [{name: a, listen: "h:1", app: "h:2"}, {name: a, listen: "h:3", app: "h:2"}]',
            "inbound[1].name: found 'a', expected a name of its own",
        ),
        # Enrichment.
        (
            INBOUND.replace("}", ", enrich: {model: m, inputs: {x: path}, outputs: {y: header.y}}}"),
            "inbound.enrich.service: is missing, expected services at the top",
        ),
        (
            SERVICE + INBOUND.replace("}", ", enrich: {model: m, outputs: {y: header.y}}}"),
            "inbound.enrich.inputs: is missing, expected what fills the model's inputs, or transform",
        ),
        (
            SERVICE.replace("}}", ", protocol: http1}}")
            + INBOUND.replace("}", ", enrich: {model: m, inputs: {x: path}, outputs: {y: header.y}}}"),
            "inbound.enrich.service: found 'a', whose protocol is http1, expected another",
        ),
        # The process.
        ("limits: {replay: 1MiB}\n" + INBOUND, "limits.replay_request: found more than replay"),
        (
            'shutdown: {wait_for_app_exit: true}\noutbound: {listen: "h:2"}\n' + SERVICE,
            "shutdown.wait_for_app_exit: found without inbound",
        ),
    ],
)
def test_what_does_not_fit_together(text: str, message: str) -> None:
    (line,) = mistakes(text)
    assert message in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "inbound: {app: {}}",
            "inbound.listen: is missing, expected: where to accept connections, HOST:PORT",
        ),
        ("admin: true\n", "admin: found true, expected text, or false"),
        (INBOUND.replace("}", ", wait_for_app: {path: healthz}}"), "expected a path such as /healthz"),
        (INBOUND.replace("}", ", routes: {match: {methods: post}}}"), "expected a method such as POST"),
        (INBOUND.replace("}", ", allow: []}"), "inbound.allow: found an empty list, expected at least 1"),
        ("services: {'a b': {}}", "services.a b: found 'a b', expected a name such as fraud"),
        (
            SERVICE + INBOUND.replace("}", ", enrich: {model: m, outputs: {}, transform: f}}"),
            "inbound.enrich.transform: found 'f', expected a function such as package.module:function",
        ),
        (
            "services: {a: {retry: {codes: [UNAVAILBLE]}}}",
            "codes[0]: found 'UNAVAILBLE', expected 'UNAVAILABLE'",
        ),
        ("services: {a: {endpoint: x}}", "services.a.endpoint: found an unknown field, expected endpoints"),
        ("inbund: {}", "inbund: found an unknown field, expected inbound"),
        ("threads: 0", "threads: found 0, expected at least 1"),
    ],
)
def test_fields_are_checked_one_by_one(text: str, message: str) -> None:
    assert any(message in line for line in mistakes(text)), mistakes(text)


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes("""\
services:
  a: {endpoints: "h:1", dns: "h:1"}
  b: {endpoints: "h:1", tls: mutual}
outbound:
  listen: "h:2"
  service: c
inbound:
  listen: "h:2"
  app: "h:3"
  capture: true
""")
    assert [line.split(": ")[0] for line in found] == [f"sidecar.yaml:{line}" for line in (2, 3, 5, 6, 10)]


@pytest.mark.parametrize(
    "text",
    [
        SERVICE + 'outbound: {listen: "h:2"}',
        INBOUND,
        'inbound: {listen: "h:0", app: "h:2"}\nadmin: "h:0"',
        # Shares whose binary fractions add up to more than all.
        'services: {a: {endpoints: "h:1", split: {b: 0.7, c: 0.2, d: 0.1}}, b: {endpoints: "h:1"}, '
        'c: {endpoints: "h:1"}, d: {endpoints: "h:1"}}\n' + INBOUND,
        INBOUND + 'tls: mesh\nservices: {a: {endpoints: "h:1"}}',
        'identity: {directory: d}\ninbound: {listen: "h:1", app: "h:2", allow: {identities: "spiffe://a/*"}}',
    ],
)
def test_what_is_right(text: str) -> None:
    read(text)
