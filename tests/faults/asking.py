"""Requests whose answers are traced: purchases under ids that can be told apart, and offers."""

import secrets

import httpx


def acknowledged(address: str, number: int, *, events: bool = True) -> list[str]:
    """Ids of as many purchases and recorded offers, each asked for after the one before was answered."""
    ids = []
    with httpx.Client(base_url=address, timeout=30) as http:
        for _ in range(number):
            if events:
                event_id = secrets.token_hex(16)
                lines = [{"product_id": "tea", "quantity": 1, "amount": 2.1}]
                event = {"event_id": event_id, "type": "purchase", "customer_id": "ann", "lines": lines}
                if http.post("/v1/events", json={"events": [event]}).status_code == 200:
                    ids.append(event_id)
            offers = http.post("/v1/recommendations", json={"customer_id": "ann"}).json()
            if offers["recorded"]:
                ids.append(offers["decision_id"])
    return ids
