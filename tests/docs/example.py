"""The request and the answer that README.md shows: asked of a trained workspace, written where the marks are.

`python -m tests.docs.example WORKSPACE` after `make demo`; the customer and the request stay as they are below.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from recsys.settings import Settings
from recsys.workspace import Workspace
from serving.answers import open_answers
from serving.http.bodies import RecommendationRequest
from serving.http.service import Service
from serving.http.state import State
from tests.docs.generating import ROOT

REQUEST = {"customer_id": "2375", "n": 2, "mode": "new", "reasons": True}
_PLACE = re.compile(r"(<!-- asked -->\n).*?(<!-- end -->)", re.DOTALL)
_FLAT = re.compile(r"[\[{][^\[\]{}]*[\]}]")


def ask(directory: Path) -> dict[str, Any]:
    """The answer to `REQUEST` as the service gives it."""
    settings = Settings(workspace=directory, clock="snapshot")
    state = State(Workspace.open(settings), open_answers)
    state.refresh()
    decided = Service(state).decide(msgspec.convert(REQUEST, RecommendationRequest))
    answer = msgspec.structs.replace(decided.body, recorded=True)  # the service keeps the record before it answers
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
    return found


def compact(content: Any) -> str:
    """JSON with one line for each innermost list or object."""

    def one_line(match: re.Match[str]) -> str:
        flat = re.sub(r"\s*\n\s*", " ", match[0])
        return flat.replace("{ ", "{").replace(" }", "}").replace("[ ", "[").replace(" ]", "]")

    return _FLAT.sub(one_line, json.dumps(content, indent=2, ensure_ascii=False))


def shown(answer: dict[str, Any]) -> str:
    """The part of README.md between the marks."""
    body = json.dumps(REQUEST)
    request = f"curl -s 127.0.0.1:8000/v1/recommendations -H 'content-type: application/json' \\\n  -d '{body}'"
    return f"```console\n{request}\n```\n\n```json\n{compact(answer)}\n```\n"


def main(directory: Path) -> None:
    """Ask and rewrite README.md."""
    readme = ROOT / "README.md"
    part = shown(ask(directory))
    text = _PLACE.sub(lambda place: f"{place[1]}{part}{place[2]}", readme.read_text(encoding="utf-8"))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
