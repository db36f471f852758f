"""See `tls_context.pxd`."""
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from tulle._fast.base.list cimport list_append, list_init, list_remove
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.net.certificate cimport dns_name_matches
from tulle._fast.net.system cimport close
from tulle._fast.net.tls_library cimport (
    BIO, EVP_PKEY, SSL, SSL_MODE_RELEASE_BUFFERS, SSL_OP_CIPHER_SERVER_PREFERENCE, SSL_OP_NO_COMPRESSION,
    SSL_OP_NO_RENEGOTIATION, SSL_SESS_CACHE_OFF, SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_OK,
    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, SSL_VERIFY_NONE, SSL_VERIFY_PEER, X509, X509_STORE, tls_add_chain,
    tls_library_load, tls_set_groups, tls_set_min_version, tls_set_mode, tls_set_name_callback,
    tls_set_session_cache_mode,
)

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int PROT_READ, MAP_PRIVATE
    void *MAP_FAILED

cdef extern from "<unistd.h>" nogil:
    long lseek(int fd, long offset, int whence) noexcept
    int SEEK_END

cdef enum:
    MOST_SETS = 65536
    MOST_NAMES = 4096
    SESSION_SECONDS = 7200             # that a session can be resumed: less than a certificate lives


cdef struct Cursor:
    const char *at
    const char *end
    bint failed                        # there was less than asked for
    char *words                        # where texts that are kept go; NULL: they are only counted
    size_t kept


cdef struct Span:
    const char *text
    uint32_t length


# -- reading the material ---------------------------------------------------------------------------------------------

cdef const char *take(Cursor *cursor, size_t length) noexcept nogil:
    cdef const char *found = cursor.at
    if length > <size_t>(cursor.end - cursor.at):
        cursor.failed = True
        cursor.at = cursor.end
        return NULL
    cursor.at += length
    return found


cdef uint32_t take_number(Cursor *cursor) noexcept nogil:
    cdef uint32_t number = 0
    cdef const char *found = take(cursor, sizeof(number))
    if found != NULL:
        memcpy(&number, found, sizeof(number))
    return number


cdef uint32_t take_count(Cursor *cursor, uint32_t most) noexcept nogil:
    cdef uint32_t count = take_number(cursor)
    if count > most:
        cursor.failed = True
        return 0
    return count


cdef Span take_text(Cursor *cursor) noexcept nogil:
    cdef Span span
    span.length = take_number(cursor)
    span.text = take(cursor, span.length)
    if span.text == NULL:
        span.length = 0
    return span


cdef const char *keep(Cursor *cursor, Span span) noexcept nogil:
    """A copy that ends with a zero and lives as long as the set."""
    cdef char *copy = cursor.words + cursor.kept
    memcpy(copy, span.text, span.length)
    copy[span.length] = 0
    cursor.kept += span.length + 1
    return copy


# -- certificates -----------------------------------------------------------------------------------------------------

cdef BIO *text_bio(TlsEngine *engine, Span span) noexcept nogil:
    return engine.library.BIO_new_mem_buf(span.text, <int>span.length)


cdef bint use_chain(TlsEngine *engine, SSL_CTX *context, Span chain) noexcept nogil:
    """The first certificate is the own, the others lead to a root."""
    cdef BIO *bio = text_bio(engine, chain)
    cdef X509 *certificate
    cdef bint good
    if bio == NULL:
        return False
    certificate = engine.library.PEM_read_bio_X509(bio, NULL, NULL, NULL)
    good = certificate != NULL and engine.library.SSL_CTX_use_certificate(context, certificate) == 1
    engine.library.X509_free(certificate)
    while good:
        certificate = engine.library.PEM_read_bio_X509(bio, NULL, NULL, NULL)
        if certificate == NULL:
            break
        good = tls_add_chain(&engine.library, context, certificate)
        if not good:
            engine.library.X509_free(certificate)
    engine.library.BIO_free(bio)
    engine.library.ERR_clear_error()   # the end of the text counts as an error
    return good


