"""The one table through which OpenSSL is called: addresses of the functions of one library, never of two.

Filled once in a worker, before its first context. From the `cryptography` wheel, whose module yields the addresses of
functions and macros; or from the system's `libssl.so.3`, where the macros are calls of `*_ctrl` that the functions
`tls_*` below make. A pointer is NULL only where a comment says so: `tls_library_load` names what is missing and fails.

Called by: `tls_context` (contexts) and `tls` (sessions), without the GIL. Only the loading takes it.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t

ctypedef void SSL
ctypedef void SSL_CTX
ctypedef void SSL_METHOD
ctypedef void SSL_SESSION
ctypedef void BIO
ctypedef void BIO_METHOD
ctypedef void X509
ctypedef void X509_STORE
ctypedef void EVP_PKEY
ctypedef void EVP_MD

ctypedef int (*TlsAlpnCallback)(
    SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offered, unsigned int length,
    void *argument
) noexcept nogil
ctypedef int (*TlsCertificateCallback)(SSL *ssl, void *argument) noexcept nogil
ctypedef int (*TlsNameCallback)(SSL *ssl, int *alert, void *argument) noexcept nogil

cdef enum TlsNumbers:                  # of openssl/ssl.h, bio.h and their like, the same in all versions since 1.1.1
    SSL_ERROR_SSL = 1
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_ZERO_RETURN = 6
    SSL_FILETYPE_PEM = 1
    SSL_VERIFY_NONE = 0
    SSL_VERIFY_PEER = 1
    SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2
    SSL_MODE_ENABLE_PARTIAL_WRITE = 1
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2
    SSL_MODE_RELEASE_BUFFERS = 16
    SSL_SESS_CACHE_OFF = 0
    SSL_OP_CIPHER_SERVER_PREFERENCE = 1 << 22
    SSL_OP_NO_COMPRESSION = 1 << 17
    SSL_OP_NO_RENEGOTIATION = 1 << 30
    SSL_OP_NO_TICKET = 1 << 14
    SSL_TLSEXT_ERR_OK = 0
    SSL_TLSEXT_ERR_ALERT_FATAL = 2
    SSL_R_BAD_CERTIFICATE_VERIFY = 134         # SSL_R_CERTIFICATE_VERIFY_FAILED
    SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE = 199
    SSL_R_ALERT_FIRST = 1000           # an alert of the peer, by its number in RFC 8446 section 6.2
    SSL_R_ALERT_LAST = 1255
    X509_V_OK = 0

cdef enum TlsControls:                 # numbers of `*_ctrl`
    CTRL_MODE = 33
    CTRL_EXTRA_CHAIN_CERT = 14
    CTRL_SET_SESS_CACHE_MODE = 44
    CTRL_SET_TLSEXT_SERVERNAME_CB = 53
    CTRL_SET_TLSEXT_HOSTNAME = 55
    CTRL_SET_TLSEXT_TICKET_KEYS = 59
    CTRL_SET_GROUPS_LIST = 92
    CTRL_SET_MIN_PROTO_VERSION = 123
    CTRL_BIO_INFO = 3
    CTRL_BIO_SET_MEM_EOF_RETURN = 130

cdef struct TlsLibrary:
    # contexts
    SSL_CTX *(*SSL_CTX_new)(const SSL_METHOD *method) noexcept nogil
    void (*SSL_CTX_free)(SSL_CTX *context) noexcept nogil
    const SSL_METHOD *(*TLS_server_method)() noexcept nogil
    const SSL_METHOD *(*TLS_client_method)() noexcept nogil
    uint64_t (*SSL_CTX_set_options)(SSL_CTX *context, uint64_t options) noexcept nogil
    int (*SSL_CTX_set_cipher_list)(SSL_CTX *context, const char *text) noexcept nogil
    int (*SSL_CTX_set_ciphersuites)(SSL_CTX *context, const char *text) noexcept nogil
    void (*SSL_CTX_set_verify)(SSL_CTX *context, int mode, void *callback) noexcept nogil
    X509_STORE *(*SSL_CTX_get_cert_store)(const SSL_CTX *context) noexcept nogil
    int (*SSL_CTX_use_certificate)(SSL_CTX *context, X509 *certificate) noexcept nogil
    int (*SSL_CTX_use_PrivateKey)(SSL_CTX *context, EVP_PKEY *key) noexcept nogil
    int (*SSL_CTX_check_private_key)(const SSL_CTX *context) noexcept nogil
    int (*SSL_CTX_add_client_CA)(SSL_CTX *context, X509 *certificate) noexcept nogil
    int (*SSL_CTX_set_alpn_protos)(SSL_CTX *context, const unsigned char *protocols, unsigned int length) noexcept nogil
    void (*SSL_CTX_set_alpn_select_cb)(SSL_CTX *context, TlsAlpnCallback callback, void *argument) noexcept nogil
    void (*SSL_CTX_set_cert_cb)(SSL_CTX *context, TlsCertificateCallback callback, void *argument) noexcept nogil
    int (*SSL_CTX_set_session_id_context)(
        SSL_CTX *context, const unsigned char *text, unsigned int length
    ) noexcept nogil
    long (*SSL_CTX_set_timeout)(SSL_CTX *context, long seconds) noexcept nogil
    int (*X509_STORE_add_cert)(X509_STORE *store, X509 *certificate) noexcept nogil
    X509 *(*PEM_read_bio_X509)(BIO *bio, X509 **place, void *password, void *argument) noexcept nogil
    EVP_PKEY *(*PEM_read_bio_PrivateKey)(BIO *bio, EVP_PKEY **place, void *password, void *argument) noexcept nogil
    void (*X509_free)(X509 *certificate) noexcept nogil
    void (*EVP_PKEY_free)(EVP_PKEY *key) noexcept nogil
    # sessions
    SSL *(*SSL_new)(SSL_CTX *context) noexcept nogil
    void (*SSL_free)(SSL *ssl) noexcept nogil
    void (*SSL_set_bio)(SSL *ssl, BIO *source, BIO *sink) noexcept nogil
    void (*SSL_set_accept_state)(SSL *ssl) noexcept nogil
    void (*SSL_set_connect_state)(SSL *ssl) noexcept nogil
    int (*SSL_set_alpn_protos)(SSL *ssl, const unsigned char *protocols, unsigned int length) noexcept nogil
    int (*SSL_do_handshake)(SSL *ssl) noexcept nogil
    int (*SSL_read)(SSL *ssl, void *data, int length) noexcept nogil
    int (*SSL_peek)(SSL *ssl, void *data, int length) noexcept nogil
    int (*SSL_write)(SSL *ssl, const void *data, int length) noexcept nogil
    int (*SSL_pending)(const SSL *ssl) noexcept nogil
    int (*SSL_shutdown)(SSL *ssl) noexcept nogil
    int (*SSL_get_error)(const SSL *ssl, int result) noexcept nogil
    long (*SSL_get_verify_result)(const SSL *ssl) noexcept nogil
    X509 *(*SSL_get_peer_certificate)(const SSL *ssl) noexcept nogil
    void (*SSL_get0_alpn_selected)(const SSL *ssl, const unsigned char **name, unsigned int *length) noexcept nogil
    const char *(*SSL_get_servername)(const SSL *ssl, int kind) noexcept nogil
    SSL_CTX *(*SSL_set_SSL_CTX)(SSL *ssl, SSL_CTX *context) noexcept nogil
    int (*SSL_session_reused)(const SSL *ssl) noexcept nogil
    SSL_SESSION *(*SSL_get1_session)(SSL *ssl) noexcept nogil
    int (*SSL_set_session)(SSL *ssl, SSL_SESSION *session) noexcept nogil
    void (*SSL_SESSION_free)(SSL_SESSION *session) noexcept nogil
    BIO *(*BIO_new)(const BIO_METHOD *method) noexcept nogil
    BIO *(*BIO_new_mem_buf)(const void *data, int length) noexcept nogil
    const BIO_METHOD *(*BIO_s_mem)() noexcept nogil
    int (*BIO_free)(BIO *bio) noexcept nogil
    int (*BIO_read)(BIO *bio, void *data, int length) noexcept nogil
    int (*BIO_write)(BIO *bio, const void *data, int length) noexcept nogil
    int (*i2d_X509_bio)(BIO *bio, X509 *certificate) noexcept nogil
    int (*X509_digest)(
        const X509 *certificate, const EVP_MD *kind, unsigned char *out, unsigned int *length
    ) noexcept nogil
    const EVP_MD *(*EVP_get_digestbyname)(const char *name) noexcept nogil
    # errors
    const char *(*X509_verify_cert_error_string)(long result) noexcept nogil
    void (*ERR_clear_error)() noexcept nogil
    unsigned long (*ERR_get_error)() noexcept nogil
    const char *(*ERR_reason_error_string)(unsigned long code) noexcept nogil
    const char *(*OpenSSL_version)(int which) noexcept nogil
    # macros of the headers: the wheel's have addresses, and are NULL with the system's library ...
    long (*SSL_CTX_set_mode)(SSL_CTX *context, long mode) noexcept nogil
    long (*SSL_CTX_set_session_cache_mode)(SSL_CTX *context, long mode) noexcept nogil
    int (*SSL_CTX_set_min_proto_version)(SSL_CTX *context, int version) noexcept nogil
    long (*SSL_CTX_add_extra_chain_cert)(SSL_CTX *context, X509 *certificate) noexcept nogil
    int (*SSL_CTX_set1_curves_list)(SSL_CTX *context, const char *text) noexcept nogil
    void (*SSL_CTX_set_tlsext_servername_callback)(SSL_CTX *context, TlsNameCallback callback) noexcept nogil
    long (*SSL_set_tlsext_host_name)(SSL *ssl, const char *name) noexcept nogil
    long (*BIO_get_mem_data)(BIO *bio, char **data) noexcept nogil
    long (*BIO_set_mem_eof_return)(BIO *bio, int value) noexcept nogil
    # ... which has these instead, that are NULL with the wheel's
    long (*SSL_CTX_ctrl)(SSL_CTX *context, int command, long number, void *pointer) noexcept nogil
    long (*SSL_CTX_callback_ctrl)(SSL_CTX *context, int command, TlsNameCallback callback) noexcept nogil
    long (*SSL_ctrl)(SSL *ssl, int command, long number, void *pointer) noexcept nogil
    long (*BIO_ctrl)(BIO *bio, int command, long number, void *pointer) noexcept nogil

# 0, or -1 when the library cannot be used; then a line on stderr says why
cdef int tls_library_load(TlsLibrary *library, bint system) noexcept with gil

cdef inline void tls_set_mode(const TlsLibrary *library, SSL_CTX *context, long mode) noexcept nogil:
    if library.SSL_CTX_ctrl != NULL:
        library.SSL_CTX_ctrl(context, CTRL_MODE, mode, NULL)
    else:
        library.SSL_CTX_set_mode(context, mode)

cdef inline void tls_set_session_cache_mode(const TlsLibrary *library, SSL_CTX *context, long mode) noexcept nogil:
    if library.SSL_CTX_ctrl != NULL:
        library.SSL_CTX_ctrl(context, CTRL_SET_SESS_CACHE_MODE, mode, NULL)
    else:
        library.SSL_CTX_set_session_cache_mode(context, mode)

cdef inline bint tls_set_min_version(const TlsLibrary *library, SSL_CTX *context, int version) noexcept nogil:
    if library.SSL_CTX_ctrl != NULL:
        return library.SSL_CTX_ctrl(context, CTRL_SET_MIN_PROTO_VERSION, version, NULL) == 1
    return library.SSL_CTX_set_min_proto_version(context, version) == 1

cdef inline bint tls_set_groups(const TlsLibrary *library, SSL_CTX *context, const char *text) noexcept nogil:
    if library.SSL_CTX_ctrl != NULL:
        return library.SSL_CTX_ctrl(context, CTRL_SET_GROUPS_LIST, 0, <void *>text) == 1
    return library.SSL_CTX_set1_curves_list(context, text) == 1

cdef inline void tls_set_name_callback(
    const TlsLibrary *library, SSL_CTX *context, TlsNameCallback callback
) noexcept nogil:
    if library.SSL_CTX_callback_ctrl != NULL:
        library.SSL_CTX_callback_ctrl(context, CTRL_SET_TLSEXT_SERVERNAME_CB, callback)
    else:
        library.SSL_CTX_set_tlsext_servername_callback(context, callback)

cdef inline bint tls_add_chain(const TlsLibrary *library, SSL_CTX *context, X509 *certificate) noexcept nogil:
    """The context owns the certificate when that went well."""
    if library.SSL_CTX_ctrl != NULL:
        return library.SSL_CTX_ctrl(context, CTRL_EXTRA_CHAIN_CERT, 0, certificate) == 1
    return library.SSL_CTX_add_extra_chain_cert(context, certificate) == 1

cdef inline bint tls_set_host_name(const TlsLibrary *library, SSL *ssl, const char *name) noexcept nogil:
    if library.SSL_ctrl != NULL:
        return library.SSL_ctrl(ssl, CTRL_SET_TLSEXT_HOSTNAME, 0, <void *>name) == 1
    return library.SSL_set_tlsext_host_name(ssl, name) == 1

cdef inline long tls_bio_data(const TlsLibrary *library, BIO *bio, char **data) noexcept nogil:
    if library.BIO_ctrl != NULL:
        return library.BIO_ctrl(bio, CTRL_BIO_INFO, 0, data)
    return library.BIO_get_mem_data(bio, data)

cdef inline BIO *tls_bio_new(const TlsLibrary *library) noexcept nogil:
    """Memory to write to and read from; empty, it asks for a retry. NULL without memory."""
    cdef BIO *bio = library.BIO_new(library.BIO_s_mem())
    if bio == NULL:
        return NULL
    if library.BIO_ctrl != NULL:
        library.BIO_ctrl(bio, CTRL_BIO_SET_MEM_EOF_RETURN, -1, NULL)
    else:
        library.BIO_set_mem_eof_return(bio, -1)
    return bio
