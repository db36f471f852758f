"""What people read first holds: examples are valid and do what they say, documents name what is there."""

import io
import re
import textwrap
from pathlib import Path

import pytest

from tulle.controlplane.load import load_config
from tulle.proxy.explain import run_explain

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").iterdir())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(example: Path) -> None:
    loaded = load_config(example)
    assert loaded.warnings == []
    assert loaded.config.listeners


def test_the_readme_shows_the_smallest_example() -> None:
    blocks = re.findall(r"\n\n((?: {4}.*\n|\n)+)", (ROOT / "README.md").read_text())
    shown = [textwrap.dedent(block).strip() for block in blocks]
    text = (ROOT / "examples/smallest.yaml").read_text()
    wanted = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    assert wanted in ["\n".join(line for line in block.splitlines() if line) for block in shown]


@pytest.mark.parametrize(
    ("example", "url", "headers", "answers"),
    [
        ("smallest", "http://anything.example.com/any/path", [], ["route all", "cluster app: all"]),
        ("canary", "http://a/api", ["x-canary: 1"], ["route testers", "cluster v2: all"]),
        ("canary", "http://a/api/cart", [], ["route canary", "v1: 90 %", "v2: 10 %", "retries 2 after"]),
        ("canary", "http://a/alive", [], ["route health", "200"]),
        ("canary", "http://a/apiary", [], ["no route takes it"]),
        ("zones", "http://a/", [], ["shop {version: v1}: 90 %", "shop {version: v2}: 10 %", "any endpoint"]),
        ("edge", "http://www.example.com/a?b", [], ["route www", "301", "https://example.com/a"]),
        ("edge", "http://example.com/blog/2024/x", [], ["route moved", "308", "/news/2024/x"]),
        ("edge", "http://example.com/", [], ["route site"]),
        (
            "edge",
            "http://api.example.com/v1/users",
            [],
            ["route api", "rewrite /users for api.internal", "remove x-debug"],
        ),
        ("edge", "http://api.example.com/v2/users/7/orders", [], ["route users"]),
        ("edge", "http://api.example.com/v2/users/me", [], ["route tenants"]),
        ("edge", "http://one.two.example.com/", [], ["route tenants"]),
    ],
)
def test_requests_go_where_the_comments_say(
    example: str, url: str, headers: list[str], answers: list[str]
) -> None:
    out = io.StringIO()
    status = run_explain(ROOT / f"examples/{example}.yaml", "GET", url, headers, out=out)
    taken = " ".join(out.getvalue().partition("\nnot by")[0].split())
    print(taken)
    assert status == (1 if answers == ["no route takes it"] else 0)
    for answer in answers:
        assert answer in taken


@pytest.mark.parametrize(
    "document", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    missing = [target for target in targets if ":" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = re.findall(r"`((?:proxy|controlplane|_fast|tests|docs)/[\w/]+\.\w+)`", text)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []
