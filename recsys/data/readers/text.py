"""What a text file is: its encoding, the separator of its columns, its header."""

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from recsys.data.mapping import TableFormat
from recsys.data.readers.chunk import named
from recsys.data.readers.files import SourceFile, opened
from recsys.errors import ImportRefused

SAMPLE = 1 << 18
"""Bytes looked at to find separator and header."""

SEPARATORS = (",", ";", "\t", "|")
FALLBACK = "cp1251"
"""Encoding of bytes that are neither marked nor UTF-16 nor UTF-8."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class TextFacts:
    """How a text file is to be split: encoding, separator, decimal mark, names, lines above the first row, if any."""

    encoding: str
    separator: str
    decimal: str
    names: tuple[str, ...]
    skipped: int
    has_rows: bool

    def read_as(self) -> dict[str, str]:
        """For the report."""
        return {"encoding": self.encoding, "separator": self.separator or "blanks", "decimal": self.decimal}


def text_facts(file: SourceFile, wanted: TableFormat) -> TextFacts:
    """What the mapping says, and the rest from the file's first lines.

    Raises:
        ImportRefused: the file is empty or is not text in the encoding declared.
    """
    encoding = wanted.encoding or detect_encoding(file)
    lines, above = _first_lines(file, encoding)
    separator = wanted.separator or ("" if wanted.kind == "whitespace" else detect_separator(lines))
    first = _split(lines[0], separator)
    if wanted.names:
        names = list(wanted.names)
    else:
        names = named(first) if wanted.header else [f"column_{n}" for n in range(1, len(first) + 1)]
    decimal = wanted.decimal or detect_decimal(lines, separator)
    header = 1 if wanted.header else 0
    return TextFacts(encoding, separator, decimal, tuple(names), above + header, len(lines) > header)


def _first_lines(file: SourceFile, encoding: str) -> tuple[list[str], int]:
    """Non-empty lines at the start, and how many empty ones stand above them."""
    with opened(file) as content:
        head = content.stream.read(SAMPLE)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=False).lstrip("\ufeff")
    except (UnicodeDecodeError, LookupError) as error:
        raise ImportRefused(f"{file.name} is not {encoding}", found=str(error), cure="Correct `encoding`") from error
    lines = text.splitlines()
    above = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    filled = [line for line in lines[above : above + 50] if line.strip()]
    if not filled:
        raise ImportRefused(f"{file.name} is empty", found=f"{len(head)} bytes", expected="a header and rows")
    return filled, above


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=separator)) if separator else line.split()


def detect_encoding(file: SourceFile) -> str:
    """Byte-order mark, UTF-16 by its zero bytes, UTF-8 if the whole file is, else cp1251."""
    with opened(file) as content:
        head = content.stream.read(1 << 16)
        for mark, encoding in MARKS:
            if head.startswith(mark):
                return encoding
        if head.count(0) > len(head) // 5:
            return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while head:
                decoder.decode(head)
                head = content.stream.read(1 << 20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return FALLBACK
    return "utf-8"


def detect_separator(lines: list[str]) -> str:
    """The separator that splits most of the first lines into the same number (> 1) of values; ties: more values."""
    best, separator = (0, 0), ","
    for candidate in SEPARATORS:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=candidate) if len(row) > 1)
        if counts:
            width, agreeing = max(counts.items(), key=lambda item: (item[1], item[0]))
            if (agreeing, width) > best:
                best, separator = (agreeing, width), candidate
    return separator


def detect_decimal(lines: list[str], separator: str) -> str:
    """`,` when the first lines hold numbers such as 12,5 and none such as 12.5, else `.`; 1,234 says nothing."""
    values = [value.strip() for line in lines for value in _split(line, separator)]
    commas = any(re.fullmatch(r"[-+]?\d[\d\s]*,(\d{1,2}|\d{4,})", value) for value in values)
    points = any(re.fullmatch(r"[-+]?[\d\s]*\.\d+", value) for value in values)
    return "," if commas and not points else "."
