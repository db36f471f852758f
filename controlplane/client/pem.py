"""The certificates of a bundle, as texts; without the library that could read them."""

import re
from collections.abc import Iterator

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.DOTALL)


def certificates_of(bundle: bytes) -> Iterator[str]:
    for found in _CERTIFICATE.finditer(bundle.decode("ascii", "replace")):
        yield found[0]
