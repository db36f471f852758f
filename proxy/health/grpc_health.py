"""The messages of `grpc.health.v1.Health/Check`, by hand: there is one field each way. Pure.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import struct

SERVING = 1
_MESSAGE_HEAD = struct.Struct(">BI")  # compressed or not, length
_FIELD_OF_SERVICE = 1 << 3 | 2  # a text
_FIELD_OF_STATUS = 1 << 3 | 0  # a number


def check_request(service: str) -> bytes:
    """A HealthCheckRequest with the head of a gRPC message."""
    name = service.encode()
    message = bytes([_FIELD_OF_SERVICE]) + _number(len(name)) + name if name else b""
    return _MESSAGE_HEAD.pack(0, len(message)) + message


def serving_status(body: bytes) -> int:
    """The status in a HealthCheckResponse; 0 (UNKNOWN) where it has none. ValueError when it is not one."""
    if len(body) < _MESSAGE_HEAD.size:
        raise ValueError("no message")
    compressed, length = _MESSAGE_HEAD.unpack_from(body)
    message = body[_MESSAGE_HEAD.size :]
    if compressed or len(message) != length:
        raise ValueError("not one whole message")
    status = 0
    while message:
        key, message = _read_number(message)
        value, message = _read_number(message)
        if key == _FIELD_OF_STATUS:
            status = value
        elif key & 7 == 2:
            message = message[value:]
        elif key & 7 != 0:
            raise ValueError(f"a field of kind {key & 7}")
    return status


def _number(value: int) -> bytes:
    """As Protocol Buffers write one: seven bits a byte, the low ones first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(data: bytes) -> tuple[int, bytes]:
    value = 0
    for index, byte in enumerate(data[:10]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, data[index + 1 :]
    raise ValueError("a number without an end")
