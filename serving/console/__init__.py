"""The console: one static page."""
