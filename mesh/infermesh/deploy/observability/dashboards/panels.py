"""Dashboards, rows and panels, as Grafana has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

#: The data source that is chosen in the dashboard.
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

#: Grafana's grid has so many columns.
_COLUMNS = 24
_HEIGHT = 8

#: What dashboards choose by. `namespace` is empty outside of Kubernetes: All has to match that, too.
WHOSE = 'mesh=~"$mesh", namespace=~"$namespace", workload=~"$workload"'


@dataclass(frozen=True)
class Query:
    """An expression of PromQL, and what its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A graph or a number, of one unit of Grafana's."""

    title: str
    unit: str
    queries: Sequence[Query]
    description: str = ""
    kind: str = "timeseries"
    #: From this value on it is shown as bad.
    bad_from: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels beside each other under a heading."""

    title: str
    panels: Sequence[Panel]


def variable(name: str, label: str, series: str) -> Object:
    """A choice among the values that a label has; none chosen is all of them."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({series}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def whose(series: str) -> list[Object]:
    """The choices that all dashboards have."""
    return [
        variable("mesh", "Mesh", series),
        variable("namespace", "Namespace", f'{series}{{mesh=~"$mesh"}}'),
        variable("workload", "Workload", f'{series}{{mesh=~"$mesh", namespace=~"$namespace"}}'),
    ]


def dashboard(uid: str, title: str, variables: Sequence[Object], rows: Sequence[Row]) -> Object:
    """One dashboard; `uid` is what links name it by, and stays."""
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }
    return {
        "uid": uid,
        "title": title,
        "tags": ["infermesh"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "infermesh",
                "tags": ["infermesh"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [source, *variables]},
        "panels": _laid_out(rows),
    }


def _laid_out(rows: Sequence[Row]) -> list[Object]:
    panels: list[Object] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        )
        width = _COLUMNS // len(row.panels)
        for column, panel in enumerate(row.panels):
            place = {"h": _HEIGHT, "w": width, "x": column * width, "y": top + 1}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
        top += 1 + _HEIGHT
    return panels


def _panel(panel: Panel) -> Object:
    defaults: Object = {"unit": panel.unit, "min": 0}
    if panel.bad_from is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_from}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


_OPTIONS: dict[str, Object] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "textMode": "value_and_name"},
}
