"""Settings come from arguments, environment and file, in that order, and a wrong one is named."""

from pathlib import Path

import pytest

from recsys.errors import SettingsError
from recsys.settings import load_settings


@pytest.fixture
def workspace(settings) -> Path:
    """An existing workspace whose file asks for port 8100, in an environment without our variables."""
    settings.workspace.mkdir()
    (settings.workspace / "barista.toml").write_text("port = 8100\nseed = 7\n")
    return settings.workspace


def test_without_anything_the_defaults_hold(settings):
    """The embedded default needs no setting at all."""
    loaded = load_settings()
    assert (loaded.workspace, loaded.clock, loaded.host, loaded.database_url) == (
        Path("workspace"),
        "now",
        "127.0.0.1",
        None,
    )


def test_the_file_of_the_workspace_wins_over_defaults(workspace):
    """A workspace carries its own settings."""
    assert load_settings(workspace=workspace).port == 8100


def test_the_environment_wins_over_the_file(workspace, monkeypatch):
    """An operator overrides a workspace without touching it."""
    monkeypatch.setenv("BARISTA_PORT", "8200")
    assert (load_settings(workspace=workspace).port, load_settings(workspace=workspace).seed) == (8200, 7)


def test_an_argument_wins_over_the_environment(workspace, monkeypatch):
    """What is typed on the command line holds."""
    monkeypatch.setenv("BARISTA_PORT", "8200")
    assert load_settings(workspace=workspace, port=8300).port == 8300


def test_the_workspace_named_by_the_environment_is_the_one_whose_file_is_read(workspace, monkeypatch):
    """A container needs one variable only."""
    monkeypatch.setenv("BARISTA_WORKSPACE", str(workspace))
    assert load_settings().port == 8100


@pytest.mark.parametrize(
    ("variable", "field"), [("DATABASE_URL", "database_url"), ("BARISTA_DATABASE_URL", "database_url")]
)
def test_the_database_has_its_usual_variable_and_ours(settings, monkeypatch, variable, field):
    """DATABASE_URL is what platforms set."""
    monkeypatch.setenv(variable, "postgresql+psycopg://u:p@h/d")
    found = getattr(load_settings(), field)
    assert found.get_secret_value() == "postgresql+psycopg://u:p@h/d"


def test_secrets_are_not_printed(settings, monkeypatch):
    """Settings in a log or a traceback give no key away."""
    monkeypatch.setenv("BARISTA_API_KEY", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hush@h/d")
    assert "hush" not in repr(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "eighty"), ("clock", "yesterday"), ("clock", "2017-12-31T23:59:59"), ("log_level", "loud")],
)
def test_a_value_that_makes_no_sense_is_named_with_its_variable(settings, monkeypatch, name, value):
    """The message says which variable to correct and what was found."""
    monkeypatch.setenv(f"BARISTA_{name.upper()}", value)
    with pytest.raises(SettingsError, match=f"BARISTA_{name.upper()}.*{value}"):
        load_settings()


def test_a_broken_file_is_an_error_of_settings(workspace):
    """A typing error in barista.toml is told as such."""
    (workspace / "barista.toml").write_text("port 8100")
    with pytest.raises(SettingsError, match=r"barista\.toml"):
        load_settings(workspace=workspace)
