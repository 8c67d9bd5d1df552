"""Files of a source: patterns → paths, and the bytes inside, whether plain, gzipped or a member of a zip."""

import fnmatch
import glob
import gzip
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recsys.errors import ImportRefused

ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file, or one member of a zip (`member` is '' otherwise)."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """What reports and rejects call it."""
        return f"{self.path.name}/{self.member}" if self.member else self.path.name

    def kind(self) -> str:
        """Format by the ending; CSV where it says nothing."""
        name = Path(self.member or self.path.name)
        return ENDINGS.get((Path(name.stem) if name.suffix == ".gz" else name).suffix.lower(), "csv")


@dataclass(slots=True)
class OpenFile:
    """A stream of a file's content and the file beneath it, whose position tells how much is read."""

    stream: BinaryIO
    raw: BinaryIO
    size: int

    def done(self) -> float:
        """Share of the file read so far, 0 … 1."""
        return min(self.raw.tell() / self.size, 1.0) if self.size and not self.raw.closed else 1.0


def source_files(patterns: Sequence[Path], member: str = "") -> list[SourceFile]:
    """All files of the patterns, sorted by path, zips opened.

    Raises:
        ImportRefused: nothing matches, a zip is damaged or does not say which member is meant.
    """
    files: list[SourceFile] = []
    for pattern in patterns:
        found = [pattern] if pattern.is_file() else [Path(path) for path in sorted(glob.glob(str(pattern)))]  # noqa: PTH207
        found = [path for path in found if path.is_file()]
        if not found:
            raise ImportRefused(
                "No such file", found=str(pattern), expected="an existing file or a pattern that matches one"
            )
        for path in found:
            files.extend(_members(path, member) if _is_archive(path) else [SourceFile(path)])
    return files


def _is_archive(path: Path) -> bool:
    """A zip; Excel files are zips too, but no archives of tables."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" and ENDINGS.get(path.suffix.lower(), "") != "excel"


def _members(path: Path, pattern: str) -> list[SourceFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile as error:
        raise ImportRefused(
            f"{path.name} can't be read to its end", found=str(error), expected="a complete zip", cure="Copy it again"
        ) from error
    names = sorted(name for name in names if not name.startswith("__MACOSX/"))
    chosen = [name for name in names if fnmatch.fnmatchcase(name, pattern)] if pattern else names
    if not chosen or (len(chosen) > 1 and not pattern):
        raise ImportRefused(
            f"{path.name} does not say which of its files is meant",
            found=names,
            expected="one file, or `member` in the mapping",
            cure='Set `member = "name or pattern"`',
        )
    return [SourceFile(path, name) for name in chosen]


@contextmanager
def opened(file: SourceFile) -> Iterator[OpenFile]:
    """The content as a binary stream, decompressed."""
    with file.path.open("rb") as raw:
        size = file.path.stat().st_size
        if file.member:
            with zipfile.ZipFile(raw) as archive, archive.open(file.member) as inner:
                stream = gzip.GzipFile(fileobj=inner) if file.member.endswith(".gz") else inner
                yield OpenFile(stream, raw, size)  # type: ignore[arg-type]
        elif raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            yield OpenFile(gzip.GzipFile(fileobj=raw), raw, size)  # type: ignore[arg-type]
        else:
            raw.seek(0)
            yield OpenFile(raw, raw, size)


def seekable(file: SourceFile) -> Path | io.BytesIO:
    """Something random access works on: the path itself, or the decompressed bytes."""
    with file.path.open("rb") as raw:
        plain = not file.member and raw.read(2) != b"\x1f\x8b"
    if plain:
        return file.path
    with opened(file) as content:
        return io.BytesIO(content.stream.read())
