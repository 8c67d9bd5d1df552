"""Barista: next best offer, churn and lifetime value from purchase histories."""

__version__ = "0.1.0"
