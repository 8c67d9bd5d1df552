"""The only code that knows MLflow."""
