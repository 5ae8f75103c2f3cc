"""No secret in a log: botocore writes signed headers and URLs, tokens included, at level DEBUG."""

from __future__ import annotations

import logging
import re
from functools import cache

_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.httpsession", "botocore.parsers", "urllib3.connectionpool")

# A session token, as header, query or what a store repeats of it; a signature, which for its lifetime is as good as the key.
_SECRET = re.compile(
    r"(x-amz-security-token['\"]?\s*[:=]\s*b?['\"]?|signature['\"]?\s*[:=]\s*\n?|<token-\d+>)[^\s'\"&,;<]+",
    re.IGNORECASE,
)


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        shown = _SECRET.sub(r"\1**********", said)
        if shown != said:
            record.msg, record.args = shown, ()
        return True


@cache
def redact_logs() -> None:
    """Have the loggers of the clients show no secret. Of use once in a process."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_Redacting())
