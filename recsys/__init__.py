"""Barista: next best offer, churn and lifetime value from purchase histories."""

from recsys.compiled import keep_kernels_apart

__version__ = "0.1.0"

keep_kernels_apart()
