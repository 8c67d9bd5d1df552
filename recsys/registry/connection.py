"""MLflow, opened quietly: no telemetry, no git calls, no chatter; in the workspace unless a server is named."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recsys.errors import RegistryError
from recsys.registry.address import tracking_uri
from recsys.settings import Settings

EXPERIMENT = "barista"

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Addresses of a tracking database without a server in front of it begin so."""


def open_client(settings: Settings) -> Any:
    """`MlflowClient` of the workspace.

    Raises:
        RegistryError: it can't be reached.
    """
    _quiet()
    from mlflow import MlflowClient

    uri = tracking_uri(settings)
    settings.workspace.mkdir(parents=True, exist_ok=True)
    with translated():
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.get_experiment_by_name(EXPERIMENT)
    return client


def experiment_id(client: Any, settings: Settings) -> str:
    """Id of our experiment, made on first use; its artifacts live in the workspace unless an MLflow server keeps them.

    Without a place of its own MLflow would put them below the directory one happens to stand in.
    """
    name = f"{settings.registry_prefix}{EXPERIMENT}"
    with translated():
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        is_database = tracking_uri(settings).startswith(DATABASES)
        place = str(settings.workspace.resolve() / "mlruns") if is_database else None
        return str(client.create_experiment(name, artifact_location=place))


@contextmanager
def translated() -> Iterator[None]:
    """MLflow's one exception class and errors of its files as ours.

    Raises:
        RegistryError: MLflow refused, can't be reached, or its files can't.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        text = str(error).strip().split("\n", 1)[0][:300]
        raise RegistryError("MLflow refused", found=text, cure="Check MLFLOW_TRACKING_URI and that it runs") from error
    except OSError as error:
        raise RegistryError("MLflow's files can't be reached", found=str(error)) from error


def _quiet() -> None:
    """Settings of the library that only work before it is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
