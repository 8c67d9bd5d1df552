"""Conformance checks and builders of tiny tables."""
