"""`barista keys`: who may ask the service, and for what."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.settings import Settings
    from recsys.store import Key, KeyStore


def declare(app: typer.Typer) -> None:
    """Add `keys` with its subcommands."""
    keys = typer.Typer(help="API keys of the service: make, list, revoke, rotate.", no_args_is_help=True)
    for name, command in (("create", create), ("list", list_keys), ("revoke", revoke), ("rotate", rotate)):
        keys.command(name)(command)
    app.add_typer(keys, name="keys")


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who will use it, as `till-north`; never a person.")],
    scope: Annotated[list[str], typer.Option(help="recommend, score, events, metrics or admin; may be repeated.")],
    days: Annotated[float | None, typer.Option(min=0.0, help="Days until it expires; never without it.")] = None,
) -> None:
    """Make a key and print it, once: only its SHA-256 is kept. The service knows it at once."""
    import time

    expires_at = None if days is None else int(time.time() + days * 86_400)
    text, key = _store(context.obj).create(name, scope, expires_at)
    _tell(text, key)


def list_keys(context: typer.Context) -> None:
    """Print every key ever made: id, name, scopes, state; never the key itself."""
    import time

    keys = _store(context.obj).all().values()
    for key in keys:
        typer.echo(_line(key, time.time()))
    if not keys:
        typer.echo("No key was made yet")


def revoke(
    context: typer.Context, key_id: Annotated[str, typer.Argument(help="An id of `barista keys list`.")]
) -> None:
    """End a key; a running service refuses it after `refresh_seconds` at the latest."""
    import time

    typer.echo(_line(_store(context.obj).revoke(key_id), time.time()))


def rotate(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="An id of `barista keys list`.")],
    overlap: Annotated[float, typer.Option(min=0.0, help="Hours the former key still works.")] = 24.0,
) -> None:
    """Make a key in the place of another, with the same name and scopes; both work for a while."""
    text, key = _store(context.obj).rotate(key_id, int(overlap * 3600))
    _tell(text, key)


def _store(settings: "Settings") -> "KeyStore":
    from recsys.store import KeyStore
    from recsys.workspace import Workspace

    return KeyStore(Workspace.open(settings).database())


def _tell(text: str, key: "Key") -> None:
    import time

    typer.echo(_line(key, time.time()), err=True)
    typer.echo("Keep it now, it can't be shown again:", err=True)
    typer.echo(text)


def _line(key: "Key", now: float) -> str:
    from recsys.data.clock import to_iso

    ends = key.revoked_at if key.revoked_at is not None else key.expires_at
    until = "for good" if ends is None else f"until {to_iso(ends)}"
    return f"{key.key_id}  {key.name}  {' '.join(key.scopes)}  {key.state(now)} {until}"
