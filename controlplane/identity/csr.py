"""A new key and the request by which its owner asks for a certificate (PKCS #10, RFC 2986).

Needs the `cryptography` package.
"""

import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tulle.controlplane.identity import keys


def make_request() -> tuple[bytes, bytes]:
    """Key and request in PEM form. It asks for no name: who gets which is for the other side to know."""
    key = keys.generate()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, keys.signature_hash(key))
    return keys.to_pem(key), request.public_bytes(Encoding.PEM)


if __name__ == "__main__":  # apart from a process that would keep the library in memory
    sys.stdout.buffer.write(b"".join(make_request()))
