"""The service beside an empty endpoint and a plain twin: CPU a request, start, memory, latency, overload.

The champion of offers is fitted anew with 200 trees, what the figures are asked for.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np

from recsys.decisioning import OfferRequest
from recsys.decisioning.recommend import rank
from recsys.models.forest import Forest
from recsys.settings import load_settings
from recsys.workspace import Workspace
from tests.benchmarks.champion import LEAST_TREES, Size, enlarge_champion
from tests.benchmarks.in_process import InProcess, times_of
from tests.benchmarks.load import Asked, Seen, load
from tests.benchmarks.measure import figure, milliseconds, speed_of_the_machine
from tests.benchmarks.service_load import OFFERS, under_load
from tests.benchmarks.sides import NATIVE, Case, Side, copied, foreign, pss_mb, service, twin, workers_of

COMMAND = "make bench-service"
JSON = {"Content-Type": "application/json"}
CONNECTIONS = 16
ROUNDS = 7
NONE = "none"
SECONDS = 1.2
ANSWERS = 1_500
"""How many answers are timed in process."""

LEAST_LEAVES, LEAST_FEATURES = 31, 35
"""What a tree of the champion that is timed may have at least, and what it reads."""

CANDIDATES = 200
"""How many candidates an answer that is timed ranks at least."""


def run(workspace: Path) -> list[dict[str, Any]]:
    """All figures of the service."""
    with copied(workspace) as case:
        enlarge_champion(case.directory)
        told = [*_data(case), *_champion(case)]
        return [*told, *_ratios(case), *_in_process(case), *_start_and_memory(case), *_loaded(case)]


def _data(case: Case) -> list[dict[str, Any]]:
    """What is asked for: the imported data in a few words, and how many candidates each answer ranks.

    Raises:
        RuntimeError: some answers rank too few for the times that are to be read.
    """
    snapshot = Workspace.open(load_settings(workspace=case.directory, clock="snapshot")).current_snapshot()
    sizes = {"customers": len(snapshot.customers), "orders": len(snapshot.history.order_time)}
    sizes |= {"items": snapshot.catalogue.n_items}
    told = ", ".join([snapshot.facts.source, *(f"{count:,} {name}" for name, count in sizes.items())])
    with service(case) as side, _client(case, side) as http:
        answers = [http.post(OFFERS, content=body, headers=JSON) for body in dict.fromkeys(case.bodies)]
    fewest = fewest_ranked([answer.raise_for_status().json() for answer in answers])
    name = f"candidates ranked for an answer, fewest of {len(answers):,}"
    return [
        speed_of_the_machine(COMMAND),
        figure("data of the figures below", told, "", COMMAND),
        figure(name, fewest, "", COMMAND, at_least=CANDIDATES),
    ]


def _champion(case: Case) -> list[dict[str, Any]]:
    """How large the champion of offers is that answers below."""
    serving = Workspace.open(load_settings(workspace=case.directory, clock="snapshot")).load_serving()
    assert serving.offers is not None
    assert isinstance(serving.offers.ranker, Forest)
    size = Size.of(serving.offers.ranker)
    return [
        figure("champion of offers: trees", size.trees, "", COMMAND, at_least=LEAST_TREES),
        figure("champion of offers: leaves of its largest tree", size.most_leaves, "", COMMAND, at_least=LEAST_LEAVES),
        figure("champion of offers: leaves of a tree, mean", size.mean_leaves, "", COMMAND),
        figure("champion of offers: features of a row", size.features, "", COMMAND, at_least=LEAST_FEATURES),
    ]


def fewest_ranked(answers: Sequence[Mapping[str, Any]]) -> int:
    """Candidates of the answer that ranks the fewest; raises RuntimeError if they are too few to be timed."""
    fewest = min(int(answer["candidates"]) for answer in answers)
    if fewest < CANDIDATES:
        raise RuntimeError(f"an answer ranks {fewest} candidates, the figures are asked for with {CANDIDATES}")
    return fewest


def _loaded(case: Case) -> list[dict[str, Any]]:
    with service(case) as side:
        return under_load(case, side, COMMAND)


def _in_process(case: Case) -> list[dict[str, Any]]:
    """One recommendation without a network, what of it is the ranking, and its trees beside LightGBM's own."""
    import lightgbm

    whole = times_of(InProcess(str(case.directory), case.key, case.bodies, ANSWERS))

    opened = Workspace.open(load_settings(workspace=case.directory, clock="snapshot"))
    serving = opened.load_serving()
    assert serving.offers is not None
    ids, as_of, ranker = iter(case.customers * 10), serving.snapshot.as_of, serving.offers.ranker
    events = opened.events()

    def one() -> None:
        customer = next(ids)
        rank(serving, OfferRequest(customer), events.orders_of(customer), as_of)

    ranking = milliseconds(one, ANSWERS)
    X, booster = serving.desk().X, lightgbm.Booster(model_str=ranker.text)  # type: ignore[attr-defined]
    check_scores(ranker.raw(X), booster.predict(X, raw_score=True, num_threads=1))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(np.median(milliseconds(lambda: ranker.raw(X), 50)))
        theirs.append(np.median(milliseconds(lambda: booster.predict(X, raw_score=True, num_threads=1), 20)))
    trees = f"{ranker.n_trees} trees, 200 rows"  # type: ignore[attr-defined]
    ratio = float(np.median(np.array(theirs) / np.array(ours)))
    return [
        figure("one recommendation in process, from key to record, p50", _middle(whole), "ms", COMMAND, at_most=1.5),
        figure("of it the ranking with its tail read, p50", _middle(ranking), "ms", COMMAND),
        figure(f"Booster.predict over the tree kernel, {trees}", ratio, "times", COMMAND, at_least=4),
    ]


