"""Tables of docs/quality-offers.md, from the cases that `make bench-offers` keeps in docs/figures/offers."""

from collections.abc import Iterable, Sequence

from recsys.evaluation.presentation import number
from recsys.evaluation.results import Difference, MetricTable
from tests.benchmarks.figures import FIGURES, read_figures
from tests.benchmarks.offers_cases import MODEL, OfferCase, best_baseline, gap, read_cases

NOTHING = "Not measured."

NEXT_BASKET = (
    ("mixed", "recall@10"),
    ("mixed", "ndcg@10"),
    ("mixed", "PHR@10"),
    ("new", "recall@10"),
    ("new", "ndcg@10"),
)
WINDOW = tuple((part, metric) for part in ("mixed", "repeat", "new") for metric in ("recall@10", "ndcg@10"))
STEPS = tuple(
    (part, metric)
    for part in ("all steps", "steps with purchases folded in")
    for metric in ("hit rate@1", "recall@10", "ndcg@10")
)
TITLES = {
    "mixed": "",
    "new": "new ",
    "repeat": "repeat ",
    "all steps": "",
    "steps with purchases folded in": "folded in: ",
}
COSTS = (
    "CPU s to train",
    "CPU s a problem",
    "CPU ms a list",
    "CPU ms a user",
    "peak MB",
    "coverage",
    "popular share",
    "novelty",
    "new coverage",
    "new popular share",
    "new novelty",
)


def offers_section(protocol: str, split: str) -> str:
    """Contenders of every case beside each other, then the model against the best baseline of each column."""
    shown = {"window": WINDOW, "next_purchase": STEPS}.get(protocol, NEXT_BASKET)
    parts = [
        f"**{case.name}** ({counted(case)})\n\n{contenders(case, shown)}\n\n{gaps(case, shown)}{cold(case)}"
        for case in read_cases(protocol, split)
    ]
    return "\n\n".join(parts) or NOTHING


def counted(case: OfferCase) -> str:
    """How many customers the figures are taken over, and other facts."""
    facts = [f"{name} {number(value)}" for name, value in case.facts.items() if "probabilities" not in name]
    facts = [each for each in facts if "the same" not in each]
    return ", ".join([f"{case.tables[0].customers:,} customers", *facts])


def contenders(case: OfferCase, shown: Sequence[tuple[str, str]]) -> str:
    """A contender a row; figures, then what it costs and what its lists look like."""
    costs = [name for name in COSTS if any(name in each for each in case.costs.values())]
    heads = [f"{TITLES[part]}{metric}" for part, metric in shown]
    rows = []
    for each in case.table(shown[0][0]).contenders:
        values = [value_of(case.table(part), each.name, metric) for part, metric in shown]
        values += [case.costs.get(each.name, {}).get(name) for name in costs]
        rows.append([f"**{each.name}**" if each.name == MODEL else each.name, *(number(value) for value in values)])
    return markdown(["", *heads, *costs], rows)


def gaps(case: OfferCase, shown: Sequence[tuple[str, str]]) -> str:
    """The model minus the best baseline of each column, with the paired 95% interval."""
    said = []
    for part, metric in shown:
        found = gap(case.table(part), metric)
        if found is not None and found.value is not None:
            said.append(f"{TITLES[part]}{metric} {interval(found)} ({best_baseline(case.table(part), metric)})")
    return "Against the best baseline: " + "; ".join(said) + "." if said else ""


def cold(case: OfferCase) -> str:
    """Segments with little evidence: recall at 10 of the model and of popularity, and their difference."""
    segments = [each for each in case.tables if each.part not in TITLES]
    if not segments:
        return ""
    rows = []
    for table in segments:
        found = gap(table, "recall@10", "popularity")
        values = (value_of(table, MODEL, "recall@10"), value_of(table, "popularity", "recall@10"))
        rows.append(
            [table.part, f"{table.customers:,}", *(number(v) for v in values), interval(found) if found else ""]
        )
    return "\n\n" + markdown(["segment", "customers", MODEL, "popularity", "recall@10, difference"], rows)


