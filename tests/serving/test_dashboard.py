"""The Grafana dashboard asks for metrics that exist, and the file is the one the code makes."""

import re
from pathlib import Path

from prometheus_client import Metric

from serving.dashboard import PANELS, dashboard, dashboard_text
from serving.http.metrics import Metrics

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "barista.json"
FUNCTIONS = {"le", "by", "job", "sum", "max", "min", "rate", "histogram_quantile"}


def families() -> list[Metric]:
    """What the service counts."""
    return list(Metrics().registry.collect())


def names_of(family: Metric) -> set[str]:
    """Names its samples have."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
    return {family.name + ending for ending in endings}


def test_every_metric_asked_for_exists():
    """Each name in a query is one the service exposes, with the ending of its kind."""
    known = set().union(*(names_of(family) for family in families()))
    asked = {name for panel in PANELS for text, _ in panel.lines for name in re.findall(r"barista_\w+", text)}
    assert asked - known == set()


def test_every_metric_is_shown():
    """What is counted is worth a line."""
    asked = " ".join(text for panel in PANELS for text, _ in panel.lines)
    assert [family.name for family in families() if family.name not in asked] == []


def test_labels_asked_for_exist():
    """What a query groups by is a label of its metric, or one Prometheus adds."""
    labels = {family.name: label_names(family.name) for family in families()}
    wrong = []
    for panel in PANELS:
        for text, _ in panel.lines:
            (name, *_), groups = re.findall(r"barista_\w+", text), re.findall(r"by \(([^)]*)\)", text)
            family = next(each for each in labels if name.startswith(each))
            asked = {label.strip() for group in groups for label in group.split(",")} - {"le", "job"}
            wrong += [(panel.title, asked - labels[family])] if asked - labels[family] else []
    assert wrong == []


def label_names(family: str) -> set[str]:
    """Labels of a metric."""
    registry = Metrics().registry
    collectors = registry._names_to_collectors
    found = collectors.get(family) or collectors[f"{family}_total"]
    return set(found._labelnames)


def test_panels_have_ids_and_places_of_their_own():
    """No two panels lie on each other."""
    panels = dashboard()["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert (len({panel["id"] for panel in panels}), len(places)) == (len(panels), len(panels))


def test_the_file_is_up_to_date():
    """`python -m serving.dashboard > deploy/grafana/barista.json` would change nothing."""
    assert FILE.read_text(encoding="utf-8") == dashboard_text()
