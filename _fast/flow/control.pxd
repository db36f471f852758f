"""What master and worker say to each other: fixed-size messages over a SOCK_SEQPACKET pair, descriptors beside them.

The same numbers stand in `proxy/protocol.py`; a test holds the two together.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum ControlType:
    # from the master
    CONTROL_INSTALL = 1                # version, value: serial; descriptors: routes segment, endpoints segment
    CONTROL_ENDPOINTS = 2              # version of the routes it goes with, value: serial; descriptor: endpoints
    CONTROL_LISTEN = 3                 # id: listener; descriptor: the listening socket
    CONTROL_UNLISTEN = 4               # id: listener; its connections go on until their next idle moment
    # finish what there is, then leave; value: monotonic ns at which to leave anyhow, version: those at which WebSockets
    # are told to go
    CONTROL_DRAIN = 5
    CONTROL_QUIT = 6                   # leave at once
    CONTROL_DOOR = 7                   # descriptor: where the process that verifies tokens is reached, see verifier
    CONTROL_SWEEP = 8                  # descriptor: the numbers that live, see base/sweep
    # from the worker
    CONTROL_READY = 101                # the first table is installed; value: the worker's PID
    CONTROL_INSTALLED = 102            # version, value: serial: new requests use it
    CONTROL_RELEASED = 103             # version, value: serial: the oldest still in use by any request
    CONTROL_REFUSED = 104              # version, value: serial: not a segment of this layout, or no memory to map it
    CONTROL_UNLISTENED = 105           # id: the listening socket is closed here
    CONTROL_DRAINED = 106              # nothing left; the process ends next

cdef struct ControlMessage:
    uint32_t type                      # ControlType
    uint32_t id
    uint64_t version
    uint64_t value
