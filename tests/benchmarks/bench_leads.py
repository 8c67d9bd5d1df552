"""Lead scores on the packaged sample: `python -m tests.benchmarks.bench_leads`, docs/figures/leads.json.

The sample has no prospects: households before their first purchase of a category stand in. A household is a lead from
its first purchase of anything on; its visits, and its purchases in other categories of the same group, are its touches.
Each of three days is fitted on what was known then and judged on the 28 days that follow.
"""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from recsys.data.snapshot import Snapshot
from recsys.evaluation.probability import auc, calibration_line, ece, ece_null_quantile
from recsys.samples import complete_journey
from tests.benchmarks.bench_scores import imported
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from training.leads import Leads, fit_leads, judged

COMMAND, HORIZON = "python -m tests.benchmarks.bench_leads", 28
DAYS = (date(2017, 7, 1), date(2017, 9, 1), date(2017, 11, 1))
RATE = (0.3, 0.7)
"""Categories that a share of households between these had bought by mid-year stand in; the three largest."""


def main() -> None:
    """Fit, judge, write."""
    with TemporaryDirectory() as scratch:
        lines, names = _lines(imported(complete_journey.mapping(), Path(scratch)))
    households = lines["household"].n_unique()
    early = lines.filter(pl.col("day") < DAYS[0]).group_by("family").agg(pl.col("household").n_unique().alias("n"))
    low, high = (share * households for share in RATE)
    chosen = early.filter(pl.col("n").is_between(low, high)).sort("n", "family", descending=[True, False])["family"][:3]
    figures = []
    for family in chosen.to_list():
        leads = _leads(lines, family)
        for day in DAYS:
            chance, label = judged(leads, fit_leads(leads, day, HORIZON, seed=1), day)
            head = f"{names[family]}, {day}"
            figures += [
                figure(f"{head}: leads", len(label), "", COMMAND),
                figure(f"{head}: bought", label.mean(), "", COMMAND),
                figure(f"{head}: told", chance.mean(), "", COMMAND),
                figure(f"{head}: AUC", auc(label, chance), "", COMMAND),
                figure(f"{head}: calibration slope", calibration_line(label, chance).slope, "", COMMAND),
                figure(f"{head}: ECE", ece(label, chance), "", COMMAND),
                figure(f"{head}: ECE of a perfect model, 95%", ece_null_quantile(chance), "", COMMAND),
            ]
    write_figures("leads", figures)


def _lines(snapshot: Snapshot) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """household, day, family, group of every line, and the families' names."""
    history, catalogue = snapshot.history, snapshot.catalogue
    counts = np.diff(history.line_start.astype(np.int64))
    owner = np.repeat(np.repeat(np.arange(history.n_customers), np.diff(history.order_start)), counts)
    at = np.repeat(np.asarray(history.order_time), counts)
    item = np.where(history.line_product >= 0, catalogue.product_item[history.line_product], -1)
    family, group = (np.where(item >= 0, of[item], -1) for of in (catalogue.item_family, catalogue.item_group))
    table = pl.DataFrame({"household": owner, "at": at, "family": family, "group": group}).filter(pl.col("family") >= 0)
    day = pl.from_epoch("at", "s").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York").dt.date()
    return table.with_columns(day.alias("day")).drop("at").unique(), catalogue.families


def _leads(lines: pl.DataFrame, family: int) -> Leads:
    """Households as leads for a family."""
    lead = pl.format("h{}", "household").alias("lead_id")
    group = lines.filter(pl.col("family") == family)["group"][0]
    created = lines.group_by("household").agg(pl.col("day").min().alias("created_at"))
    first = (
        lines.filter(pl.col("family") == family).group_by("household").agg(pl.col("day").min().alias("purchased_at"))
    )
    table = created.join(first, on="household", how="left", maintain_order="left").sort("household")
    # One who bought on the very first day never was a lead.
    never = pl.col("purchased_at").is_not_null() & (pl.col("purchased_at") <= pl.col("created_at"))
    others = lines.filter(pl.col("family") != family)
    kind = pl.when(pl.col("group") == group).then(pl.lit("same group")).otherwise(pl.lit("visit")).alias("kind")
    touches = (
        others.select(lead, pl.col("day").alias("occurred_at"), kind).unique().sort("lead_id", "occurred_at", "kind")
    )
    return Leads(table.filter(~never).select(lead, "created_at", "purchased_at"), touches)


if __name__ == "__main__":
    main()
