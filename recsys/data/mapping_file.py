"""TOML → Mapping: every key is known, every value of the right type, or a MappingError says which and why."""

import difflib
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recsys.data import columns as c
from recsys.data.cataloguing import ITEM_IS_PRODUCT, CatalogueRules
from recsys.data.mapping import (
    CUSTOMER_COLUMNS,
    TRANSACTION_COLUMNS,
    Business,
    ColumnSource,
    Mapping,
    TableFormat,
    TableSource,
)
from recsys.errors import MappingError

SECTIONS = ("transactions", "products", "customers", "business", "items", "limits")
KINDS = ("csv", "whitespace", "parquet", "excel")
TYPES = ("auto", "text", "number", "bool")
FORMAT_KEYS: dict[str, type | tuple[type, ...]] = {
    "format": str,
    "encoding": str,
    "separator": str,
    "decimal": str,
    "thousands": str,
    "header": bool,
    "names": list,
    "member": str,
    "sheet": str,
    "missing": (str, list),
    "zone": str,
    "time_format": (str, list),
}
TABLE_KEYS: dict[str, type | tuple[type, ...]] = {
    "file": (str, list),
    "url": str,
    "query": str,
    "from": str,
    "columns": dict,
    "attributes": dict,
    "opt_outs": dict,
    **FORMAT_KEYS,
}
COLUMN_KEYS: dict[str, type | tuple[type, ...]] = {
    "column": str,
    "columns": list,
    "constant": (str, int, float),
    "separator": str,
    "if_missing": str,
    "unit_price": str,
    "negative": bool,
    "per": str,
    "type": str,
}


def read_mapping(path: Path) -> Mapping:
    """Mapping of a TOML file; relative paths in it start from the file's directory.

    Raises:
        MappingError: no such file, no TOML, an unknown key, a value of the wrong type, a required column unmapped.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MappingError("The mapping can't be read", found=str(path), expected="a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{Path(path).name} is no TOML: {error}", cure="Correct the file") from error
    return mapping_of(content, Path(path).resolve().parent)


def mapping_of(content: dict[str, Any], base: Path) -> Mapping:
    """Mapping of parsed TOML; `base` is where relative paths start.

    Raises:
        MappingError: as `read_mapping`.
    """
    _known(content, dict.fromkeys(SECTIONS, dict), "the mapping")
    if "transactions" not in content:
        raise MappingError("No [transactions] in the mapping", found=sorted(content), expected="[transactions]")
    items = _items(content["items"]) if "items" in content else None
    levels = items.levels if items else ()
    products = content.get("products")
    customers = content.get("customers")
    mapping = Mapping(
        transactions=_table("transactions", content["transactions"], base, TRANSACTION_COLUMNS, c.TRANSACTION_REQUIRED),
        products=_table("products", products, base, (*c.PRODUCT_COLUMNS, *levels), (c.PRODUCT,))
        if products is not None
        else None,
        customers=_table("customers", customers, base, CUSTOMER_COLUMNS, (c.CUSTOMER,))
        if customers is not None
        else None,
        business=_business(content.get("business", {})),
        items=items,
        max_rejected_share=_share(content.get("limits", {})),
    )
    _levels_mapped(mapping)
    return mapping


def _business(section: dict[str, Any]) -> Business:
    _known(section, {"timezone": str, "currency": str, "minor_digits": int}, "[business]")
    business = Business(**section)
    _zone(business.timezone, "[business] timezone")
    if not 0 <= business.minor_digits <= 6:
        raise MappingError("[business] minor_digits", found=business.minor_digits, expected="0 to 6")
    return business


def _items(section: dict[str, Any]) -> CatalogueRules:
    _known(section, {"levels": list, "item_level": str, "not_offerable": dict}, "[items]")
    levels = _texts(section.get("levels", []), "[items] levels")
    level = section.get("item_level", ITEM_IS_PRODUCT)
    choices = (*levels, ITEM_IS_PRODUCT)
    if level not in choices:
        raise MappingError("[items] item_level", found=level, expected=f"one of {', '.join(choices)}")
    banned = section.get("not_offerable", {})
    _known(banned, dict.fromkeys(choices, list), "[items.not_offerable]")
    return CatalogueRules(levels, level, {name: _texts(patterns, name) for name, patterns in banned.items()})


def _share(section: dict[str, Any]) -> float:
    _known(section, {"max_rejected_share": (int, float)}, "[limits]")
    share = float(section.get("max_rejected_share", 0.1))
    if not 0 <= share <= 1:
        raise MappingError("[limits] max_rejected_share", found=share, expected="0 to 1")
    return share


def _table(
    name: str, section: dict[str, Any], base: Path, allowed: Collection[str], required: Collection[str]
) -> TableSource:
    where = f"[{name}]"
    _known(section, TABLE_KEYS, where)
    derived = section.get("from") == "transactions"
    _one_source(section, name, derived=derived)
    columns = section.get("columns", {})
    _known(columns, dict.fromkeys(allowed, (str, list, dict)), f"[{name}.columns]")
    for column in required:
        if column not in columns:
            raise MappingError(
                f"[{name}.columns] does not say where {column} comes from",
                found=sorted(columns),
                cure=f'Add `{column} = "its column"`',
            )
    return TableSource(
        files=tuple(base / file for file in _listed(section.get("file", []))),
        url=section.get("url", ""),
        query=section.get("query", ""),
        from_transactions=derived,
        format=_format(section, where),
        columns={key: _column(value, f"{where} {key}", key) for key, value in columns.items()},
        attributes=_attributes(section.get("attributes", {}), name, allowed),
        opt_outs=_opt_outs(section.get("opt_outs", {}), name),
    )


def _one_source(section: dict[str, Any], name: str, *, derived: bool) -> None:
    """Exactly one of `file`, `url` with `query`, `from`."""
    if "from" in section and (not derived or name == "transactions"):
        raise MappingError(f"[{name}] from", found=section["from"], expected='"transactions" (products, customers)')
    given = [key for key in ("file", "url", "from") if section.get(key)]
    if len(given) != 1 or ("url" in given) != bool(section.get("query")):
        raise MappingError(
            f"[{name}] does not say where its rows are",
            found=given or None,
            expected='one of `file = "…"`, `url = "…"` with `query = "…"`'
            + ("" if name == "transactions" else ', `from = "transactions"`'),
        )


def _format(section: dict[str, Any], where: str) -> TableFormat:
    kind = section.get("format", "")
    if kind and kind not in KINDS:
        raise MappingError(f"{where} format", found=kind, expected=f"one of {', '.join(KINDS)}")
    if section.get("decimal", "") not in {"", ".", ","}:
        raise MappingError(f"{where} decimal", found=section["decimal"], expected="'.' or ','")
    if len(section.get("separator", ",")) != 1:
        raise MappingError(f"{where} separator", found=section["separator"], expected="one character")
    if section.get("zone"):
        _zone(section["zone"], f"{where} zone")
    return TableFormat(
        kind=kind,
        names=_texts(section.get("names", []), f"{where} names"),
        missing=_listed(section.get("missing", [])),
        time_format=_listed(section.get("time_format", [])),
        **{
            key: section[key]
            for key in ("encoding", "separator", "decimal", "thousands", "header", "member", "sheet", "zone")
            if key in section
        },
    )


def _attributes(section: dict[str, Any], name: str, reserved: Collection[str]) -> dict[str, ColumnSource]:
    if section and name == "transactions":
        raise MappingError("[transactions] has no attributes", cure="Put them into [products] or [customers]")
    for key in section:
        if key in reserved:
            raise MappingError(f"[{name}.attributes] {key}", expected=f"under [{name}.columns]")
    return {key: _column(value, f"[{name}.attributes] {key}", key) for key, value in section.items()}


def _opt_outs(section: dict[str, Any], name: str) -> dict[str, ColumnSource]:
    if section and name != "customers":
        raise MappingError(f"[{name}] has no opt_outs", cure="Put them into [customers.opt_outs]")
    return {key: _column(value, f"[customers.opt_outs] {key}", key) for key, value in section.items()}


def _column(value: Any, where: str, key: str) -> ColumnSource:
    """A column's source from `"name"`, `["a", "b"]` or a table of `COLUMN_KEYS`."""
    joined = " " if key == c.TIME else "|"
    if isinstance(value, str):
        return ColumnSource.of(value)
    if isinstance(value, list):
        return ColumnSource(_texts(value, where), separator=joined)
    if not isinstance(value, dict):
        raise MappingError(where, found=value, expected="a column's name, a list of names, or a table")
    _known(value, COLUMN_KEYS, where)
    given = [name for name in ("column", "columns", "constant", "unit_price") if name in value]
    if len(given) != 1:
        raise MappingError(where, found=given, expected="one of column, columns, constant, unit_price")
    if value.get("type", "auto") not in TYPES:
        raise MappingError(f"{where} type", found=value["type"], expected=f"one of {', '.join(TYPES)}")
    _only_where_it_means_something(value, where, key)
    names = value.get("columns") or [value[name] for name in ("column", "unit_price") if name in value]
    return ColumnSource(
        columns=_texts(names, where),
        constant=str(value["constant"]) if "constant" in value else None,
        separator=value.get("separator", joined),
        if_missing=value.get("if_missing"),
        unit_price="unit_price" in value,
        negative=value.get("negative", False),
        per=value.get("per"),
        type=value.get("type", "auto"),
    )