cdef bint use_key(TlsEngine *engine, SSL_CTX *context, Span key) noexcept nogil:
    cdef BIO *bio = text_bio(engine, key)
    cdef EVP_PKEY *found
    cdef bint good
    if bio == NULL:
        return False
    found = engine.library.PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
    engine.library.BIO_free(bio)
    if found == NULL:
        return False
    good = engine.library.SSL_CTX_use_PrivateKey(context, found) == 1
    engine.library.EVP_PKEY_free(found)
    return good and engine.library.SSL_CTX_check_private_key(context) == 1


cdef bint trust_roots(TlsEngine *engine, SSL_CTX *context, Span roots, bint server) noexcept nogil:
    cdef BIO *bio = text_bio(engine, roots)
    cdef X509_STORE *store = engine.library.SSL_CTX_get_cert_store(context)
    cdef X509 *certificate
    cdef bint good = True
    cdef uint32_t count = 0
    if bio == NULL:
        return False
    while good:
        certificate = engine.library.PEM_read_bio_X509(bio, NULL, NULL, NULL)
        if certificate == NULL:
            break
        good = engine.library.X509_STORE_add_cert(store, certificate) == 1
        if good and server:
            # Tell clients whose certificates are wanted (RFC 8446 section 4.2.4)
            good = engine.library.SSL_CTX_add_client_CA(context, certificate) == 1
        engine.library.X509_free(certificate)
        count += 1
    engine.library.BIO_free(bio)
    engine.library.ERR_clear_error()
    return good and count > 0


# -- callbacks: they run within a handshake, and never enter Python ---------------------------------------------------

cdef int choose_alpn(
    SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offered, unsigned int length,
    void *argument
) noexcept nogil:
    """Our first that the client offers. None in common ends the handshake (RFC 7301 section 3.2)."""
    cdef const TlsSet *tls_set = <const TlsSet *>argument
    cdef const unsigned char *own = tls_set.alpn
    cdef const unsigned char *own_end = own + tls_set.alpn_length
    cdef unsigned int index
    while own < own_end:
        index = 0
        while index < length and index + 1 + offered[index] <= length:
            if offered[index] == own[0] and memcmp(offered + index + 1, own + 1, own[0]) == 0:
                out[0] = offered + index + 1
                out_length[0] = own[0]
                return SSL_TLSEXT_ERR_OK
            index += 1 + <unsigned int>offered[index]
        own += 1 + <size_t>own[0]
    return SSL_TLSEXT_ERR_ALERT_FATAL


cdef TlsCertificate *certificate_for(const TlsSet *tls_set, const char *name, uint32_t length) noexcept nogil:
    """The one that has this very name, else one whose wildcard covers it."""
    cdef TlsCertificate *certificate
    cdef TlsCertificate *covering = NULL
    cdef const TlsName *known
    cdef uint32_t index, position
    for index in range(tls_set.certificate_count):
        certificate = tls_set.certificates + index
        for position in range(certificate.name_count):
            known = tls_set.names + certificate.first_name + position
            if not dns_name_matches(known.text, known.length, name, length):
                continue
            if known.text[0] != c"*":
                return certificate
            if covering == NULL:
                covering = certificate
    return covering


cdef int accept_name(SSL *ssl, int *alert, void *argument) noexcept nogil:
    """Any will do, and is known from then on: a resumed session of TLS 1.2 has only a name that was accepted."""
    return SSL_TLSEXT_ERR_OK


cdef int choose_certificate(SSL *ssl, void *argument) noexcept nogil:
    """By SNI. A name that nobody knows gets the first certificate: the client decides what it thinks of it."""
    cdef TlsSet *tls_set = <TlsSet *>argument
    cdef const char *name = tls_set.engine.library.SSL_get_servername(ssl, 0)
    cdef TlsCertificate *found
    cdef uint32_t length = 0
    if name == NULL:
        return 1
    while name[length] != 0:
        length += 1
    found = certificate_for(tls_set, name, length)
    if found != NULL:
        return tls_set.engine.library.SSL_set_SSL_CTX(ssl, found.context) != NULL
    return 1


# -- contexts ---------------------------------------------------------------------------------------------------------

