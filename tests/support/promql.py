"""Prometheus' own evaluation of queries, by its promtool."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

PROMTOOL = shutil.which("promtool")


def missing() -> str | None:
    """Why queries cannot be evaluated."""
    return None if PROMTOOL else "promtool is not installed"


def mistakes(folder: Path, series: Mapping[str, str], query: str, at: str, value: float | None) -> str:
    """What promtool says if a query comes to something else at a time; None: to nothing at all.

    Series have samples in its notation, 15 s apart.
    """
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    tests = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": samples}],
            }
        ],
    }
    file = folder / "queries.yaml"
    # JSON is YAML.
    file.write_text(json.dumps(tests), encoding="utf-8")
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