def _only_where_it_means_something(value: dict[str, Any], where: str, key: str) -> None:
    for option, column in (("unit_price", c.AMOUNT), ("negative", c.DISCOUNT), ("per", c.UNIT_COST)):
        if option in value and key != column:
            raise MappingError(f"{where} {option}", expected=f"only for {column}")


def _levels_mapped(mapping: Mapping) -> None:
    """Catalogue levels need a products table that maps them."""
    mapped = mapping.products.columns if mapping.products else {}
    missing = [level for level in mapping.rules().levels if level not in mapped]
    if missing:
        raise MappingError(
            f"[items] names levels that [products.columns] does not map: {', '.join(missing)}",
            found=sorted(mapped),
            cure=f'Add `{missing[0]} = "its column"` to [products.columns]',
        )


def _known(section: Any, allowed: dict[str, Any], where: str) -> None:
    """Refuse unknown keys, with the nearest known one, and values of another type."""
    if not isinstance(section, dict):
        raise MappingError(where, found=section, expected="a table of keys")
    for key, value in section.items():
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else ""
            raise MappingError(f"Unknown key in {where}", found=key, expected=", ".join(sorted(allowed)), cure=hint)
        if not isinstance(value, allowed[key]) or (isinstance(value, bool) and allowed[key] is not bool):
            names = allowed[key] if isinstance(allowed[key], tuple) else (allowed[key],)
            raise MappingError(f"{where} {key}", found=value, expected=" or ".join(TOML_NAMES[each] for each in names))


TOML_NAMES = {
    str: "a text",
    list: "a list",
    dict: "a table",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _texts(values: Any, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MappingError(where, found=values, expected="a list of texts")
    return tuple(values)


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else _texts(value, "list")


def _zone(name: str, where: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise MappingError(
            f"{where} is no time zone", found=name, expected="an IANA name such as Europe/Moscow"
        ) from error
