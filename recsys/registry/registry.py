"""Trained models as MLflow runs and versions; `champion` is the version that serves."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsys.data.snapshot import Snapshot
from recsys.errors import RegistryError
from recsys.models.bundle import NAMES
from recsys.models.refusal import forget_refusal
from recsys.registry.address import tracking_uri
from recsys.registry.connection import experiment_id, open_client, translated
from recsys.registry.packaging import save_pyfunc
from recsys.registry.pulling import BUNDLE_PATH, Change, checked_bundle, pull_champion, withdraw_challenger
from recsys.settings import Settings

CHAMPION = "champion"
CHALLENGER = "challenger"

ROLES = (CHAMPION, CHALLENGER)

_BATCH = 100


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is written down about a training: settings, figures, and files such as `report.html`.

    `artifacts` are the files; `fingerprint` identifies the data it was trained on.
    """

    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Sequence[Path] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One registered version of a model; `made_at` [s]."""

    name: str
    version: int
    run_id: str
    digest: str
    made_at: int
    is_champion: bool
    metrics: dict[str, float]


class Registry:
    """Runs and versions of one workspace."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = open_client(settings)
        self.address = tracking_uri(settings)

    def publish(self, name: str, bundle: Path, run: RunRecord, snapshot: Snapshot) -> int:
        """Register the bundle directory as a new version of `name`, with its run; the version number.

        `snapshot` is the saved one with its `population/`: the MLflow model answers from transaction lines with its
        catalogue and population facts. No row of a customer is stored.

        Raises:
            BundleError: the bundle is damaged or another model's.
            SnapshotError: the snapshot has no population facts.
            RegistryError: MLflow refused.
        """
        digest = checked_bundle(bundle, name, self._key()).digest
        with TemporaryDirectory() as scratch, translated():
            model = save_pyfunc(Path(scratch), bundle, snapshot)
            run_id = self._start_run(name, run, digest)
            try:
                self._log(run_id, run)
                self._client.log_artifacts(run_id, str(model), "model")
                version = self._register(name, run_id, digest)
            except BaseException:
                self._client.set_terminated(run_id, "FAILED")
                raise
            self._client.set_terminated(run_id)
            return version

    def promote(self, name: str, version: int, role: str = CHAMPION) -> None:
        """Make `version` the champion of `name`, or its challenger: one that scores live requests unseen.

        A challenger that becomes the champion challenges no more.

        Raises:
            RegistryError: there is no such version.
        """
        known = [info.version for info in self.versions(name)]
        if version not in known:
            raise RegistryError(
                f"No such version of {name}",
                found=version,
                expected=f"one of {known}" if known else "a registered version",
                cure="Run `barista train`" if not known else "",
            )
        with translated():
            self._client.set_registered_model_alias(self._full(name), role, str(version))
            if role == CHAMPION and self._aliases(name).get(CHALLENGER) == str(version):
                self._client.delete_registered_model_alias(self._full(name), CHALLENGER)

    def withdraw(self, name: str) -> None:
        """End the challenge of `name`, if there is one.

        Raises:
            RegistryError: MLflow refused.
        """
        with translated():
            if CHALLENGER in self._aliases(name):
                self._client.delete_registered_model_alias(self._full(name), CHALLENGER)

    def versions(self, name: str) -> tuple[VersionInfo, ...]:
        """Registered versions of `name`, oldest first; empty when it was never trained."""
        with translated():
            found = self._client.search_model_versions(f"name='{self._full(name)}'")
            champion = self._champion_version(name)
            return tuple(sorted((self._info(name, each, champion) for each in found), key=lambda info: info.version))

    def champion(self, name: str) -> VersionInfo | None:
        """The version of `name` that serves; None without one."""
        with translated():
            version = self._champion_version(name)
            found = self._client.get_model_version(self._full(name), version) if version else None
            return self._info(name, found, version) if found else None

    def pull(self, cache: Path) -> list[Change]:
        """Bring champions and challengers into the bundle cache; what changed.

        A bad bundle is refused and the former one stays.

        Raises:
            RegistryError: MLflow can't be reached; the cache is as it was.
        """
        changes = []
        for name in NAMES:
            with translated():
                aliases = self._aliases(name)
            found = [self._pull(cache / name, role, aliases[role]) for role in ROLES if role in aliases]
            for role in ROLES:
                if role not in aliases:
                    forget_refusal(cache / name, role)
            if CHALLENGER not in aliases:
                found.append(withdraw_challenger(cache / name))
            changes += [change for change in found if change is not None]
        return changes

    def _pull(self, cache: Path, role: str, version: str) -> Change | None:
        """Bring the version with an alias into the cache of its model."""
        with translated():
            found = self._client.get_model_version(self._full(cache.name), version)
        digest = found.tags.get("barista.bundle_digest", "")
        return pull_champion(self._fetch, cache, int(version), found.run_id, self._key(), role, digest)

    def _fetch(self, run_id: str, target: Path) -> Path:
        """Download a run's bundle below `target`; where it is."""
        with translated():
            return Path(self._client.download_artifacts(run_id, BUNDLE_PATH, str(target)))

    def _start_run(self, name: str, run: RunRecord, digest: str) -> str:
        tags = {**run.tags, "barista.model": name, "barista.bundle_digest": digest, "barista.data": run.fingerprint}
        created = self._client.create_run(experiment_id(self._client, self._settings), tags=tags, run_name=name)
        return str(created.info.run_id)

    def _log(self, run_id: str, run: RunRecord) -> None:
        """Parameters and metrics in batches of what MLflow takes at once, then files."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        metrics = [Metric(key, float(value), now, 0) for key, value in run.metrics.items()]
        params = [Param(key, str(value)) for key, value in run.params.items()]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        for start in range(0, len(params), _BATCH):
            self._client.log_batch(run_id, params=params[start : start + _BATCH])
        for file in run.artifacts:
            self._client.log_artifact(run_id, str(file))

    def _register(self, name: str, run_id: str, digest: str) -> int:
        full = self._full(name)
        if not self._client.search_registered_models(f"name='{full}'"):
            self._client.create_registered_model(full)
        source = f"{self._client.get_run(run_id).info.artifact_uri}/model"
        tags = {"barista.bundle_digest": digest}
        return int(self._client.create_model_version(full, source, run_id=run_id, tags=tags).version)

    def _info(self, name: str, found: Any, champion: str | None) -> VersionInfo:
        return VersionInfo(
            name,
            int(found.version),
            found.run_id,
            found.tags.get("barista.bundle_digest", ""),
            found.creation_timestamp // 1000,
            str(found.version) == champion,
            dict(self._client.get_run(found.run_id).data.metrics),
        )

    def _champion_version(self, name: str) -> str | None:
        return self._aliases(name).get(CHAMPION)

    def _aliases(self, name: str) -> dict[str, str]:
        """Version by alias."""
        models = self._client.search_registered_models(f"name='{self._full(name)}'")
        return {alias: str(version) for alias, version in models[0].aliases.items()} if models else {}

    def _full(self, name: str) -> str:
        if name not in NAMES:
            raise RegistryError("Unknown model", found=name, expected=", ".join(NAMES))
        return f"{self._settings.registry_prefix}{name}"

    def _key(self) -> bytes | None:
        key = self._settings.bundle_key
        return key.get_secret_value().encode() if key else None
