"""Both ends of a client's connection, whatever it speaks: who is there, and what it has connected to.

The address of the client is that of the socket, or the one that a PROXY header names (`flow/greeting`). What it has
connected to is told by that header, else by the kernel for a redirected connection (`flow/interception`), else by the
socket. Texts are made when they are first asked for. Called by the server sides and `introduction`.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Exchange, Meant, Server

# Who the request comes from: the address, what the certificate says, and what the connection was found to speak
cdef void server_name_peer(Server *server, Exchange *x) noexcept nogil
# What the client has connected to, with the port
cdef uint32_t server_address(const Server *server, char *text) noexcept nogil
# The same as members of `ServerOps` where `Exchange.server` is the connection
cdef uint32_t server_local_address(Exchange *x, char *text) noexcept nogil
cdef const Meant *server_meant(Exchange *x) noexcept nogil
