"""From trained contenders to MLflow versions, champions and the bundle cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from recsys.data.snapshot import Snapshot
from recsys.evaluation.report import write_report
from recsys.evaluation.results import ModelName
from recsys.models.bundle import write_bundle
from recsys.population.fit import fit_population
from recsys.registry import Registry, RunRecord
from recsys.settings import Settings
from recsys.workspace import Workspace
from training.backtesting import Progress, silent
from training.fits import Contender
from training.fitting import Trained, TrainingResult, fit_models, tracked_metrics


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """A training and where it went.

    versions  by model: contender → version number; `champions` the version that serves now
    report    the HTML page
    """

    result: TrainingResult
    versions: dict[ModelName, dict[str, int]]
    champions: dict[ModelName, int]
    report: Path


def train(
    settings: Settings,
    models: Sequence[ModelName] = ("offers", "churn", "value"),
    horizons: Mapping[ModelName, int] | None = None,
    *,
    progress: Progress = silent,
) -> Published:
    """Train on the workspace's current snapshot, register every contender, make the winners champions, fill the cache.

    Raises:
        SnapshotError: nothing was imported yet.
        WorkspaceLocked: another process writes to the workspace.
        RegistryError: MLflow can't be reached.
    """
    workspace = Workspace.open(settings)
    with workspace.writing():
        snapshot = workspace.current_snapshot()
        ensure_population(snapshot, settings.threads, progress)
        result = fit_models(snapshot, models, horizons, seed=settings.seed, threads=settings.threads, progress=progress)
        return publish(settings, result, progress=progress)


def publish(settings: Settings, result: TrainingResult, *, progress: Progress = silent) -> Published:
    """Register all contenders of `result`, promote the winners, and pull them into the cache.

    Raises:
        RegistryError: MLflow can't be reached.
    """
    page = _report(settings.workspace, result)
    registry = Registry(settings)
    versions: dict[ModelName, dict[str, int]] = {}
    champions: dict[ModelName, int] = {}
    for trained in result.trained:
        progress(f"{trained.name}: registering {len(trained.final.contenders)} contenders")
        numbers = {
            each.name: _register(registry, settings, trained, each, page, result.snapshot)
            for each in trained.final.contenders
        }
        champions[trained.name] = numbers[trained.champion.name]
        registry.promote(trained.name, champions[trained.name])
        versions[trained.name] = numbers
    registry.pull(settings.workspace / "bundles")
    return Published(result, versions, champions, page)


def ensure_population(snapshot: Snapshot, threads: int = 1, progress: Progress = silent) -> None:
    """Fit the population facts of a saved snapshot where they are missing."""
    if snapshot.directory is None or (snapshot.directory / "population").is_dir():
        return
    progress("population facts")
    work = snapshot.directory / ".population"
    rmtree(work, ignore_errors=True)
    fit_population(snapshot, threads=threads).save(work)
    work.rename(snapshot.directory / "population")


def _report(workspace: Path, result: TrainingResult) -> Path:
    page = workspace / "reports" / f"train-{result.snapshot.snapshot_id}.html"
    figures = result.report()
    write_report(page, figures)
    figures.write_json(page.with_suffix(".json"))
    return page


def _register(
    registry: Registry, settings: Settings, trained: Trained, contender: Contender, page: Path, snapshot: Snapshot
) -> int:
    """Version number of one contender's bundle."""
    key = settings.bundle_key.get_secret_value().encode() if settings.bundle_key else None
    with TemporaryDirectory() as scratch:
        directory = Path(scratch) / trained.name
        write_bundle(directory, contender.content, key)
        return registry.publish(
            trained.name, directory, _record(settings, trained, contender, page, snapshot), snapshot
        )


def _record(settings: Settings, trained: Trained, contender: Contender, page: Path, snapshot: Snapshot) -> RunRecord:
    """What MLflow shows of a contender: the champion's run has the figures of all, the others their own."""
    wins = contender is trained.champion
    own = {name.replace("@", "_at_").replace(" ", "_"): value for name, value in contender.content.metrics.items()}
    return RunRecord(
        params={
            "contender": contender.name,
            "role": contender.role,
            "horizon_days": trained.horizon_days,
            "seed": settings.seed,
            "windows": len(trained.plan.final.starts),
            "rows": trained.final.rows,
            **{f"trees_{part}": number for part, number in trained.final.trees.items() if contender.role == "model"},
        },
        metrics={**own, **(tracked_metrics(trained) if wins else {})},
        tags={"barista.verdict": trained.verdict.why, "barista.wins": str(wins).lower()},
        artifacts=(page,) if wins else (),
        fingerprint=snapshot.snapshot_id,
    )
