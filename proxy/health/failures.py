"""What was wrong with an endpoint: one number in shared memory, words for people. See `_fast/base/health`."""

import os

PASSED = 0
(
    _UNREACHABLE, _TIMEOUT, _STATUS, _CLOSED, _MALFORMED, _TOLD, _GRPC_STATUS, _NOT_SERVING, _HANDSHAKE,
    _STRANGER,
) = range(1, 11)  # fmt: skip
TIMEOUT = _TIMEOUT << 16
CLOSED = _CLOSED << 16
MALFORMED = _MALFORMED << 16
TOLD = _TOLD << 16  # by the field x-envoy-immediate-health-check-fail
HANDSHAKE = _HANDSHAKE << 16
STRANGER = _STRANGER << 16  # the certificate is somebody else's


class NotSecure(Exception):
    """There is no TLS with whom it should be with; `failure` says why, one of these."""

    def __init__(self, failure: int) -> None:
        self.failure = failure


def unreachable(error: OSError) -> int:
    return _UNREACHABLE << 16 | (error.errno or 0) & 0xFFFF


def unexpected(status: int) -> int:
    return _STATUS << 16 | status


def failed_call(status: int) -> int:
    return _GRPC_STATUS << 16 | status & 0xFFFF


def not_serving(status: int) -> int:
    return _NOT_SERVING << 16 | status & 0xFFFF


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
        case 7:
            return f"grpc-status {detail}"
        case 8:
            names = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
            return f"says that it is {names.get(detail, detail)}"
        case 9:
            return "there is no TLS with it: the handshake failed"
        case 10:
            return "its certificate is not for the name that is expected"
        case _:
            return "says that it is to be taken for unhealthy"
