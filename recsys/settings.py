"""Environment and files → frozen settings. The only module that reads the environment.

Order, strongest first: arguments of a command, environment variables, `barista.toml` in the workspace, defaults.
"""

import re
from datetime import datetime
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from recsys.errors import SettingsError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """Everything a process needs to know before it starts; each field is one environment variable."""

    model_config = SettingsConfigDict(env_prefix="BARISTA_", frozen=True, extra="ignore")

    workspace: Path = Field(Path("workspace"), description="Directory with snapshots, database, models and reports.")
    clock: str = Field(
        "now",
        description="What `as_of` is: `now`, `snapshot` (the end of the imported data) or an ISO instant with a zone.",
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("BARISTA_DATABASE_URL", "DATABASE_URL", "database_url"),
        description="SQLAlchemy address of the event store; default: SQLite in the workspace.",
    )
    mlflow_tracking_uri: str | None = Field(
        None,
        validation_alias=AliasChoices("BARISTA_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI", "mlflow_tracking_uri"),
        description="MLflow tracking and registry address; default: SQLite in the workspace.",
    )
    database_patience: float = Field(
        1.0,
        gt=0,
        le=60,
        description="How long a service waits for one answer of its database before it goes on without [seconds].",
    )
    database_schema: str = Field(
        "",
        pattern=r"^([a-z_][a-z0-9_]{0,62})?$",
        description="Schema of Postgres with this workspace's tables, made where there is none; keeps tenants apart.",
    )
    registry_prefix: str = Field("", description="Put before the registered model names; keeps tenants apart.")
    bundle_key: SecretStr | None = Field(None, description="Key that signs and verifies model bundles (HMAC-SHA-256).")
    api_key: SecretStr | None = Field(
        None,
        description="Admin key beside those of `barista keys`; without any key the service listens on loopback only.",
    )
    tenants: Path | None = Field(
        None, description="Directory of workspaces that one service answers for; the caller's key decides whose."
    )
    oauth_jwks: Path | None = Field(
        None, description="File of public keys (JWKS) that sign access tokens; with it tokens are let in beside keys."
    )
    oauth_issuer: str = Field("", description="`iss` an access token must name.")
    oauth_audience: str = Field("", description="`aud` an access token must name.")
    oauth_leeway: int = Field(30, ge=0, le=300, description="How far the issuer's clock may be off [seconds].")
    oauth_scope_prefix: str = Field("", description="What stands before our scopes in a token's `scope`.")
    oauth_tenant_claim: str = Field("tenant", description="Claim of a token that names the tenant.")
    oauth_tenant: str = Field("", description="Tenant an access token must name; with `tenants` that of the workspace.")
    rate_limit: int = Field(0, ge=0, description="Requests each key may make in `rate_window`; 0 sets no limit.")
    rate_window: int = Field(60, ge=1, le=86_400, description="Window of `rate_limit` [seconds].")
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the service, exact, as `https://crm.example`; none by default."
    )
    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the service listens on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer requests.")
    most_requests: int = Field(
        200,
        ge=1,
        description="Requests a worker has under way at once, up to four times as many for five seconds; more are "
        "answered 503 with `Retry-After`.",
    )
    pull_seconds: float = Field(
        10.0,
        ge=0,
        description="How often the service asks a named MLflow (`mlflow_tracking_uri`) for its models [seconds]; "
        "0 never.",
    )
    shadow_share: float = Field(
        0.1, ge=0, le=1, description="Share of the customers whose live requests challengers score too, unseen."
    )
    refresh_seconds: float = Field(
        5.0, gt=0, description="How often the service looks for a new champion or snapshot [seconds]."
    )
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^@\s?#]+)?$",
        description="OpenTelemetry collector that gets a trace of requests (extra `barista[otel]`), as "
        "`http://collector:4318`; none by default.",
    )
    trace_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the requests that are traced; where a caller's trace comes in, it decides.",
    )
    discount_rate: float = Field(
        0.1, gt=-1, le=10, description="Yearly rate at which money to come is discounted: 0.1 is 10%."
    )
    value_days: int = Field(1095, ge=1, le=3650, description="How far ahead a customer's value is counted [days].")
    margin: float | None = Field(
        None, ge=-1, le=1, description="Share of spend left after the goods' cost, where no unit costs are imported."
    )
    contact_cost: float = Field(0.0, ge=0, description="Cost of reaching a customer once [currency].")
    acquisition_cost: float | None = Field(
        None, ge=0, description="Cost of winning a customer, where the customers table does not say [currency]."
    )
    saved_value: float | None = Field(
        None, gt=0, description="What a customer who is kept from leaving brings [currency]; names who is at risk."
    )
    save_rate: float | None = Field(
        None, gt=0, le=1, description="Share of customers about to leave whom a contact keeps: 0.1 is one in ten."
    )
    seed: int = Field(20170101, ge=0, description="Every random choice derives from it.")
    threads: int = Field(2, ge=1, description="Threads of training and whole-base scoring.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )

    @field_validator("clock")
    @classmethod
    def _clock_is_known(cls, value: str) -> str:
        if value not in {"now", "snapshot"} and datetime.fromisoformat(value).tzinfo is None:
            raise ValueError("an instant needs a zone, as in 2017-12-31T23:59:59-05:00")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_exact(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?", origin):
                raise ValueError("an origin is a scheme, a host and perhaps a port, as https://crm.example, and no *")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before environment before `barista.toml` of the workspace."""
        workspace = init_settings().get("workspace") or env_settings().get("workspace") or "workspace"
        file = Path(workspace) / "barista.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)


def load_settings(**arguments: Any) -> Settings:
    """Settings of this process; `arguments` (those that are not None) win over environment and file.

    Raises:
        SettingsError: a value makes no sense; the message names the variable.
    """
    try:
        return Settings(**{name: value for name, value in arguments.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"Setting BARISTA_{name.upper()} can't be used: {first['msg']}",
            found=first.get("input"),
            cure="Correct the environment variable, the argument or barista.toml in the workspace",
        ) from error
    except (TOMLDecodeError, OSError) as error:
        raise SettingsError("barista.toml of the workspace can't be read", found=str(error)) from error