cdef struct Settings:                  # of a set, as the material has them
    uint32_t flags
    uint32_t min_version
    Span ciphers
    Span suites
    Span groups
    Span roots


cdef bint is_set(TlsEngine *engine, Span text, SSL_CTX *context, int which) noexcept nogil:
    """Hand a list of names over, if there is one; the texts of the material end with a zero."""
    if text.length <= 1:
        return True
    if which == 0:
        return engine.library.SSL_CTX_set_cipher_list(context, text.text) == 1
    if which == 1:
        return engine.library.SSL_CTX_set_ciphersuites(context, text.text) == 1
    return tls_set_groups(&engine.library, context, text.text)


cdef SSL_CTX *context_new(TlsEngine *engine, const TlsSet *tls_set, const Settings *settings) noexcept nogil:
    """All that certificates of one set have in common. NULL when the library refuses any of it."""
    cdef bint server = settings.flags & TLS_SET_SERVER != 0
    cdef int verify = SSL_VERIFY_PEER
    cdef SSL_CTX *context
    if server:
        context = engine.library.SSL_CTX_new(engine.library.TLS_server_method())
        if settings.roots.length == 0:
            verify = SSL_VERIFY_NONE
        elif settings.flags & TLS_SET_REQUIRE_CERTIFICATE:
            verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    else:
        context = engine.library.SSL_CTX_new(engine.library.TLS_client_method())
    if context == NULL:
        return NULL
    engine.library.SSL_CTX_set_options(
        context,
        <uint64_t>SSL_OP_NO_COMPRESSION | <uint64_t>SSL_OP_NO_RENEGOTIATION
        | <uint64_t>SSL_OP_CIPHER_SERVER_PREFERENCE,
    )
    tls_set_mode(&engine.library, context, SSL_MODE_RELEASE_BUFFERS)
    tls_set_session_cache_mode(&engine.library, context, SSL_SESS_CACHE_OFF)
    engine.library.SSL_CTX_set_timeout(context, SESSION_SECONDS)
    engine.library.SSL_CTX_set_verify(context, verify, NULL)
    if server:
        tls_set_name_callback(&engine.library, context, accept_name)
    if (
        tls_set_min_version(&engine.library, context, <int>settings.min_version)
        and is_set(engine, settings.ciphers, context, 0)
        and is_set(engine, settings.suites, context, 1)
        and is_set(engine, settings.groups, context, 2)
        and (settings.roots.length == 0 or trust_roots(engine, context, settings.roots, server))
        and (not server or engine.library.SSL_CTX_set_session_id_context(context, tls_set.trust, 16) == 1)
    ):
        return context
    engine.library.SSL_CTX_free(context)
    return NULL


cdef bint fill_alpn(TlsEngine *engine, TlsSet *tls_set) noexcept nogil:
    if tls_set.alpn_length == 0:
        return True
    if tls_set.flags & TLS_SET_SERVER:
        engine.library.SSL_CTX_set_alpn_select_cb(tls_set.context, choose_alpn, tls_set)
        return True
    return engine.library.SSL_CTX_set_alpn_protos(tls_set.context, tls_set.alpn, tls_set.alpn_length) == 0


cdef bint fill_certificates(
    TlsEngine *engine, TlsSet *tls_set, const Settings *settings, Cursor *cursor
) noexcept nogil:
    """The first certificate goes into the set's own context, each further one into a context of its own."""
    cdef uint32_t count = take_count(cursor, MOST_NAMES)
    cdef uint32_t index, names
    cdef TlsCertificate *certificate
    cdef SSL_CTX *context
    cdef Span chain, key
    tls_set.certificates = <TlsCertificate *>calloc(count + 1, sizeof(TlsCertificate))
    if tls_set.certificates == NULL:
        return False
    for index in range(count):
        context = tls_set.context
        certificate = tls_set.certificates + index
        certificate.first_name = tls_set.name_count
        names = take_count(cursor, MOST_NAMES)
        while names > 0 and not cursor.failed:
            names -= 1
            if not add_name(tls_set, cursor, 0):
                return False
            certificate.name_count += 1
        if index > 0:
            context = context_new(engine, tls_set, settings)
            if context == NULL:
                return False
        certificate.context = context
        tls_set.certificate_count = index + 1
        chain = take_text(cursor)
        key = take_text(cursor)
        if cursor.failed or not use_chain(engine, context, chain) or not use_key(engine, context, key):
            return False
    if count > 1:
        engine.library.SSL_CTX_set_cert_cb(tls_set.context, choose_certificate, tls_set)
    return True


