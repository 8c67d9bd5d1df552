"""Import, training tables, fit, back-test, publish."""
