"""A few inputs of the fuzzer in every run of the tests, and a proof that it finds what is wrong."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests._fast.http import codec
from tests.fuzz import fuzz_h1


def test_first_inputs() -> None:
    for number in range(2000):
        fuzz_h1.check(number)


def test_a_wrong_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = codec.parse

    def wrong(kind: int, data: bytes, cuts: Sequence[int], *rest: Any) -> dict[str, Any]:
        return {"result": "more"} if 7 in cuts else right(kind, data, cuts, *rest)

    monkeypatch.setattr(codec, "parse", wrong)
    with pytest.raises(AssertionError, match="input"):
        for number in range(2000):
            fuzz_h1.check(number)