def alike_section(split: str) -> str:
    """Recall at 10 of customers of whom attributes are all that is known, beside popularity."""
    parts = [f"**{case.name}**{cold(case)}" for case in read_cases("alike", split)]
    return "\n\n".join(parts) or NOTHING


def sources_section(split: str) -> str:
    """Share of what was bought that each candidate source named."""
    return "\n\n".join(rows_of(case, "sources", split) for case in read_cases("window", split) if case.lists) or NOTHING


def calibration_section(split: str) -> str:
    """Sums of probabilities over purchases by cut, and relative errors by decile of probability."""
    cases = [case for case in read_cases("window", split) if "deciles" in case.lists]
    if not cases:
        return NOTHING
    heads = ["", "all", "new items", "known items", *(f"decile {k}" for k in range(1, 11))]
    rows = []
    for case in cases:
        sums = [case.facts[name] for name in case.facts if "probabilities" in name or "the same" in name]
        errors = [row["relative error"] for row in case.lists["deciles"]]
        told = [f"{float(error):+.0%}".replace("-", "−") if error is not None else "–" for error in errors]
        rows.append([case.name, *(number(value) for value in sums), *told])
    return markdown(heads, rows)


def ablation_section() -> str:
    """Everything but one source or feature group: recall and NDCG, and the difference from everything."""
    parts = []
    for case in read_cases("ablation", "validation"):
        rows = []
        for each in case.table("mixed").contenders:
            cells = [each.name]
            for part in ("mixed", "new"):
                table = case.table(part)
                cells += [number(value_of(table, each.name, metric)) for metric in ("recall@10", "ndcg@10")]
                cells.append(worth(table, each.name))
            rows.append(cells)
        heads = ["", "recall@10", "ndcg@10", "worth in ndcg@10", "new recall@10", "new ndcg@10", "worth, new"]
        parts.append(f"**{case.name}** ({case.tables[0].customers:,} customers)\n\n{markdown(heads, rows)}")
    return "\n\n".join(parts) or NOTHING


def worth(table: MetricTable, name: str) -> str:
    """What was lost by leaving it out, with its interval."""
    found = gap(table, "ndcg@10", name) if name != MODEL else None
    return interval(found) if found is not None else ""


def training_section() -> str:
    """Seconds and memory of training."""
    rows = [
        [case.name, *(number(case.facts[name]) for name in ("customers", "lines", "items")),
         number(case.costs[MODEL]["CPU s to train"]), number(case.costs[MODEL]["peak MB"])]
        for case in read_cases("training", "validation")
    ]  # fmt: skip
    return markdown(["", "customers", "lines", "items", "CPU s", "peak MB"], rows) if rows else NOTHING


def goals_section(split: str) -> str:
    """Every goal with what was measured."""
    path = FIGURES / "offers.json"
    figures = [
        each for each in (read_figures(path) if path.exists() else []) if (each["split"] or "validation") == split
    ]
    figures = [each for each in figures if each["asked"]]
    if not figures:
        return NOTHING
    held = sum(bool(each["holds"]) for each in figures)
    rows = [
        [
            each["name"],
            f"{number(each['value'])} {each['unit']}".strip(),
            each["asked"],
            "yes" if each["holds"] else "**no**",
        ]
        for each in figures
    ]
    return f"{held} of {len(figures)} goals hold.\n\n{markdown(['goal', 'measured', 'asked', 'holds'], rows)}"


def rows_of(case: OfferCase, name: str, split: str) -> str:
    """A list of rows as a table."""
    rows = case.lists.get(name, [])
    heads = list(rows[0]) if rows else []
    cells = [[each if isinstance(each := row[head], str) else number(each) for head in heads] for row in rows]
    return f"**{case.name}** ({split})\n\n{markdown(heads, cells)}"


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = list(heads)
    rows = [[cell.replace("|", "∣") for cell in row] for row in rows]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def value_of(table: MetricTable, name: str, metric: str) -> float | None:
    """A contender's figure."""
    contender = table.contender(name)
    return contender.value(metric) if contender else None


def interval(found: Difference) -> str:
    """+.0123 (+.0100 … +.0146)."""
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{found.value:+.4f} ({found.low:+.4f} … {found.high:+.4f})".replace("-", "−")
