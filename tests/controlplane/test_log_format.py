"""Log formats taken apart."""

import pytest

from tulle.controlplane.log_format import JSON_KEYS, OPERATORS, json_items, text_items
from tulle.controlplane.table import LogItemRow


def test_text_is_taken_apart() -> None:
    assert text_items('100%% "%METHOD%" %REQ(X-A?X-B):10%%RESP(y)% %ATTEMPTS:3%\n') == [
        LogItemRow("", '100% "'),
        LogItemRow("METHOD"),
        LogItemRow("", '" '),
        LogItemRow("REQ", argument="x-a", alternative="x-b", limit=10),
        LogItemRow("RESP", argument="y"),
        LogItemRow("", " "),
        LogItemRow("ATTEMPTS", limit=3),
    ]


@pytest.mark.parametrize(
    ("envoy", "operator"),
    [
        ("%REQ(:METHOD)%", "METHOD"),
        ("%REQ(:path)%", "PATH"),
        ("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "ORIGINAL_PATH"),
        ("%REQ(:AUTHORITY)%", "AUTHORITY"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "ATTEMPTS"),
    ],
)
def test_what_envoy_writes_is_understood(envoy: str, operator: str) -> None:
    assert text_items(envoy) == [LogItemRow(operator)]


def test_the_defaults() -> None:
    assert [item.name for item in json_items()] == list(JSON_KEYS)
    assert {item.operator for item in json_items()} <= OPERATORS
    assert {item.operator for item in text_items(None)} - {""} <= OPERATORS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("100% sure", "lone %"),
        ("%NOPE%", "no operator"),
        ("%METHOD(x)%", "takes no argument"),
        ("%REQ%", "needs the name"),
        ("%REQ()%", "needs the name"),
        ("%REQ(a b)%", "not the name"),
        ("%REQ(a?:path)%", "not the name"),
        ("%RESP(:path)%", "not the name"),
        ("%REQ(a):999999%", "lone %"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        text_items(text)
