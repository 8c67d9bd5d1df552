"""Examples of the OpenAPI document; a test compares their shape with real answers."""

from typing import Any

_LATTE = (
    "bought LATTE 12 times; 128 of 400 customers of LATTE (32%) went on to buy CARAMEL LATTE, 3.2 times the usual 10%"
)

_OFFERS: dict[str, Any] = {
    "customer_id": "C1042",
    "as_of": "2017-12-31T23:59:51-05:00",
    "decision_id": "0160af1c63d85f3a9b0c77de21c4a8f6",
    "recorded": True,
    "snapshot_id": "5f0c9a1be27d",
    "model_version": "1",
    "batch_run": None,
    "evidence": "history",
    "stale": False,
    "horizon_days": 28,
    "candidates": 200,
    "currency": "USD",
    "offers": [
        {
            "rank": 1,
            "item_id": "CARAMEL LATTE",
            "name": "CARAMEL LATTE",
            "group": "DRINKS",
            "probability": 0.34,
            "expected_value": 1.53,
            "novelty": "new",
            "sources": ["bought together", "taste"],
            "raw": 1.82,
            "reasons": [
                {
                    "code": "went_on_to_buy",
                    "text": _LATTE,
                    "evidence": {
                        "source": "LATTE",
                        "source_id": "LATTE",
                        "item": "CARAMEL LATTE",
                        "own_orders": 12,
                        "customers": 400,
                        "went_on": 128,
                        "share": 0.32,
                        "usual": 0.1,
                        "lift": 3.2,
                    },
                }
            ],
        }
    ],
}

_DECISION: dict[str, Any] = {
    "decision_id": "0160af1c63d85f3a9b0c77de21c4a8f6",
    "customer_id": "C1042",
    "decided_at": "2017-12-31T23:59:51-05:00",
    "as_of": "2017-12-31T23:59:51-05:00",
    "snapshot_id": "5f0c9a1be27d",
    "events": 2,
    "last_sequence": 4711,
    "stale": False,
    "models": {"offers": {"version": "1-9d0f6c2e", "digest": "9d0f…", "features": "77aa…"}},
    "seed": 20170101,
    "made_with": "barista 0.1.0, numpy 2.3.4, numba 0.62.1, skylake-avx512",
    "asked": {
        "n": 1,
        "mode": "new",
        "exclude": ["GIFT CARD"],
        "basket": [{"product_id": "P7", "quantity": 1.0, "amount": 4.5, "discount": 0.0}],
        "context": {"store_id": "north", "groups": ["DRINKS"]},
        "reasons": True,
        "language": "en",
        "novelty": {"level": "family", "look_back_days": 365},
        "attributes": {},
    },
    "evidence": "history",
    "horizon_days": 28,
    "candidates": [{"item_id": "CARAMEL LATTE", "raw": 1.82}, {"item_id": "MOCHA", "raw": 1.61}],
    "offers": _OFFERS["offers"],
    "looks": 1,
}

