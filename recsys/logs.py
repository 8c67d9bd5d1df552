"""Log lines of every process: structured, on standard error, without personal data.

Log what happened, counts, versions and durations; never a customer id, an event or a row.
"""

import sys
from typing import Any, TextIO, cast

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _StandardError:
    """Standard error as it is when a line is written; it may be replaced after the logs were set up."""

    def write(self, text: str) -> int:
        """Write `text`."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Let the lines written so far be seen."""
        sys.stderr.flush()


def _json_text(line: Any, default: Any = None, **_options: Any) -> str:
    """`line` as JSON."""
    import orjson

    return orjson.dumps(line, default=default, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_logs(level: str, *, json: bool | None = None) -> None:
    """Set up structlog for this process: JSON lines, or text for people when standard error is a terminal."""
    import structlog

    as_json = not sys.stderr.isatty() if json is None else json
    lines = structlog.processors.JSONRenderer(serializer=_json_text)
    renderer: Any = lines if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=False,  # a logger used before a change of set-up must follow it
    )
