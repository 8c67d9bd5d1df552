"""The generated parts of docs/api.md: routes, bodies, problems, metrics; all from the operations that answer."""

import json
from http import HTTPStatus
from typing import Any, cast

import msgspec

from recsys.settings import Settings
from recsys.workspace import Workspace
from serving.http.metrics import Metrics
from serving.http.operations import Operation, operations
from serving.http.problems import STATUS
from serving.http.service import Service
from serving.http.state import State


def known_operations() -> tuple[Operation, ...]:
    """The documented operations, over a workspace that is never opened."""
    state = State(Workspace(Settings()), cast(Any, None))
    return operations(Service(state), Metrics())


def routes_section() -> str:
    """Every operation with its body, query, answer and example."""
    return "\n\n".join(_operation(each) for each in known_operations())


def _operation(operation: Operation) -> str:
    key = "No key needed." if operation.public else f"Scope {' or '.join(f'`{each}`' for each in operation.scopes)}."
    parts = [f"### `{operation.method} {operation.template}`", f"{operation.summary}. {key}".strip()]
    if operation.body is not None:
        parts.append("Body:\n\n" + fields(operation.body))
    if operation.query.__struct_fields__:
        parts.append("Query:\n\n" + fields(operation.query))
    shown = [title for title in ("request", "answer") if title in operation.example]
    parts += [f"Example {title}:\n\n{_block(operation.example[title])}" for title in shown]
    return "\n\n".join(parts)


def _block(example: Any) -> str:
    if isinstance(example, str):
        return f"```text\n{example.rstrip()}\n```"
    return f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"


def fields(kind: type[msgspec.Struct]) -> str:
    """Table of the keys of a body; nested bodies as dotted keys."""
    rows = ["| key | type | default |", "|---|---|---|"]
    return "\n".join(rows + _rows(kind, ""))


def _rows(kind: type[msgspec.Struct], prefix: str) -> list[str]:
    schema = msgspec.json.schema(kind)
    return _schema_rows(schema["$defs"][kind.__name__], schema["$defs"], prefix)


def _schema_rows(schema: dict[str, Any], known: dict[str, Any], prefix: str) -> list[str]:
    rows = []
    for name, each in schema["properties"].items():
        required = name in schema.get("required", ())
        default = "required" if required else f"`{json.dumps(each.get('default'))}`"
        rows.append(f"| `{prefix}{name}` | {_type(each)} | {default} |")
        nested = _reference(each)
        if nested:
            mark = "[]." if each.get("type") == "array" else "."
            rows += _schema_rows(known[nested], known, f"{prefix}{name}{mark}")
    return rows


def _reference(schema: dict[str, Any]) -> str:
    found = schema.get("$ref") or schema.get("items", {}).get("$ref", "")
    return str(found).rsplit("/", 1)[-1]


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("type", "object"))


def problems_section() -> str:
    """Every kind of problem with its status."""
    rows = ["| type | status |", "|---|---|"]
    rows += [
        f"| `urn:barista:problem:{kind}` | {status} {HTTPStatus(status).phrase} |" for kind, status in STATUS.items()
    ]
    return "\n".join(rows)


def metrics_section() -> str:
    """Every Prometheus metric with its kind, labels and meaning."""
    rows = ["| metric | kind | meaning |", "|---|---|---|"]
    for family in Metrics().registry.collect():
        suffix = "_total" if family.type == "counter" else ""
        rows.append(f"| `{family.name}{suffix}` | {family.type} | {family.documentation} |")
    return "\n".join(rows)
