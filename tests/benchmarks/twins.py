"""What the service is compared with: `python -m tests.benchmarks.twins empty|plain WORKSPACE OFFERS SCORES`.

empty   FastAPI endpoints with a `response_model` that return one recommendation and one scores answer, read from files
plain   the service as one would write it at first: `def`, pydantic, the same candidates and features, `Booster.predict`
"""

import argparse
import os
import types
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import msgspec
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from recsys.settings import load_settings
from recsys.workspace import Workspace
from serving.http.bodies import OfferBody, OffersBody, ScoresBody


@cache
def model_of(body: type[msgspec.Struct]) -> type[BaseModel]:
    """The pydantic model with the fields of a body: made from it, so that a new field can't be missing in a twin."""
    fields: dict[str, Any] = {field.encode_name: (_kind_of(field.type), ...) for field in msgspec.structs.fields(body)}
    made: type[BaseModel] = create_model(body.__name__, **fields)
    return made


def _kind_of(kind: Any) -> Any:
    """A body's annotation as pydantic takes it: structs as models, tuples as lists, bounds left out."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _kind_of(inside[0])
    if origin in {Union, types.UnionType}:
        return reduce(or_, (_kind_of(each) for each in inside))
    if origin is tuple:
        return list[_kind_of(inside[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[inside[0], _kind_of(inside[1])]  # type: ignore[misc]
    return model_of(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else kind


class Asked(BaseModel):
    """What the plain twin is asked."""

    customer_id: str
    n: int = 10
    mode: Literal["new", "repeat", "mixed"] = "mixed"


def empty(offers: Path, scores: Path) -> FastAPI:
    """Nothing but FastAPI."""
    app = FastAPI()
    offers_answer, scores_answer = (msgspec.json.decode(path.read_bytes()) for path in (offers, scores))

    @app.post("/v1/recommendations", response_model=model_of(OffersBody))
    async def recommend() -> Any:
        return offers_answer

    @app.get("/v1/customers/{customer_id}/scores", response_model=model_of(ScoresBody))
    async def score(customer_id: str) -> Any:
        return scores_answer

    return app


def plain(workspace: Path) -> FastAPI:
    """The straightforward service: no key, no tail, no record, LightGBM ranks."""
    import lightgbm
    import numpy as np

    from recsys.data.clock import to_iso
    from recsys.data.tail import rows_at
    from recsys.decisioning import OfferRequest
    from recsys.decisioning.candidates import SOURCES
    from recsys.decisioning.pointing import pointed_at
    from recsys.decisioning.recommend import _gather, allowed_items

    serving = Workspace.open(load_settings(workspace=workspace, clock="snapshot")).load_serving()
    model, snapshot = serving.offers, serving.snapshot
    assert model is not None
    booster = lightgbm.Booster(model_str=model.ranker.text)  # type: ignore[attr-defined]
    catalogue, spend, facts = snapshot.catalogue, serving.population.arrays.items.spend, snapshot.facts
    app, offers_of, offer_of = FastAPI(), model_of(OffersBody), model_of(OfferBody)

    @app.post("/v1/recommendations", response_model=offers_of)
    def recommend(asked: Asked) -> Any:
        rows = rows_at(snapshot, snapshot.customers.index(asked.customer_id), snapshot.as_of)
        desk = serving.desk()
        request = OfferRequest(asked.customer_id, asked.n, asked.mode)
        allowed = allowed_items(serving, request)
        n = _gather(rows, request, desk, allowed, pointed_at(serving, request, rows, allowed, ()))
        raw = np.asarray(booster.predict(desk.X[:n], raw_score=True, num_threads=1))
        best = np.lexsort((desk.chosen[:n], -raw))[: asked.n]
        probability = model.probability(raw[best], desk.known[:n][best] == 0)
        offers = []
        for rank, (at, p) in enumerate(zip(best, probability, strict=True), 1):
            item = int(desk.chosen[at])
            group = int(catalogue.item_group[item])
            offers.append(
                offer_of(
                    rank=rank,
                    item_id=catalogue.items[item],
                    name=catalogue.name(item),
                    group=catalogue.groups[group] if group >= 0 else None,
                    probability=float(p),
                    expected_value=float(p) * snapshot.money(float(spend[item])),
                    novelty="repeat" if desk.known[at] else "new",
                    sources=[name for bit, name in enumerate(SOURCES) if desk.marks[at] >> bit & 1],
                    raw=float(raw[at]),
                    reasons=[],
                )
            )
        return offers_of(
            customer_id=asked.customer_id,
            as_of=to_iso(snapshot.as_of, facts.timezone),
            decision_id="",
            recorded=False,
            snapshot_id=snapshot.snapshot_id,
            model_version=model.version,
            batch_run=None,
            evidence="history",
            stale=False,
            horizon_days=model.horizon_days,
            candidates=n,
            currency=facts.currency,
            offers=offers,
        )

    return app


def main() -> None:
    """Serve one of them on a free port, said on standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["empty", "plain"])
    for name in ("workspace", "offers", "scores"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    app = empty(given.offers, given.scores) if given.kind == "empty" else plain(given.workspace)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    listening = config.bind_socket()
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
