"""`barista`: the commands of the library and those that training and serving declare."""

from recsys.cli.app import main

__all__ = ["main"]
