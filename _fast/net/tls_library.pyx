"""See `tls_library.pxd`."""
import sys

from libc.stdint cimport uintptr_t
from libc.string cimport memset

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *name, int flags) noexcept
    void *dlsym(void *handle, const char *name) noexcept
    int RTLD_NOW, RTLD_LOCAL

SYSTEM_LIBRARY = "libssl.so.3"
# What libssl.so.3 calls otherwise
SYSTEM_NAMES = {"SSL_get_peer_certificate": "SSL_get1_peer_certificate"}


cdef class Source:
    """A library: gives addresses by name, and remembers which it has not got."""
    cdef void *handle                  # of the system's; NULL: the wheel's
    cdef object ffi
    cdef object functions
    cdef list missing

    def __cinit__(self, bint system):
        self.missing = []
        self.handle = NULL
        if system:
            self.handle = dlopen(SYSTEM_LIBRARY.encode(), RTLD_NOW | RTLD_LOCAL)
            if self.handle == NULL:
                raise OSError(f"{SYSTEM_LIBRARY} is not installed")
        else:
            from cryptography.hazmat.bindings._rust import _openssl

            self.ffi, self.functions = _openssl.ffi, _openssl.lib

    cdef int take(self, void **place, str name) except -1:
        """Of a function that both libraries have."""
        self.find(place, name)
        if place[0] == NULL:
            self.missing.append(name)
        return 0

    cdef int take_macro(self, void **place, str name) except -1:
        return 0 if self.handle != NULL else self.take(place, name)

    cdef int take_control(self, void **place, str name) except -1:
        return self.take(place, name) if self.handle != NULL else 0

    cdef int find(self, void **place, str name) except -1:
        cdef uintptr_t address = 0
        if self.handle != NULL:
            place[0] = dlsym(self.handle, SYSTEM_NAMES.get(name, name).encode())
        elif hasattr(self.functions, name):
            address = int(self.ffi.cast("uintptr_t", self.ffi.addressof(self.functions, name)))
            place[0] = <void *>address
        return 0


