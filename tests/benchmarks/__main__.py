"""`make bench [BENCH="kernels snapshots service"]`: measure, write docs/figures/<name>.json, render docs/figures.md.

Reads the trained workspace that `make demo` made, or the one named by BENCH_WORKSPACE.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from tests.benchmarks.figures import table, write_figures

NAMES = ("kernels", "snapshots", "service", "decisions", "reasons", "churn_reasons")


def main(wanted: list[str]) -> None:
    """Run the benchmarks named, or all."""
    workspace = Path(os.environ.get("BENCH_WORKSPACE", "workspace"))
    for name in wanted or NAMES:
        figures = import_module(f"tests.benchmarks.bench_{name}").run(workspace)
        write_figures(name, figures)
        print(f"\n## {name}\n\n{table(figures)}")


if __name__ == "__main__":
    main(sys.argv[1:])
