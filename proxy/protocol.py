"""What master and worker say to each other, as `_fast/flow/control.pxd` lays it out.

Fixed-size messages over a SOCK_SEQPACKET pair; descriptors travel beside them by SCM_RIGHTS.
"""

import enum
import struct
from typing import NamedTuple

LAYOUT = struct.Struct("=IIQQ")


class Control(enum.IntEnum):
    INSTALL = 1
    ENDPOINTS = 2
    LISTEN = 3
    UNLISTEN = 4
    DRAIN = 5
    QUIT = 6
    DOOR = 7
    SWEEP = 8
    READY = 101
    INSTALLED = 102
    RELEASED = 103
    REFUSED = 104
    UNLISTENED = 105
    DRAINED = 106


class ControlMessage(NamedTuple):
    """`version`: of a routes segment; `value`: serial of an endpoints segment or a time in monotonic ns.

    Of a drain `version` is a time too: see `control.pxd`.
    """

    type: Control
    id: int = 0
    version: int = 0
    value: int = 0

    def pack(self) -> bytes:
        return LAYOUT.pack(self.type, self.id, self.version, self.value)

    @classmethod
    def unpack(cls, data: bytes) -> "ControlMessage":
        kind, identity, version, value = LAYOUT.unpack(data)
        return cls(Control(kind), identity, version, value)
