"""What is recorded, of series whose rates are known."""

from pathlib import Path

import pytest
from infermesh.deploy.observability import recording
from support.prometheus import needs_promtool, rule_test, value

pytestmark = needs_promtool

SERVER = 'mesh="shop",workload="fraud",instance="a",model="scores",version="1"'
SHOP = 'mesh="shop",workload="checkout",instance="b"'
OUTBOUND = f'{SHOP},listener="outbound",route="fraud",protocol="grpc"'
NOBODY = f'{SHOP},listener="outbound",route="",protocol="grpc"'
OTHER = 'mesh="shop",workload="checkout",instance="d"'
INBOUND = f'{SHOP},listener="inbound",route="app",protocol="http"'
CLUSTER = f'{SHOP},cluster="fraud",endpoint="a"'

SERIES = {
    # Ten a second, of which one fails and another is given up.
    f"nv_inference_request_success{{{SERVER}}}": "0+480x20",
    f'nv_inference_request_failure{{{SERVER},reason="BACKEND"}}': "0+60x20",
    f'nv_inference_request_failure{{{SERVER},reason="CANCELED"}}': "0+60x20",
    f"infermesh_request_duration_seconds_sum{{{SERVER}}}": "0+48x20",
    f"infermesh_queue_duration_seconds_sum{{{SERVER}}}": "0+12x20",
    f"infermesh_queue_duration_seconds_count{{{SERVER}}}": "0+480x20",
    f"infermesh_batch_rows_sum{{{SERVER}}}": "0+1920x20",
    f"infermesh_batch_rows_count{{{SERVER}}}": "0+240x20",
    f"nv_cache_num_hits_per_model{{{SERVER}}}": "0+60x20",
    f"nv_cache_num_misses_per_model{{{SERVER}}}": "0+180x20",
    # What the sidecar sends: five a second, a fifth of it fails; and what it sends to nobody.
    f'infermesh_proxy_requests_total{{{OUTBOUND},code="OK"}}': "0+240x20",
    f'infermesh_proxy_requests_total{{{OUTBOUND},code="UNAVAILABLE"}}': "0+60x20",
    f'infermesh_proxy_requests_total{{{NOBODY},code="UNAVAILABLE"}}': "0+60x20",
    # What it gets: what the caller has to mend is no failure.
    f'infermesh_proxy_requests_total{{{INBOUND},code="2xx"}}': "0+60x20",
    f'infermesh_proxy_requests_total{{{INBOUND},code="4xx"}}': "0+60x20",
    f'infermesh_proxy_attempts_total{{{CLUSTER},outcome="success"}}': "0+240x20",
    f'infermesh_proxy_attempts_total{{{CLUSTER},outcome="rejected"}}': "0+30x20",
    f'infermesh_proxy_attempts_total{{{CLUSTER},outcome="connect_failed"}}': "0+30x20",
    f"infermesh_proxy_endpoint_available{{{CLUSTER}}}": "1+0x20",
    f'infermesh_proxy_endpoint_available{{{SHOP},cluster="fraud",endpoint="c"}}': "0+0x20",
    f'infermesh_proxy_endpoint_available{{{OTHER},cluster="fraud",endpoint="a"}}': "0+0x20",
}

EXPECTED = {
    "model:infermesh_requests:rate5m": 9,
    "model:infermesh_failures:rate5m": 1,
    "model:infermesh_error_ratio:rate5m": 1 / 9,
    "model:infermesh_queue_duration_seconds:mean5m": 0.025,
    "model:infermesh_queue_share:rate5m": 0.25,
    "model:infermesh_batch_rows:mean5m": 8,
    "model:infermesh_cache_hit_ratio:rate5m": 0.25,
    "model:infermesh_ready_instances:count": 1,
    'route:infermesh_proxy_error_ratio:rate5m{listener="outbound",route="fraud"}': 0.2,
    'route:infermesh_proxy_error_ratio:rate5m{listener="inbound"}': 0,
    "upstream:infermesh_proxy_failure_ratio:rate5m": 0.1,
    # One of two callers has nobody.
    "upstream:infermesh_proxy_endpoints_available:min": 0,
    'workload:infermesh_requests:rate5m{workload="fraud",view="own"}': 9,
    'workload:infermesh_requests:rate5m{workload="fraud",view="callers"}': 5,
    'workload:infermesh_requests:rate5m{workload="checkout",view="own"}': 2,
    'workload:infermesh_requests:rate5m{workload="checkout",view="callers"}': None,
    'workload:infermesh_error_ratio:rate5m{workload="fraud",view="callers"}': 0.2,
    'workload:infermesh_error_ratio:rate1h{workload="fraud",view="callers"}': 0.2,
    'workload:infermesh_error_ratio:rate3d{workload="checkout",view="own"}': 0,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_number(tmp_path: Path, name: str) -> None:
    expected = EXPECTED[name]
    found = f"sum({name})"
    # Rates are not exact.
    check = (
        value(20, found, None)
        if expected is None
        else value(20, f"abs({found} - {expected!r}) < bool 1e-9", 1)
    )
    rule_test(tmp_path, {"groups": recording.groups()}, SERIES, promql_expr_test=[check])
