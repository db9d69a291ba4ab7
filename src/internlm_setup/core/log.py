"""The log file: opened when something is first written to it, private, small, and without secrets.

It is where a bug's traceback goes, and what libraries say: their lines never reach the terminal.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from internlm_setup.core.text import printable

VENDORS = (
    "modelscope_hub",
    "modelscope",
    "huggingface_hub",
    "httpx",
    "httpx2",
    "httpcore",
    "urllib3",
    "requests",
    "filelock",
    "paramiko",
    "py.warnings",
)
OURS = "internlm_setup"
_MAX_BYTES = 1024 * 1024
_FILES_KEPT = 3

_SECRETS = (
    # A header, also as a dict's repr: name, separator, then all up to a quote or the line's end.
    r"""(?i)((?:proxy-)?authorization['"]?\s*[:=]\s*['"]?)[^'"\r\n]+""",
    r"""(?i)(m_session_id['"]?\s*[:=]\s*['"]?)[^\s'";,&]+""",
    r"(?i)(\bbearer\s+)[\w.~+/=-]+",
    r"(\bhf_)[A-Za-z0-9_-]{4,}",
    r"(\bms-)[0-9a-fA-F]{8}-[0-9a-fA-F-]{8,}",
    r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)",
    # A signed address: everything after the question mark can be replayed, so all of it goes.
    r"(?i)(\?)[^\s'\"<>]*(?:signature|auth_key|x-amz-|x-oss-|token|credential)[^\s'\"<>]*",
    r"""(?i)((?:token|secret|password|passwd|api_?key|_sk|_ak)['"]?\s*[:=]\s*['"]?)[^\s'",;&]+""",
)


def mask(text: str) -> str:
    """Return the text with everything that could open a door replaced by `***`."""
    for pattern in _SECRETS:  # not compiled before there is something to mask
        text = re.sub(pattern, r"\1***", text)
    return text


class _MaskingFormatter(logging.Formatter):
    """Masks the finished line, so tracebacks and arguments are covered too; a log may be read on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(mask(super().format(record)))


class LogFile(RotatingFileHandler):
    """A rotating file, 0600 in a folder 0700, that comes into being with its first record.

    A log that cannot be written must not stop the work, so such failures are dropped here.
    """

    def __init__(self, path: Path, level: int = logging.INFO) -> None:
        self.broken = False
        super().__init__(path, maxBytes=_MAX_BYTES, backupCount=_FILES_KEPT - 1, encoding="utf-8", delay=True)
        self.setLevel(level)
        line = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
        self.setFormatter(_MaskingFormatter(line))

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        raw = os.fdopen(number, "ab")
        return TextIOWrapper(raw, self.encoding, "backslashreplace", line_buffering=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Remember it and say nothing; see the class."""
        self.broken = True


class _OneHandlerLogger(logging.Logger):
    """A library's logger that takes no handler but ours, whenever the library is imported, or one that is silent."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802
        if isinstance(hdlr, (LogFile, logging.NullHandler)):
            super().addHandler(hdlr)


def open_log(path: Path, *, verbose: bool = False) -> LogFile:
    """Send our own records and the libraries' to one file; return its handler, for `close_log`."""
    handler = LogFile(path, logging.DEBUG if verbose else logging.INFO)
    own = logging.getLogger(OURS)
    own.setLevel(handler.level)
    own.addHandler(handler)
    own.propagate = False
    quiet_vendors(handler)
    return handler


def quiet_vendors(handler: LogFile) -> None:
    """Keep the libraries' lines, and those of Python's `warnings`, off the terminal."""
    logging.captureWarnings(capture=True)
    for name in VENDORS:
        logger = logging.getLogger(name)
        for old in list(logger.handlers):
            logger.removeHandler(old)
        # They add their own stream handler when first imported, which is later than this.
        logger.__class__ = _OneHandlerLogger
        logger.propagate = False
        logger.addHandler(handler)
        logger.addHandler(logging.NullHandler())  # threads may go on when the log is closed


def close_log(handler: LogFile) -> None:
    """Take the handler away again and close its file."""
    for name in (OURS, *VENDORS):
        logging.getLogger(name).removeHandler(handler)
    logging.captureWarnings(capture=False)
    handler.close()


def record_failure(path: Path, what: str, failure: BaseException) -> bool:
    """Write a failure with its traceback, whether or not the log is open; say if it worked."""
    handler = LogFile(path)
    trace = (type(failure), failure, failure.__traceback__)
    handler.handle(logging.LogRecord(OURS, logging.ERROR, __file__, 0, what, None, trace))
    handler.close()
    return not handler.broken


def traceback_of(failure: BaseException) -> str:
    """Return a traceback without secrets and without the values of local variables."""
    kind = type(failure)
    return mask("".join(traceback.format_exception(kind, failure, failure.__traceback__)))
