"""See `server_peer.pxd`."""
from tulle._fast.base.types cimport unlikely
from tulle._fast.flow.types cimport X_TLS
from tulle._fast.net.address cimport address_and_port, address_of_socket, address_text
from tulle._fast.net.tls cimport tls_of


cdef void server_name_peer(Server *server, Exchange *x) noexcept nogil:
    if server.peer_length == 0:
        server.peer_length = address_text(server.address, server.address_length, server.peer, &server.peer_port) & 0xff
    x.peer = server.peer
    x.peer_length = server.peer_length
    x.peer_port = server.peer_port
    x.detected = server.detected
    if unlikely(server.conn.tls != NULL):
        x.flags |= X_TLS
        x.principal = tls_of(&server.conn).principal
        x.principal_length = tls_of(&server.conn).principal_length
        x.certificate = tls_of(&server.conn).forwarded
        x.certificate_length = tls_of(&server.conn).forwarded_length


cdef uint32_t server_address(const Server *server, char *text) noexcept nogil:
    if unlikely(server.local_length > 0):
        return address_and_port(server.local, server.local_length, text)
    if unlikely(server.meant != NULL and server.meant.length > 0):
        return address_and_port(server.meant.address, server.meant.length, text)
    return address_of_socket(server.conn.watch.fd, text)


cdef uint32_t server_local_address(Exchange *x, char *text) noexcept nogil:
    return server_address(<Server *>x.server, text)


cdef const Meant *server_meant(Exchange *x) noexcept nogil:
    return (<Server *>x.server).meant
