"""Both libraries have all that is called of them."""

import pytest

from tulle._fast.net import tls_library


@pytest.mark.parametrize("system", [False, True], ids=["cryptography", "system"])
def test_nothing_is_missing(system: bool) -> None:
    assert tls_library.missing(system) == []
    assert tls_library.version(system).startswith("OpenSSL ")
