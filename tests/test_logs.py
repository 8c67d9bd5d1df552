"""Log lines are JSON for programs, go to standard error and are dropped below the level asked for."""

import json
import logging

import pytest
import structlog

from recsys.logs import adopt_logs, configure_logs


@pytest.fixture(autouse=True)
def _restored():
    """Other tests keep their own set-up of the logs."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_a_line_is_json_with_level_and_instant(capsys):
    """A log collector reads every line without a pattern."""
    configure_logs("info", json=True)
    structlog.get_logger().info("swapped", version="3")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["version"], line["level"], line["timestamp"][-1]) == ("swapped", "3", "info", "Z")


def test_what_a_library_logs_is_a_line_without_what_it_says(capsys):
    """Which library, where, and the class of an error; its words may repeat what was sent."""
    configure_logs("info", json=True)
    adopt_logs("some.library")
    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("some.library").exception("canary %s", "canary")
    line = capsys.readouterr().err
    told = json.loads(line)
    assert (told["library"], told["error"], told["level"], "canary" in line) == (
        "some.library",
        "ValueError",
        "error",
        False,
    )


def test_lines_below_the_level_are_dropped(capsys):
    """The setting log_level holds for every line."""
    configure_logs("warning", json=True)
    structlog.get_logger().info("request")
    assert capsys.readouterr().err == ""


def test_standard_error_may_be_replaced_afterwards(monkeypatch):
    """A logger set up before a redirection writes where standard error is now."""
    import io
    import sys

    configure_logs("info", json=True)
    structlog.get_logger().info("before")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    structlog.get_logger().info("after")
    assert '"after"' in sys.stderr.getvalue()


def test_a_line_is_written_in_one_piece(monkeypatch):
    """Lines of several workers, who share one standard error, don't mix."""
    import sys
    from types import SimpleNamespace

    written = []
    configure_logs("info", json=True)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=written.append))
    structlog.get_logger().info("request")
    assert (len(written), written[0][-2:]) == (1, "}\n")
