"""The MLflow model of a bundle. MLflow stores this file as text and runs it where the model is loaded.

    mlflow.pyfunc.load_model("models:/churn@champion").predict(lines, params={"as_of": "2018-01-01T00:00:00Z"})

needs the package `barista` in the version the model names; input and output: `recsys.registry.lines.answer_lines`.
"""

from typing import Any

import mlflow
import pandas as pd


class LinesModel(mlflow.pyfunc.PythonModel):
    """Answers from transaction lines and an instant."""

    def load_context(self, context: Any) -> None:
        """Open bundle, population facts and catalogue."""
        from recsys.registry.lines import open_lines_serving

        self.serving = open_lines_serving(context.artifacts)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row a customer; see `answer_lines`."""
        del context
        from recsys.registry.lines import answer_lines

        return answer_lines(self.serving, model_input, (params or {}).get("as_of", ""))


mlflow.models.set_model(LinesModel())
