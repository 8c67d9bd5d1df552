"""The Grafana dashboard of the service: made from a list of panels, so that a test can hold it against the metrics.

`python -m serving.dashboard > deploy/grafana/barista.json`.
"""

import json
import sys
from typing import Any, NamedTuple

RATE = "[5m]"


class Panel(NamedTuple):
    """One panel: title, unit of its axis, and its lines as (PromQL, legend)."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]


def _quantiles(metric: str, by: str, legend: str) -> tuple[tuple[str, str], ...]:
    """Median and 99th percentile of a histogram."""
    return tuple(
        (f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{RATE})))", f"{legend} p{share * 100:g}")
        for share in (0.5, 0.99)
    )


def _rate(metric: str, by: str) -> tuple[tuple[str, str], ...]:
    """Events a second of a counter by one label."""
    return ((f"sum by ({by}) (rate({metric}{RATE}))", f"{{{{{by}}}}}"),)


def _mean(metric: str, by: str, legend: str) -> tuple[tuple[str, str], ...]:
    """Mean of a histogram's observations."""
    text = f"sum by ({by}) (rate({metric}_sum{RATE})) / sum by ({by}) (rate({metric}_count{RATE}))"
    return ((text, legend),)


PANELS = (
    Panel("Requests by route", "reqps", _rate("barista_requests_total", "route")),
    Panel("Answers by status", "reqps", _rate("barista_requests_total", "status")),
    Panel("Time to answer", "s", _quantiles("barista_request_seconds", "route", "{{route}}")),
    Panel("Time by stage", "s", _quantiles("barista_stage_seconds", "stage", "{{stage}}")),
    Panel("Requests under way", "short", (("sum(barista_requests_under_way)", "under way"),)),
    Panel("Decisions by where they are kept", "reqps", _rate("barista_decisions_total", "kept")),
    Panel("Events by outcome", "reqps", _rate("barista_events_total", "outcome")),
    Panel("Scores not sent again", "reqps", ((f"sum(rate(barista_not_modified_total{RATE}))", "304"),)),
    Panel("Newer orders, remembered or read", "reqps", _rate("barista_remembered_orders_total", "result")),
    Panel("Newer orders remembered", "bytes", (("sum(barista_remembered_bytes)", "bytes"),)),
    Panel("Degraded", "short", (("max(barista_degraded)", "degraded"), ("min(barista_registry_reached)", "MLflow"))),
    Panel("Swaps by result", "reqps", _rate("barista_swaps_total", "result")),
    Panel("Refused states", "reqps", _rate("barista_refusals_total", "reason")),
    Panel("Time of a swap", "s", _quantiles("barista_swap_seconds", "job", "swap")),
    Panel("Spans that were lost", "reqps", _rate("barista_spans_lost_total", "why")),
    Panel("Shadow: requests by fate", "reqps", _rate("barista_shadow_requests_total", "fate")),
    Panel("Shadow: the same offers", "percentunit", _mean("barista_shadow_overlap", "challenger", "{{challenger}}")),
    Panel("Shadow: rank distance", "short", _mean("barista_shadow_rank_distance", "challenger", "{{challenger}}")),
    Panel(
        "Shadow: scores",
        "short",
        (
            *_mean("barista_shadow_score", "model, by", "{{model}} {{by}}"),
            *_mean("barista_shadow_difference", "model", "{{model}} difference"),
        ),
    ),
)
"""All panels, two in a row."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it; it asks for its Prometheus."""
    source = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
    return {
        "__inputs": [
            {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"},
        ],
        "title": "Barista",
        "uid": "barista-service",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(at, panel, source) for at, panel in enumerate(PANELS)],
    }


def _panel(at: int, panel: Panel, source: dict[str, str]) -> dict[str, Any]:
    return {
        "id": at + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": {"x": at % 2 * 12, "y": at // 2 * 8, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + line), "expr": text, "legendFormat": legend, "datasource": source}
            for line, (text, legend) in enumerate(panel.lines)
        ],
    }


def dashboard_text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(dashboard_text())
