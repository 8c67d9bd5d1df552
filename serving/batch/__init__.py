"""Scores of the whole base as files."""
