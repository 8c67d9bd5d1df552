"""A bundle as an MLflow model for data scientists, `mlflow models serve` and Spark: code by name, data by file."""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

from recsys.data.snapshot import Snapshot
from recsys.errors import SnapshotError
from recsys.population.lookalikes import Lookalikes
from recsys.registry.lines import save_catalogue

REQUIREMENTS = ("barista", "mlflow", "numba", "numpy", "pandas", "polars", "pyarrow")
"""Packages the model asks for, in the versions it was made with."""


def save_pyfunc(scratch: Path, bundle: Path, snapshot: Snapshot) -> Path:
    """Write the MLflow model of a bundle below `scratch`; its directory.

    It is a models-from-code model: `recsys/registry/pyfunc_model.py` is stored as text, nothing is pickled.

    Raises:
        SnapshotError: the snapshot was not saved with population facts.
    """
    import mlflow

    population = (snapshot.directory or scratch) / "population"
    if not population.is_dir():
        raise SnapshotError("The snapshot has no population facts", cure="Run `barista import` again")
    artifacts = {
        "bundle": str(copytree(bundle, scratch / "bundle")),
        "population": str(_without_customers(population, scratch / "population")),
        "catalogue": str(save_catalogue(snapshot, scratch / "catalogue")),
    }
    target = scratch / "model"
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts=artifacts,
            signature=_signature(),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
    return target


def _without_customers(population: Path, target: Path) -> Path:
    """A copy of the facts that says nothing of single customers: not who has which attributes."""
    copytree(population, target, ignore=ignore_patterns("Lookalikes.*"))
    Lookalikes.load(population).without_customers().save(target)
    return target


def _signature() -> Any:
    """Transaction lines in, one row a customer out; `as_of` is an ISO instant with a zone.

    Column types are left open: MLflow refuses an integer where it expects a fraction, and instants with a zone.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    required = [ColSpec(AnyType(), column) for column in ("customer_id", "occurred_at", "product_id")]
    names = ("quantity", "amount", "discount", "order_id", "store_id", "channel")
    optional = [ColSpec(AnyType(), column, required=False) for column in names]
    return ModelSignature(inputs=Schema(required + optional), params=ParamSchema([ParamSpec("as_of", "string", "")]))