_SCORES: dict[str, Any] = {
    "customer_id": "C1042",
    "as_of": "2017-12-31T23:59:51-05:00",
    "snapshot_id": "5f0c9a1be27d",
    "batch_run": None,
    "evidence": "history",
    "stale": False,
    "currency": "USD",
    "churn": {
        "probability": 0.08,
        "at_risk": False,
        "threshold": 0.4,
        "horizon_days": 28,
        "model_version": "1",
        "reasons": [
            {
                "code": "bought_lately",
                "text": "last purchase 2 days ago, no longer than usual (3.3 days) – lowers the risk of leaving",
                "evidence": {
                    "days_since_last": 2.0,
                    "usual_gap_days": 3.3,
                    "contribution": -0.9,
                    "direction": "lowers_churn",
                },
            }
        ],
    },
    "value": {
        "expected_spend": 86.4,
        "spend_low": 21.0,
        "spend_high": 160.5,
        "expected_orders": 9.7,
        "p_alive": 0.97,
        "next_purchase_at": "2018-01-03T11:20:00-05:00",
        "next_purchase_low": "2018-01-01T08:10:00-05:00",
        "next_purchase_high": "2018-01-09T19:45:00-05:00",
        "horizon_days": 84,
        "year_spend": 351.2,
        "year_is_extrapolated": True,
        "model_version": "1",
        "median_spend": 79.1,
        "median_orders": 9.0,
        "tier": "high",
        "intervals": [
            {"level": 0.5, "spend_low": 52.3, "spend_high": 110.8, "orders_low": 6.0, "orders_high": 12.0},
            {"level": 0.8, "spend_low": 21.0, "spend_high": 160.5, "orders_low": 3.0, "orders_high": 16.0},
            {"level": 0.95, "spend_low": 4.2, "spend_high": 231.7, "orders_low": 1.0, "orders_high": 21.0},
        ],
        "worth": {
            "days": 1095,
            "discount_rate": 0.1,
            "historic_spend": 612.4,
            "future_spend": 790.3,
            "total_spend": 1402.7,
            "margin_share": 0.31,
            "expected_margin": 26.8,
            "historic_margin": 189.8,
            "future_margin": 245.0,
            "total_margin": 434.8,
            "acquisition_cost": 200.0,
            "paid_back": False,
            "pays_back_at": "2018-02-03T23:59:51-05:00",
            "profitable": True,
        },
    },
}

_DUE: dict[str, Any] = {
    "purchases": 112,
    "last_at": "2017-12-27T08:11:00-05:00",
    "at": "2018-01-02T03:20:00-05:00",
    "low": "2018-01-01T01:10:00-05:00",
    "high": "2018-01-09T16:40:00-05:00",
    "likely_low": "2018-01-01T11:30:00-05:00",
    "likely_high": "2018-01-04T09:00:00-05:00",
    "within": {"7": 0.84, "14": 0.94, "28": 0.98},
}

_TIMING: dict[str, Any] = {
    "customer_id": "C1042",
    "as_of": "2017-12-31T23:59:51-05:00",
    "snapshot_id": "5f0c9a1be27d",
    "batch_run": None,
    "evidence": "history",
    "stale": False,
    "next": _DUE,
    "categories": [{"category": "COFFEE", "next": _DUE}],
}

_CUSTOMER: dict[str, Any] = {
    "customer_id": "C1042",
    "as_of": "2017-12-31T23:59:51-05:00",
    "snapshot_id": "5f0c9a1be27d",
    "stale": False,
    "currency": "USD",
    "orders": 112,
    "spend": 604.8,
    "events_since_snapshot": 0,
    "first_purchase_at": "2017-01-04T08:02:00-05:00",
    "last_purchase_at": "2017-12-27T08:11:00-05:00",
    "weeks": [{"week": "2017-12-25", "orders": 1, "spend": 4.5}],
    "last_orders": [
        {
            "occurred_at": "2017-12-27T08:11:00-05:00",
            "amount": 4.5,
            "store_id": "north",
            "channel": None,
            "lines": [{"product_id": "P7", "item_id": "LATTE", "name": "LATTE", "quantity": 1.0, "amount": 4.5}],
        }
    ],
    "attributes": {"city": "Boston"},
}

_PURCHASE: dict[str, Any] = {
    "event_id": "till-3-20171231-0042",
    "type": "purchase",
    "customer_id": "C1042",
    "order_id": "R-88123",
    "lines": [{"product_id": "P7", "quantity": 1, "amount": 4.5}],
}

_OUTCOMES: dict[str, Any] = {
    "as_of": "2017-12-31T23:59:51-05:00",
    "accepted": 1,
    "repeated": 0,
    "conflict": 0,
    "outcomes": [
        {
            "event_id": "till-3-20171231-0042",
            "outcome": "accepted",
            "occurred_at": "2017-12-31T23:59:51-05:00",
        }
    ],
}

_MODELS: dict[str, Any] = {
    "as_of": "2017-12-31T23:59:51-05:00",
    "snapshot_id": "5f0c9a1be27d",
    "batch_run": None,
    "models": [
        {
            "name": "churn",
            "version": "1",
            "kind": "lightgbm",
            "digest": "9d0f…",
            "horizon_days": 28,
            "metrics": {"auc": 0.81},
        }
    ],
    "missing": {"offers": "Run `barista check` to see what the data can carry, then `barista train`"},
}

