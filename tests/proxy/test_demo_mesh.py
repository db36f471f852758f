"""The demo as a mesh: as people run it, and what of it can go wrong unseen."""

import asyncio
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.controlplane.mesh.meshes import errors
from tests.proxy.demos import PATIENCE, Start, all_gone, demos, printed, session_members
from tulle.controlplane.load import load_config
from tulle.proxy.demo.shop import documents, stock
from tulle.proxy.demo.shop.documents import Place
from tulle.proxy.demo.shop.network import Network
from tulle.proxy.demo.shop.services import CART, REVIEWS, SERVICES, WEB

SUMMARY = re.compile(
    r"([\d,]+) requests, \d+ deployments? while they flowed, (\d+) instances replaced: 0 failed\."
)

pytestmark = pytest.mark.timeout(4 * PATIENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with demos(tmp_path) as start:
        yield start


def lines_until(demo: subprocess.Popen[str], *texts: str) -> list[str]:
    """Everything up to the line with which each of these texts has been there."""
    assert demo.stdout
    lines: list[str] = []
    missing = set(texts)
    for line in demo.stdout:
        lines.append(line.rstrip())
        missing -= {text for text in missing if text in line}
        if not missing:
            return lines
    pytest.fail(f"the demo has left without a word of {missing}: {lines}")


def test_a_version_is_replaced_while_requests_flow_and_nothing_is_left(
    start: Start, tmp_path: Path, program: Callable[[str], str]
) -> None:
    curl = program("curl")
    demo = start("--mesh", "--step", "2", "--rate", "40")
    lines = lines_until(demo, " | ejected ")
    commands = [
        shlex.split(re.split(" {2,}", line.strip())[0])
        for line in lines
        if line.startswith("   curl") and "http" in line
    ]
    web, stocked, advised, metrics, plane = [
        subprocess.run(
            [curl, "-sS", "-m", "30", *words[1:]], capture_output=True, text=True, check=True
        ).stdout
        for words in commands
    ]
    assert re.fullmatch(r"this is web-v1; this is cart-v[12]\n", web)
    assert re.fullmatch(r"this is web-v1; stock-v\d has 17 hats\n", stocked)
    assert re.match(r"data: advice-v\d:\n\ndata: a\n\n", advised)
    assert advised.endswith("data: [DONE]\n\n")
    assert "tulle_control_connected 1.0" in metrics
    assert 'tulle_plane_sidecars{state="refused"} 0.0' in plane
    folder = Path(printed(lines, r"cd (\S+)"))
    services = subprocess.run(
        ["./tulle", "get", "services"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[:3] for line in services.splitlines()[1:]] == [
        [service.name, f"spiffe://shop.example{service.identity}", "strict"]
        for service in sorted(SERVICES, key=lambda one: one.name)
    ]

    more = lines_until(demo, "cart: v2 is in place; 2 instances of v1 drained and gone", "ejected 127.")
    steps = [line for line in (*lines, *more) if " cart: " in line]
    assert re.search(r"v2 has enrolled and is ready beside v1: \S+, \S+$", steps[0])
    assert [printed([line], r" cart: (\d+/\d+); cart.yaml is applied") for line in steps[1:4]] == [
        "90/10",
        "50/50",
        "0/100",
    ]
    assert all("and all have it" in line for line in steps[1:4])
    assert not list(folder.glob("cart-v1-*"))
    demo.send_signal(signal.SIGINT)
    output, said = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, said) == (0, "")
    summary = SUMMARY.search(output)
    assert summary, output
    assert int(summary[1].replace(",", "")) > 20
    assert int(summary[2]) >= 2
    assert re.search(r"to the reviews, .* put out [1-9]\d* times?\.", output)
    assert all_gone(demo.pid)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_it_begins_leaves_nothing(start: Start, tmp_path: Path) -> None:
    demo = start("--mesh")
    deadline = time.monotonic() + PATIENCE
    while len(session_members(demo.pid)) < 6:
        assert demo.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    demo.send_signal(signal.SIGINT)
    output, said = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, said) == (0, "")
    assert "requests," not in output
    assert all_gone(demo.pid)
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_told_at_once(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start("--mesh", "--port", str(port))
        output, said = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, output) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in said
    assert list(tmp_path.iterdir()) == []


def test_the_documents_are_a_mesh() -> None:
    places = [Place("127.8.0.2", "v1", 90), Place("127.8.0.3", "v2", 10)]
    texts = [documents.service(service, places) for service in SERVICES if service not in (CART, REVIEWS)]
    texts.append(documents.service(CART, places) + documents.guarded(CART, [WEB]))
    texts.append(documents.service(REVIEWS, places) + documents.retried(REVIEWS))
    assert errors(documents.mesh("127.8.0.1"), *texts) == []


def test_a_sidecar_can_be_begun_with_what_is_written_for_it(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text(documents.sidecar("127.8.0.2", "127.8.0.1", tmp_path))
    loaded = load_config(file)
    assert loaded.warnings == []
    assert loaded.config.control_plane is not None
    assert loaded.config.control_plane.application_host == "127.8.0.2"


def test_each_demo_has_a_network_of_its_own() -> None:
    with closing(Network()) as first, closing(Network()) as second:
        hosts = [first.next(), first.next(), second.next()]
        assert len({first.control, second.control, *hosts}) == 5


def test_the_stock_is_asked_by_grpc() -> None:
    async def scene() -> tuple[str, int]:
        async with await asyncio.start_server(stock.Stock("s").serve, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()[:2]
            found = await stock.count(address, "stock", "hats")
            server.close()
            return found

    assert asyncio.run(scene()) == ("s", stock.AMOUNT)


def test_an_answer_of_the_stock_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="gRPC status 14, no healthy upstream"):
        stock._amount({"grpc-status": "14", "grpc-message": "no healthy upstream"}, b"")
    with pytest.raises(ValueError, match="gRPC status is missing, status 200"):
        stock._amount({":status": "200"}, stock.message(b"\x08\x11"))
