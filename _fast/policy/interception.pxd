"""Redirected connections in a table image.

A listener with LISTENER_ORIGINAL_DESTINATION takes connections that were meant for somebody else. Routes that name
that destination are under it in their table of hosts: "10.96.0.7:80", "[fd00::7]:80", where no name that a client
sends has a port. An endpoint with port 0 is no place to connect to: it stands for the destination itself.
"""

cdef enum:
    LISTENER_ORIGINAL_DESTINATION = 512        # among ListenerFlags
