"""Where MLflow keeps runs and versions."""

from recsys.settings import Settings


def tracking_uri(settings: Settings) -> str:
    """Address of tracking and registry; SQLite in the workspace by default."""
    return settings.mlflow_tracking_uri or f"sqlite:///{settings.workspace.resolve() / 'mlflow.db'}"
