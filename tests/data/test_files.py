"""Small files are replaced whole, whoever else replaces them."""

import os
from pathlib import Path

import pytest

from recsys.data.files import replace_text


def test_two_hosts_with_equal_process_ids_replace_a_file_whole(tmp_path, monkeypatch):
    """The second begins while the first is about to put its text there: each puts its own, the last one stays."""
    path, real, other = tmp_path / "pointer", Path.replace, ["second"]

    def replaced(self, target):
        if other:
            replace_text(path, other.pop())
        return real(self, target)

    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(Path, "replace", replaced)
    replace_text(path, "first")
    assert ([each.name for each in tmp_path.iterdir()], path.read_text()) == (["pointer"], "first")


def test_a_replacement_that_fails_leaves_the_former_text_and_nothing_else(tmp_path, monkeypatch):
    """A disk that is full in the middle of it."""
    path = tmp_path / "pointer"
    path.write_text("former")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_text(path, "newer")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("pointer", "former")]
