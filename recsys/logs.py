"""Log lines of every process: structured, on standard error, without personal data.

Log what happened, counts, versions and durations; never a customer id, an event or a row.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

REQUEST_ID: ContextVar[str] = ContextVar("barista_request_id", default="")
"""Id of the request that is answered here, which every line says; empty outside of one.

A variable of our own: to bind one of structlog's takes several times as long, and it is done at every request.
"""


@contextmanager
def answering_request(request_id: str) -> Iterator[None]:
    """Lines of the block are about this request."""
    bound = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(bound)


def _with_request_id(_logger: Any, _method: str, event: Any) -> Any:
    """The event with the id of the request it happened in, unless it says whose it is itself."""
    request_id = REQUEST_ID.get()
    if request_id:
        event.setdefault("request_id", request_id)
    return event


class _Lines:
    """Writes each line in one piece, so that those of several processes don't mix.

    They go to standard error as it is when they are written; it may be replaced after the logs were set up.
    """

    def msg(self, line: str) -> None:
        """Write one line, which can be seen at once: standard error keeps nothing after a line's end."""
        sys.stderr.write(f"{line}\n")

    debug = info = warning = warn = error = err = exception = critical = fatal = failure = log = msg


def _json_lines() -> Any:
    """What makes an event a line of JSON: with what is bound to the context, the level, the instant.

    One step in place of five, since every request writes a line.
    """
    import orjson
    from structlog.contextvars import merge_contextvars
    from structlog.processors import add_log_level, format_exc_info

    def line_of(logger: Any, method: str, event: Any) -> str:
        """One event as a line of JSON, with its level and the time [µs, UTC]."""
        line = add_log_level(logger, method, _with_request_id(logger, method, merge_contextvars(logger, method, event)))
        line["timestamp"] = datetime.now(UTC)
        if "exc_info" in line:
            line = format_exc_info(logger, method, line)
        return orjson.dumps(line, default=repr, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()

    return line_of


def configure_logs(level: str, *, json: bool | None = None) -> None:
    """Set up structlog for this process: JSON lines, or text for people when standard error is a terminal."""
    import structlog

    as_json = not sys.stderr.isatty() if json is None else json
    for_people: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _with_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(),
    ]
    structlog.configure(
        processors=[_json_lines()] if as_json else for_people,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_name: _Lines(),
        cache_logger_on_first_use=False,  # a logger used before a change of set-up must follow it
    )


class _AsOurs(logging.Handler):
    """What a library logs as a line of ours: which library, how bad, the class of an error, and nothing it formatted.

    Messages and tracebacks of libraries repeat values, and values may be personal.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        import structlog

        error = record.exc_info[0] if record.exc_info else None
        place = f"{record.filename}:{record.lineno}"
        told = {"library": record.name, "place": place, "error": error.__name__ if error else None}
        structlog.get_logger("barista.libraries").log(record.levelno, "library", **told)


def adopt_logs(*libraries: str) -> None:
    """Write the warnings and errors of these loggers of the standard library as lines of ours."""
    for name in libraries:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_AsOurs(logging.WARNING)], False