def check_scores(ours: Any, theirs: Any) -> None:
    """Raises: RuntimeError if the tree kernel's scores (n,) are not LightGBM's to the last bit."""
    if not np.array_equal(ours, theirs):
        raise RuntimeError(f"{np.sum(ours != theirs)} of {len(ours)} scores of the tree kernel are not LightGBM's")


def _start_and_memory(case: Case) -> list[dict[str, Any]]:
    """Seconds from the command to /health/ready, and proportional memory of workers that have answered."""
    with tempfile.TemporaryDirectory() as cache, service(case, NUMBA_CACHE_DIR=cache) as side:
        cold = side.ready
        load(_offers(case, side))
        fresh = pss_mb(side.pid)
    warm, totals, strange = [], {}, set()
    for workers in (1, 1, 1, 2, 3):
        with service(case, "--workers", str(workers)) as side:
            warm += [side.ready] if workers == 1 else []
            for _ in range(workers):
                load(_offers(case, side))
            totals[workers] = sum(pss_mb(pid) for pid in (side.pid, *workers_of(side.pid)))
            strange |= {name for pid in (side.pid, *workers_of(side.pid)) for name in foreign(pid)}
    return [
        figure("from start to ready, kernels compiled before, median of 3", _middle(warm), "s", COMMAND, at_most=2.5),
        figure("the same on a machine that never compiled them", cold, "s", COMMAND),
        figure("first worker, proportional memory after requests", totals[1], "MB", COMMAND, at_most=250),
        figure("the same on a machine that never compiled kernels", fresh, "MB", COMMAND, at_most=250),
        figure("a second worker, memory it adds", totals[2] - totals[1], "MB", COMMAND, at_most=60),
        figure("a third worker, memory it adds", totals[3] - totals[2], "MB", COMMAND, at_most=60),
        figure(f"{', '.join(NATIVE)}: mapped by a worker", ", ".join(sorted(strange)) or NONE, "", COMMAND, said=NONE),
    ]


def _middle(values: Any) -> float:
    return float(np.median(values))


class Measured(NamedTuple):
    """CPU a request [ms] of each round, by what was asked."""

    empty_offers: list[float]
    empty_scores: list[float]
    offers: list[float]
    plain: list[float]
    scores: list[float]
    reasons: list[float]