cdef bint add_name(TlsSet *tls_set, Cursor *cursor, uint8_t kind) noexcept nogil:
    cdef Span text = take_text(cursor)
    if cursor.failed or tls_set.name_count >= MOST_NAMES:
        return False
    tls_set.names[tls_set.name_count].text = keep(cursor, text)
    tls_set.names[tls_set.name_count].length = text.length
    tls_set.names[tls_set.name_count].kind = kind
    tls_set.name_count += 1
    return True


cdef bint set_fill(TlsEngine *engine, TlsSet *tls_set, Cursor *cursor) noexcept nogil:
    cdef Settings settings
    cdef Span alpn, server_name
    cdef uint32_t count
    settings.flags = take_number(cursor)
    settings.min_version = take_number(cursor)
    tls_set.flags = settings.flags
    tls_set.handshake_limit = take_number(cursor)
    settings.ciphers = take_text(cursor)
    settings.suites = take_text(cursor)
    settings.groups = take_text(cursor)
    alpn = take_text(cursor)
    settings.roots = take_text(cursor)
    server_name = take_text(cursor)
    if cursor.failed:
        return False
    tls_set.alpn = <const unsigned char *>keep(cursor, alpn)
    tls_set.alpn_length = alpn.length
    if server_name.length > 0:
        tls_set.server_name = keep(cursor, server_name)
    tls_set.context = context_new(engine, tls_set, &settings)
    if tls_set.context == NULL:
        return False
    count = take_count(cursor, MOST_NAMES)
    while count > 0 and not cursor.failed:
        count -= 1
        if not add_name(tls_set, cursor, <uint8_t>(take_number(cursor) & 0xFF)):
            return False
    return not cursor.failed and fill_certificates(engine, tls_set, &settings, cursor) and fill_alpn(engine, tls_set)


cdef void set_free(TlsSet *tls_set) noexcept nogil:
    cdef uint32_t index
    for index in range(1, tls_set.certificate_count):
        tls_set.engine.library.SSL_CTX_free(tls_set.certificates[index].context)
    if tls_set.context != NULL:
        tls_set.engine.library.SSL_CTX_free(tls_set.context)
    list_remove(&tls_set.node)
    free(tls_set.certificates)
    free(tls_set.names)
    free(tls_set.words)
    free(tls_set)


cdef TlsSet *set_find(TlsEngine *engine, const char *hash) noexcept nogil:
    cdef Node *node = engine.sets.next
    while node != &engine.sets:
        if memcmp((<TlsSet *>node).hash, hash, 16) == 0:
            return <TlsSet *>node
        node = node.next
    return NULL


cdef void shrink_names(TlsSet *tls_set) noexcept nogil:
    cdef void *smaller = realloc(tls_set.names, (tls_set.name_count + 1) * sizeof(TlsName))
    if smaller != NULL:
        tls_set.names = <TlsName *>smaller


cdef TlsSet *set_open(TlsEngine *engine, Cursor *material) noexcept nogil:
    """The next set of the material, an old one when it has not changed; the caller gets a reference."""
    cdef Cursor cursor
    cdef Span whole = take_text(material)
    cdef TlsSet *tls_set
    if material.failed or whole.length < 32:
        return NULL
    tls_set = set_find(engine, whole.text)
    if tls_set != NULL:
        return tls_set_ref(tls_set)
    tls_set = <TlsSet *>calloc(1, sizeof(TlsSet))
    if tls_set == NULL:
        return NULL
    list_init(&tls_set.node)
    tls_set.engine = engine
    tls_set.refs = 1
    memcpy(tls_set.hash, whole.text, 16)
    memcpy(tls_set.trust, whole.text + 16, 16)
    # Keys are in there too, but never copied: what is kept can only be less
    tls_set.words = <char *>calloc(1, whole.length)
    tls_set.names = <TlsName *>calloc(MOST_NAMES, sizeof(TlsName))
    cursor.at = whole.text + 32
    cursor.end = whole.text + whole.length
    cursor.failed = False
    cursor.words = tls_set.words
    cursor.kept = 0
    if tls_set.words == NULL or tls_set.names == NULL or not set_fill(engine, tls_set, &cursor):
        set_free(tls_set)
        return NULL
    shrink_names(tls_set)
    list_append(&engine.sets, &tls_set.node)
    return tls_set


