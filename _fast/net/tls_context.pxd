"""Contexts of OpenSSL, made in a worker from material that the master hands over, and kept as long as they are used.

The material is a sealed memfd (`controlplane/tls_material.py` writes it): keys are in no table image and no dump. It
lists *sets*: what one listener or one cluster needs. A set is known by a hash of all of it, so one that a reload left
as it was is taken over as it is, with its sessions. Each table holds the sets of its material, and each connection its
own, so a set goes with the last of both.

Layout of the material, integers little-endian, a text is its length (u32) and its bytes:

    "TULLETLS", u32 layout, u32 library (TlsLibraryChoice), u32 count, then the sets, each a text of:
    hash (16 bytes), trust (16 bytes), u32 flags (TlsSetFlags), u32 smallest version, u32 handshake limit,
    texts that end with a zero: TLS 1.2 ciphers, TLS 1.3 suites, groups (a zero alone: OpenSSL's own choice),
    texts: ALPN as on the wire, CA certificates (PEM), server name,
    u32 count of names to expect: u32 kind, text,
    u32 count of certificates: u32 count of host names: text; text chain (PEM), text key (PEM)

RFC 8446 (1.3), 5246 (1.2), 6066 section 3 (SNI), 7301 (ALPN). Called by `tls` and, for the life of sets, by `flow`.
"""
from tulle._fast.base.list cimport Node
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.net.conn cimport LayerOps
from tulle._fast.net.tls_library cimport SSL_CTX, TlsLibrary

cdef enum:
    MATERIAL_LAYOUT = 1
    TLS_RAW_BYTES = 73728              # four full records and what they need around them
    TLS_RECORD = 16384                 # RFC 8446 section 5.1

cdef enum TlsLibraryChoice:
    TLS_LIBRARY_WHEEL = 0
    TLS_LIBRARY_SYSTEM = 1

cdef enum TlsSetFlags:
    TLS_SET_SERVER = 1
    TLS_SET_REQUIRE_CERTIFICATE = 2    # of clients
    TLS_SET_FORWARD = 4                # what x-forwarded-client-cert says of them is made; with which parts:
    TLS_SET_FORWARD_SUBJECT = 8
    TLS_SET_FORWARD_URI = 16
    TLS_SET_FORWARD_DNS = 32

cdef enum TlsSide:
    TLS_DOWNSTREAM = 0
    TLS_UPSTREAM = 1

cdef struct TlsName:
    const char *text                   # in TlsSet.words
    uint32_t length
    uint8_t kind                       # CertificateNameKind

cdef struct TlsCertificate:            # one of several that a listener has
    SSL_CTX *context
    uint32_t first_name                # of TlsSet.names
    uint32_t name_count

cdef struct TlsSet:
    Node node                          # in TlsEngine.sets
    TlsEngine *engine
    uint32_t refs
    uint32_t flags                     # TlsSetFlags
    uint32_t handshake_limit           # under way at once in this worker; 0: without limit
    uint8_t hash[16]
    uint8_t trust[16]                  # of what decides whom to believe: sessions and pools are good within the same
    SSL_CTX *context
    TlsCertificate *certificates       # beside the one in `context`
    uint32_t certificate_count
    TlsName *names                     # of the certificates; of a client, those one of which the server must have
    uint32_t name_count
    const unsigned char *alpn          # as on the wire, the preferred first
    uint32_t alpn_length
    const char *server_name            # sent as SNI; NULL: none
    char *words                        # holds all texts above

cdef struct TlsSets:                   # those of one material, in its order
    uint32_t refs
    uint32_t count
    TlsSet **sets

cdef struct TlsFigures:                # see `base/shared`; a row a TlsSide
    uint64_t *handshakes
    uint64_t *resumed
    uint64_t *failures

cdef struct TlsEngine:                 # one a worker
    LayerOps layer                     # of all sessions, see `tls_install`
    TlsLibrary library
    bint loaded
    uint32_t choice                    # TlsLibraryChoice, once loaded
    Node sets
    char *raw                          # bytes between a socket and a session, TLS_RAW_BYTES
    char *text                         # a record's worth of bytes put together, TLS_RECORD
    TlsFigures figures[2]
    uint32_t handshaking[2]            # under way
    Node silent                        # TlsSession.node of clients that have not sent a byte, the oldest first
    Node unfinished                    # of those whose handshake has begun, likewise
    uint64_t turn                      # of the loop, in which `steps` were made
    uint32_t steps

cdef void tls_engine_init(TlsEngine *engine) noexcept nogil
cdef void tls_engine_destroy(TlsEngine *engine) noexcept nogil
# NULL when the material cannot be used; a line on stderr says why. Needs the descriptor only while it runs
cdef TlsSets *tls_sets_open(TlsEngine *engine, int fd) noexcept nogil
cdef void tls_sets_unref(TlsSets *sets) noexcept nogil
cdef void tls_set_unref(TlsSet *tls_set) noexcept nogil

cdef inline TlsSet *tls_set_ref(TlsSet *tls_set) noexcept nogil:
    tls_set.refs += 1
    return tls_set
