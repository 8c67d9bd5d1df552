"""Steps between versions of the tables, applied by alembic; one module a step in `versions`, forward and back."""