cdef list fill(TlsLibrary *library, bint system):
    """The names of what is missing. OSError or ImportError when there is no such library."""
    cdef Source source = Source(system)
    memset(library, 0, sizeof(TlsLibrary))
    source.take(<void **>&library.SSL_CTX_new, "SSL_CTX_new")
    source.take(<void **>&library.SSL_CTX_free, "SSL_CTX_free")
    source.take(<void **>&library.TLS_server_method, "TLS_server_method")
    source.take(<void **>&library.TLS_client_method, "TLS_client_method")
    source.take(<void **>&library.SSL_CTX_set_options, "SSL_CTX_set_options")
    source.take(<void **>&library.SSL_CTX_set_cipher_list, "SSL_CTX_set_cipher_list")
    source.take(<void **>&library.SSL_CTX_set_ciphersuites, "SSL_CTX_set_ciphersuites")
    source.take(<void **>&library.SSL_CTX_set_verify, "SSL_CTX_set_verify")
    source.take(<void **>&library.SSL_CTX_get_cert_store, "SSL_CTX_get_cert_store")
    source.take(<void **>&library.SSL_CTX_use_certificate, "SSL_CTX_use_certificate")
    source.take(<void **>&library.SSL_CTX_use_PrivateKey, "SSL_CTX_use_PrivateKey")
    source.take(<void **>&library.SSL_CTX_check_private_key, "SSL_CTX_check_private_key")
    source.take(<void **>&library.SSL_CTX_add_client_CA, "SSL_CTX_add_client_CA")
    source.take(<void **>&library.SSL_CTX_set_alpn_protos, "SSL_CTX_set_alpn_protos")
    source.take(<void **>&library.SSL_CTX_set_alpn_select_cb, "SSL_CTX_set_alpn_select_cb")
    source.take(<void **>&library.SSL_CTX_set_cert_cb, "SSL_CTX_set_cert_cb")
    source.take(<void **>&library.SSL_CTX_set_session_id_context, "SSL_CTX_set_session_id_context")
    source.take(<void **>&library.SSL_CTX_set_timeout, "SSL_CTX_set_timeout")
    source.take(<void **>&library.X509_STORE_add_cert, "X509_STORE_add_cert")
    source.take(<void **>&library.PEM_read_bio_X509, "PEM_read_bio_X509")
    source.take(<void **>&library.PEM_read_bio_PrivateKey, "PEM_read_bio_PrivateKey")
    source.take(<void **>&library.X509_free, "X509_free")
    source.take(<void **>&library.EVP_PKEY_free, "EVP_PKEY_free")
    source.take(<void **>&library.SSL_new, "SSL_new")
    source.take(<void **>&library.SSL_free, "SSL_free")
    source.take(<void **>&library.SSL_set_bio, "SSL_set_bio")
    source.take(<void **>&library.SSL_set_accept_state, "SSL_set_accept_state")
    source.take(<void **>&library.SSL_set_connect_state, "SSL_set_connect_state")
    source.take(<void **>&library.SSL_set_alpn_protos, "SSL_set_alpn_protos")
    source.take(<void **>&library.SSL_do_handshake, "SSL_do_handshake")
    source.take(<void **>&library.SSL_read, "SSL_read")
    source.take(<void **>&library.SSL_peek, "SSL_peek")
    source.take(<void **>&library.SSL_write, "SSL_write")
    source.take(<void **>&library.SSL_pending, "SSL_pending")
    source.take(<void **>&library.SSL_shutdown, "SSL_shutdown")
    source.take(<void **>&library.SSL_get_error, "SSL_get_error")
    source.take(<void **>&library.SSL_get_verify_result, "SSL_get_verify_result")
    source.take(<void **>&library.SSL_get_peer_certificate, "SSL_get_peer_certificate")
    source.take(<void **>&library.SSL_get0_alpn_selected, "SSL_get0_alpn_selected")
    source.take(<void **>&library.SSL_get_servername, "SSL_get_servername")
    source.take(<void **>&library.SSL_set_SSL_CTX, "SSL_set_SSL_CTX")
    source.take(<void **>&library.SSL_session_reused, "SSL_session_reused")
    source.take(<void **>&library.SSL_get1_session, "SSL_get1_session")
    source.take(<void **>&library.SSL_set_session, "SSL_set_session")
    source.take(<void **>&library.SSL_SESSION_free, "SSL_SESSION_free")
    source.take(<void **>&library.BIO_new, "BIO_new")
    source.take(<void **>&library.BIO_new_mem_buf, "BIO_new_mem_buf")
    source.take(<void **>&library.BIO_s_mem, "BIO_s_mem")
    source.take(<void **>&library.BIO_free, "BIO_free")
    source.take(<void **>&library.BIO_read, "BIO_read")
    source.take(<void **>&library.BIO_write, "BIO_write")
    source.take(<void **>&library.i2d_X509_bio, "i2d_X509_bio")
    source.take(<void **>&library.X509_digest, "X509_digest")
    source.take(<void **>&library.EVP_get_digestbyname, "EVP_get_digestbyname")
    source.take(<void **>&library.X509_verify_cert_error_string, "X509_verify_cert_error_string")
    source.take(<void **>&library.ERR_clear_error, "ERR_clear_error")
    source.take(<void **>&library.ERR_get_error, "ERR_get_error")
    source.take(<void **>&library.ERR_reason_error_string, "ERR_reason_error_string")
    source.take(<void **>&library.OpenSSL_version, "OpenSSL_version")
    source.take_macro(<void **>&library.SSL_CTX_set_mode, "SSL_CTX_set_mode")
    source.take_macro(<void **>&library.SSL_CTX_set_session_cache_mode, "SSL_CTX_set_session_cache_mode")
    source.take_macro(<void **>&library.SSL_CTX_set_min_proto_version, "SSL_CTX_set_min_proto_version")
    source.take_macro(<void **>&library.SSL_CTX_add_extra_chain_cert, "SSL_CTX_add_extra_chain_cert")
    source.take_macro(<void **>&library.SSL_CTX_set1_curves_list, "SSL_CTX_set1_curves_list")
    source.take_macro(
        <void **>&library.SSL_CTX_set_tlsext_servername_callback, "SSL_CTX_set_tlsext_servername_callback"
    )
    source.take_macro(<void **>&library.SSL_set_tlsext_host_name, "SSL_set_tlsext_host_name")
    source.take_macro(<void **>&library.BIO_get_mem_data, "BIO_get_mem_data")
    source.take_macro(<void **>&library.BIO_set_mem_eof_return, "BIO_set_mem_eof_return")
    source.take_control(<void **>&library.SSL_CTX_ctrl, "SSL_CTX_ctrl")
    source.take_control(<void **>&library.SSL_CTX_callback_ctrl, "SSL_CTX_callback_ctrl")
    source.take_control(<void **>&library.SSL_ctrl, "SSL_ctrl")
    source.take_control(<void **>&library.BIO_ctrl, "BIO_ctrl")
    return source.missing


def missing(bint system):
    """Names of functions that the library has not got. OSError or ImportError when there is no such library."""
    cdef TlsLibrary library
    return fill(&library, system)


def version(bint system):
    """What the library says of itself, as "OpenSSL 3.0.22 25 Aug 2026"."""
    cdef TlsLibrary library
    fill(&library, system)
    return library.OpenSSL_version(0).decode()


cdef int tls_library_load(TlsLibrary *library, bint system) noexcept with gil:
    cdef list absent
    name = SYSTEM_LIBRARY if system else "the OpenSSL of the cryptography package"
    try:
        absent = fill(library, system)
    except (ImportError, OSError, AttributeError) as error:
        print(f"tulle: TLS cannot be used: {name}: {error}", file=sys.stderr, flush=True)
        return -1
    if absent:
        print(f"tulle: TLS cannot be used: {name} has no {', '.join(absent)}", file=sys.stderr, flush=True)
        return -1
    return 0
