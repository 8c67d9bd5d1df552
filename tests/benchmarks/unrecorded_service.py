"""The service without records, for the benchmark of decisions: `python -m tests.benchmarks.unrecorded_service …`.

It neither makes nor keeps them; all else, the options too, is that of `python -m serving`.
"""

from serving.__main__ import main  # before all else: it says how numpy is to load
from serving.http import service
from serving.recording import Recorder


def forget() -> None:
    """Answer without records."""

    async def kept(_recorder: object, _record: object, _by: float) -> bool:
        return True

    nothing = service.record_of("", "", None)
    Recorder.keep = kept
    service.content_of = lambda *_arguments, **_options: None
    service.record_of = lambda *_arguments: nothing


if __name__ == "__main__":
    forget()
    raise SystemExit(main())
