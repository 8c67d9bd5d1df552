"""The cache of compiled kernels follows the code."""

import subprocess
import sys
from pathlib import Path

from recsys.compiled import PREFIX, cache_directory, source_digest


def write(directory: Path, **files: str) -> Path:
    """A package of small files."""
    directory.mkdir()
    for name, text in files.items():
        (directory / f"{name}.py").write_text(text)
    return directory


def test_a_changed_kernel_changes_the_digest(tmp_path: Path) -> None:
    """One changed number in a kernel's file gives another cache."""
    before = write(tmp_path / "a", kernel="import numba\nX = 1\n")
    after = write(tmp_path / "b", kernel="import numba\nX = 2\n")
    assert source_digest(before) != source_digest(after)


def test_files_without_kernels_do_not_matter(tmp_path: Path) -> None:
    """Editing a file that compiles nothing keeps the cache."""
    before = write(tmp_path / "a", kernel="import numba\n", plain="A = 1\n")
    after = write(tmp_path / "b", kernel="import numba\n", plain="A = 2\n")
    assert source_digest(before) == source_digest(after)


def test_an_inherited_directory_is_replaced_not_nested() -> None:
    """A child process with other code puts its cache beside its parent's."""
    assert cache_directory(f"/var/{PREFIX}old", "new") == Path(f"/var/{PREFIX}new")


def test_numba_uses_the_directory() -> None:
    """After importing the library numba's configuration names this code's cache."""
    code = "import recsys, numba; print(numba.config.CACHE_DIR)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()).name == f"{PREFIX}{source_digest()}"


def test_a_changed_callee_in_another_file_is_seen(tmp_path: Path) -> None:
    """A kernel that calls a kernel of another file gives the new result after only the callee's file changed."""
    package = write(tmp_path / "pkg", __init__="", callee=CALLEE.format(1), caller=CALLER)
    first = run(package)
    (package / "callee.py").write_text(CALLEE.format(2))
    assert (first, run(package)) == ("1", "2")


def run(package: Path) -> str:
    """What the caller kernel of `package` returns in a fresh process that keeps kernels as the library does."""
    code = (
        "import os, pathlib\n"
        "from recsys.compiled import cache_directory, source_digest\n"
        f"package = pathlib.Path({str(package)!r})\n"
        "os.environ['NUMBA_CACHE_DIR'] = str(cache_directory(None, source_digest(package), package))\n"
        "import numba\nnumba.config.reload_config()\n"
        "from pkg.caller import twice\nprint(twice())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=package.parent)
    return done.stdout.strip()


CALLEE = "import numba\n\n@numba.njit(cache=True)\ndef one():\n    return {}\n"
CALLER = "import numba\nfrom pkg.callee import one\n\n@numba.njit(cache=True)\ndef twice():\n    return one()\n"