def _ratios(case: Case) -> list[dict[str, Any]]:
    """CPU a request in one interleaved run: every round asks every side in turn."""
    with ExitStack() as sides, tempfile.TemporaryDirectory() as place:
        ours = sides.enter_context(service(case))
        _write_answers(case, ours, Path(place))
        empty, plain = (sides.enter_context(twin(kind, case, Path(place))) for kind in ("empty", "plain"))
        _check_same(case, empty, Path(place))
        asked = Measured(
            lambda: _cpu(empty, _offers(case, empty)),
            lambda: _cpu(empty, _scores(case, empty)),
            lambda: _cpu(ours, _offers(case, ours)),
            lambda: _cpu(plain, _offers(case, plain)),
            lambda: _cpu(ours, _scores(case, ours)),
            lambda: _cpu(ours, _scores(case, ours, "?reasons=true")),
        )
        rounds = [[act() for act in asked] for _ in range(ROUNDS + 1)][1:]
    return _ratio_figures(Measured(*map(np.array, zip(*rounds, strict=True))))


def _ratio_figures(cpu: Measured) -> list[dict[str, Any]]:
    def ratio(name: str, above: Any, below: Any, **bound: float) -> dict[str, Any]:
        return figure(name, _middle(above / below), "times", COMMAND, **bound)

    return [
        figure("CPU of an empty FastAPI endpoint, offers JSON", _middle(cpu.empty_offers), "ms", COMMAND),
        figure("CPU of POST /v1/recommendations", _middle(cpu.offers), "ms", COMMAND),
        ratio("POST /v1/recommendations over the empty endpoint", cpu.offers, cpu.empty_offers, at_most=10),
        ratio("the plain twin over POST /v1/recommendations", cpu.plain, cpu.offers, at_least=2),
        figure("CPU of an empty FastAPI endpoint, scores JSON", _middle(cpu.empty_scores), "ms", COMMAND),
        figure("CPU of GET scores", _middle(cpu.scores), "ms", COMMAND),
        ratio("GET scores over the empty endpoint", cpu.scores, cpu.empty_scores, at_most=1.7),
        figure("CPU of GET scores with reasons", _middle(cpu.reasons), "ms", COMMAND, at_most=5),
    ]


def _offers(case: Case, side: Side) -> Asked:
    return Asked(side.port, SECONDS, [OFFERS], case.bodies, case.key, CONNECTIONS)


def _scores(case: Case, side: Side, query: str = "") -> Asked:
    return Asked(side.port, SECONDS, [path + query for path in case.score_paths], (), case.key, CONNECTIONS)


def _cpu(side: Side, asked: Asked) -> float:
    """CPU a request of a side while it is asked [ms]."""
    before = side.cpu()
    seen = load(asked)
    _expect(seen, {"200"})
    return (side.cpu() - before) / len(seen.times) * 1000


def _expect(seen: Seen, statuses: set[str]) -> None:
    if not set(seen.statuses) <= statuses:
        raise RuntimeError(f"answers other than {sorted(statuses)}: {seen.statuses}")


def _write_answers(case: Case, side: Side, place: Path) -> None:
    """One answer of each kind, which the empty endpoint repeats."""
    for name, answer in _answers(case, side).items():
        (place / name).write_bytes(answer)


def _check_same(case: Case, empty: Side, place: Path) -> None:
    """Refuse an empty endpoint that returns other JSON than the service did: less to write is cheaper."""
    for name, answer in _answers(case, empty).items():
        check_same(name, (place / name).read_bytes(), answer)


def check_same(name: str, service: bytes, empty: bytes) -> None:
    """Raises: RuntimeError if the empty endpoint's JSON is not that of the service."""
    if msgspec.json.decode(service) != msgspec.json.decode(empty):
        raise RuntimeError(f"{name}: the empty endpoint returns other JSON than the service, {empty[:200]!r}")


def _answers(case: Case, side: Side) -> dict[str, bytes]:
    """One answer of each kind by the name of the file the empty endpoint reads."""
    with _client(case, side) as http:
        offers = http.post(OFFERS, content=case.bodies[1], headers=JSON)
        scores = http.get(case.score_paths[1])
    return {"offers.json": offers.raise_for_status().content, "scores.json": scores.raise_for_status().content}


def _client(case: Case, side: Side) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{side.port}", headers={"Authorization": f"Bearer {case.key}"})
