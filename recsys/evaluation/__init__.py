"""Temporal metrics, bootstrap intervals, baselines, reports."""
