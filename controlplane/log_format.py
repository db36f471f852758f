"""Formats of the access log: Envoy's operators, `%NAME%`, `%NAME(argument)%`, `%NAME(argument):limit%`."""

import re

from tulle.controlplane.table import LogItemRow

DEFAULT_TEXT = (
    "[%START_TIME%] \"%METHOD% %PATH% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% "
    "%BYTES_SENT% %DURATION_US% %CONNECT_US% %FIRST_BYTE_US% \"%X_FORWARDED_FOR%\" \"%USER_AGENT%\" "
    "\"%REQUEST_ID%\" \"%AUTHORITY%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %ROUTE_NAME% %ATTEMPTS%"
)  # fmt: skip

JSON_KEYS = (
    "start_time", "method", "path", "authority", "protocol", "response_code", "response_flags",
    "bytes_received", "bytes_sent", "duration_us", "connect_us", "first_byte_us", "upstream_host",
    "upstream_cluster", "route_name", "attempts", "request_id", "x_forwarded_for", "user_agent",
    "trace_id", "principal",
)  # fmt: skip

JSON_KEYS_OF_GUARDS = ("response_code_details",)
JSON_KEYS_OF_GRPC = ("grpc_status",)
JSON_KEYS_OF_DETECTION = ("detected",)

OPERATORS = frozenset(
    {
        "START_TIME", "METHOD", "PATH", "ORIGINAL_PATH", "AUTHORITY", "SCHEME", "PROTOCOL", "REQUEST_ID",
        "USER_AGENT", "X_FORWARDED_FOR", "TRACE_ID", "BYTES_RECEIVED",
        "RESPONSE_CODE", "RESPONSE_CODE_DETAILS", "RESPONSE_FLAGS", "BYTES_SENT",
        "GRPC_STATUS", "GRPC_STATUS_NUMBER",
        "LISTENER", "ROUTE_NAME", "UPSTREAM_CLUSTER", "UPSTREAM_HOST", "ATTEMPTS",
        "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_LOCAL_ADDRESS",
        "PRINCIPAL", "DETECTED",
        "DURATION", "DURATION_US", "REQUEST_DURATION", "REQUEST_DURATION_US", "RESPONSE_DURATION",
        "FIRST_BYTE_US", "CONNECT_US",
        "WORKER", "HOSTNAME",
    }
)  # fmt: skip
OPERATORS_OF_HEADERS = frozenset({"REQ", "RESP"})

_ALIASES = {
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "ATTEMPTS",
    "DOWNSTREAM_PEER_URI_SAN": "PRINCIPAL",
    "LISTENER_NAME": "LISTENER",
    "UPSTREAM_REMOTE_ADDRESS": "UPSTREAM_HOST",
}
_GRPC_FORMS = {
    "CAMEL_STRING": "GRPC_STATUS",
    "SNAKE_STRING": "GRPC_STATUS_SNAKE",
    "NUMBER": "GRPC_STATUS_NUMBER",
}
# Envoy asks for parts of the request line as if they were headers
_PSEUDO_HEADERS = {
    ":method": "METHOD",
    ":path": "PATH",
    ":authority": "AUTHORITY",
    ":scheme": "SCHEME",
    "x-envoy-original-path?:path": "ORIGINAL_PATH",
}
_ITEM = re.compile(r"%(?:%|([A-Z0-9_]+)(?:\(([^()]*)\))?(?::([0-9]{1,5}))?%)")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")


def json_items(guarded: bool = False, grpc: bool = False, detecting: bool = False) -> list[LogItemRow]:
    """The items of the JSON line, in the order of their keys.

    `guarded`: policies or tokens are asked; `grpc`: there may be gRPC calls; `detecting`: some listener finds
    out what is spoken.
    """
    keys = [*JSON_KEYS]
    if guarded:
        keys += JSON_KEYS_OF_GUARDS
    if grpc:
        keys += JSON_KEYS_OF_GRPC
    if detecting:
        keys += JSON_KEYS_OF_DETECTION
    return [LogItemRow(key.upper(), key) for key in keys]


def text_items(format_string: str | None) -> list[LogItemRow]:
    """The items of a text line; ValueError says which operator is wrong and what would be right."""
    text = DEFAULT_TEXT if format_string is None else format_string.rstrip("\n")
    items: list[LogItemRow] = []
    literal = ""
    position = 0
    while position < len(text):
        if text[position] != "%":
            end = text.find("%", position)
            end = len(text) if end < 0 else end
            literal += text[position:end]
            position = end
            continue
        match = _ITEM.match(text, position)
        if match is None:
            raise ValueError(
                f"{text[position : position + 30]!r}: a lone %; write %OPERATOR%, or %% for a per cent sign"
            )
        position = match.end()
        if match[1] is None:
            literal += "%"
            continue
        if literal:
            items.append(LogItemRow("", literal))
            literal = ""
        items.append(_item(match[1], match[2], int(match[3] or 0)))
    if literal:
        items.append(LogItemRow("", literal))
    return items


def _item(name: str, argument: str | None, limit: int) -> LogItemRow:
    operator = _ALIASES.get(name, name)
    if operator in OPERATORS_OF_HEADERS:
        return _header_item(operator, argument, limit)
    if operator not in OPERATORS:
        raise ValueError(
            f"%{name}% is no operator; known are {', '.join(sorted(OPERATORS | OPERATORS_OF_HEADERS))}"
        )
    if operator == "GRPC_STATUS" and argument is not None:
        return _grpc_item(argument, limit)
    if argument is not None:
        raise ValueError(f"%{name}% takes no argument")
    return LogItemRow(operator, limit=limit)


def _grpc_item(argument: str, limit: int) -> LogItemRow:
    if argument not in _GRPC_FORMS:
        raise ValueError(f"%GRPC_STATUS({argument})%: the form is one of {', '.join(_GRPC_FORMS)}")
    return LogItemRow(_GRPC_FORMS[argument], limit=limit)


def _header_item(operator: str, argument: str | None, limit: int) -> LogItemRow:
    if not argument:
        raise ValueError(f"%{operator}% needs the name of a header, as in %{operator}(x-request-id)%")
    header, _, alternative = argument.lower().partition("?")
    pseudo = _PSEUDO_HEADERS.get(argument.lower())
    if pseudo is not None and operator == "REQ":
        return LogItemRow(pseudo, limit=limit)
    for name in (header, alternative or header):
        if not _HEADER.fullmatch(name):
            raise ValueError(f"%{operator}({argument})%: {name!r} is not the name of a header")
    return LogItemRow(operator, argument=header, alternative=alternative, limit=limit)