cdef void tls_set_unref(TlsSet *tls_set) noexcept nogil:
    tls_set.refs -= 1
    if tls_set.refs == 0:
        set_free(tls_set)


# -- the engine -------------------------------------------------------------------------------------------------------

cdef void tls_engine_init(TlsEngine *engine) noexcept nogil:
    list_init(&engine.sets)
    list_init(&engine.silent)
    list_init(&engine.unfinished)


cdef void tls_engine_destroy(TlsEngine *engine) noexcept nogil:
    free(engine.raw)
    free(engine.text)


cdef bint engine_load(TlsEngine *engine, uint32_t choice) noexcept nogil:
    """Once: what was made with one library must not meet another."""
    if likely(engine.loaded):
        if engine.choice != choice:
            fprintf(stderr, b"tulle: TLS: another tls.library takes a restart\n")
        return engine.choice == choice
    if tls_library_load(&engine.library, choice == TLS_LIBRARY_SYSTEM) < 0:
        return False
    engine.raw = <char *>malloc(TLS_RAW_BYTES)
    engine.text = <char *>malloc(TLS_RECORD)
    engine.loaded = True
    engine.choice = choice
    return engine.raw != NULL and engine.text != NULL


cdef TlsSets *sets_read(TlsEngine *engine, Cursor *cursor) noexcept nogil:
    cdef TlsSets *sets
    cdef const char *magic = take(cursor, 8)
    cdef uint32_t choice, count, index
    if magic == NULL or memcmp(magic, b"TULLETLS", 8) != 0 or take_number(cursor) != MATERIAL_LAYOUT:
        return NULL
    choice = take_number(cursor)
    count = take_count(cursor, MOST_SETS)
    if cursor.failed or not engine_load(engine, choice):
        return NULL
    sets = <TlsSets *>calloc(1, sizeof(TlsSets))
    if sets == NULL:
        return NULL
    sets.refs = 1
    sets.sets = <TlsSet **>calloc(count + 1, sizeof(void *))
    for index in range(count if sets.sets != NULL else 0):
        sets.sets[index] = set_open(engine, cursor)
        if sets.sets[index] == NULL:
            fprintf(stderr, b"tulle: TLS: OpenSSL does not take certificate set %u of %u\n", index + 1, count)
            break
        sets.count += 1
    if sets.count < count:
        tls_sets_unref(sets)
        return NULL
    return sets


cdef TlsSets *tls_sets_open(TlsEngine *engine, int fd) noexcept nogil:
    cdef long size = lseek(fd, 0, SEEK_END)
    cdef void *block = MAP_FAILED
    cdef TlsSets *sets = NULL
    cdef Cursor cursor
    if size > 0:
        block = mmap(NULL, <size_t>size, PROT_READ, MAP_PRIVATE, fd, 0)
    close(fd)
    if unlikely(block == MAP_FAILED):
        return NULL
    cursor.at = <const char *>block
    cursor.end = cursor.at + size
    cursor.failed = False
    cursor.words = NULL
    cursor.kept = 0
    sets = sets_read(engine, &cursor)
    munmap(block, <size_t>size)
    return sets


cdef void tls_sets_unref(TlsSets *sets) noexcept nogil:
    cdef uint32_t index
    if sets == NULL:
        return
    sets.refs -= 1
    if sets.refs > 0:
        return
    for index in range(sets.count):
        tls_set_unref(sets.sets[index])
    free(sets.sets)
    free(sets)
