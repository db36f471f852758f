"""What was wrong with an endpoint: one number in shared memory, words for people. See `_fast/base/health`."""

import os

PASSED = 0
_UNREACHABLE, _TIMEOUT, _STATUS, _CLOSED, _MALFORMED, _TOLD = range(1, 7)
TIMEOUT = _TIMEOUT << 16
CLOSED = _CLOSED << 16
MALFORMED = _MALFORMED << 16
TOLD = _TOLD << 16  # by the field x-envoy-immediate-health-check-fail


def unreachable(error: OSError) -> int:
    return _UNREACHABLE << 16 | (error.errno or 0) & 0xFFFF


def unexpected(status: int) -> int:
    return _STATUS << 16 | status


def in_words(failure: int) -> str:
    """Empty when nothing was wrong."""
    kind, detail = failure >> 16, failure & 0xFFFF
    match kind:
        case 0:
            return ""
        case 1:
            return os.strerror(detail).lower() if detail else "cannot be reached"
        case 2:
            return "no answer in time"
        case 3:
            return f"status {detail}"
        case 4:
            return "the connection was closed before the answer"
        case 5:
            return "the answer is not HTTP"
        case _:
            return "says that it is to be taken for unhealthy"