_SHADOW: dict[str, Any] = {
    "share": 0.1,
    "scored": 5120,
    "dropped": 3,
    "failed": 0,
    "challengers": [
        {
            "name": "offers",
            "champion": "1-9d0f6c2e",
            "challenger": "2-51c07a9b",
            "requests": 5120,
            "overlap": 0.83,
            "rank_correlation": 0.94,
            "champion_score": 0.21,
            "challenger_score": 0.22,
            "difference": 0.02,
        }
    ],
    "refused": {},
}

_ERASURE: dict[str, Any] = {
    "receipt_id": "0f7d5cbe4f5e4d0f9a0b8f6f0a3f6f11",
    "erased_at": "2017-12-31T23:59:51-05:00",
    "requested_at": "2026-03-02T04:12:09-05:00",
    "events": 3,
    "decisions": 12,
    "answers": 1,
    "remains": [
        {"where": "current snapshot", "count": 1, "until": "the next `barista import`"},
        {"where": "published scores", "count": 1, "until": "the next `barista score`, or `barista sweep`"},
    ],
}

_EXPORT: dict[str, Any] = {
    "customer_id": "C1042",
    "as_of": "2017-12-31T23:59:51-05:00",
    "currency": "USD",
    "attributes": {"city": "Boston"},
    "orders": _CUSTOMER["last_orders"],
    "events": [],
    "decisions": [],
    "scores": _SCORES,
    "timing": _TIMING,
}

_MODEL = {"version": "3-fbded357", "age_seconds": 86_000, "why": None, "refused": None}

_READY: dict[str, Any] = {
    "status": "ok",
    "reasons": [],
    "snapshot_id": "5f0c9a1be27d",
    "components": {
        "snapshot": "ok",
        "offers": "ok",
        "churn": "ok",
        "value": "ok",
        "database": "ok",
        "journal": "ok",
        "disk": "ok",
    },
    "parts": {
        "snapshot": {"id": "5f0c9a1be27d", "age_seconds": 30_000, "serving_seconds": 29_000},
        "models": {"offers": _MODEL, "churn": _MODEL, "value": _MODEL},
        "database": "ok",
        "journal": {"files": 0, "bytes": 0},
        "registry": None,
        "disk": {"free_bytes": 71_000_000_000, "free_share": 0.34},
        "looked_seconds": 2,
    },
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "erase": {"answer": _ERASURE},
    "export": {"answer": _EXPORT},
    "recommend": {
        "request": {
            "customer_id": "C1042",
            "n": 5,
            "mode": "new",
            "exclude": ["GIFT CARD"],
            "basket": [{"product_id": "P7", "quantity": 1, "amount": 4.5}],
            "context": {"store_id": "north", "groups": ["DRINKS"]},
            "reasons": True,
            "language": "en",
            "novelty": {"level": "family", "look_back_days": 365},
            "attributes": {},
        },
        "answer": _OFFERS,
    },
    "decision": {"answer": _DECISION},
    "scores": {"answer": _SCORES},
    "timing": {"answer": _TIMING},
    "find_customers": {
        "answer": {
            "customers": [
                {"customer_id": "C1042", "orders": 112, "last_purchase_at": "2017-12-27T08:11:00-05:00"},
            ],
            "known": 2469,
        }
    },
    "customer": {"answer": _CUSTOMER},
    "find_items": {
        "answer": {
            "items": [
                {"item_id": "LATTE", "name": "LATTE", "group": "DRINKS", "offerable": True, "product_id": "P7"},
            ],
            "known": 2382,
        }
    },
    "report": {"request": {"events": [_PURCHASE]}, "answer": _OUTCOMES},
    "models": {"answer": _MODELS},
    "shadow": {"answer": _SHADOW},
    "live": {"answer": {"status": "ok", "uptime_seconds": 4211}},
    "ready": {"answer": _READY},
    "metrics": {"answer": 'barista_requests_total{method="GET",route="/health/ready",status="200"} 12.0\n'},
}
"""By operation: `request` and `answer`."""
