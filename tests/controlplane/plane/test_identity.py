"""Who may be whom: enrolment, renewal, and everything that is refused."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.controlplane.plane.running import DOMAIN, Stage, enrol, play, spiffe, until
from tulle.controlplane.address import parse_address
from tulle.controlplane.client import dial, follower
from tulle.controlplane.client.dial import DialError
from tulle.controlplane.identity import disk
from tulle.controlplane.identity.csr import make_request
from tulle.controlplane.identity.request import Identity, read_request
from tulle.controlplane.identity.spiffe import parse_workload
from tulle.controlplane.identity.tokens import make_token
from tulle.controlplane.mesh.names import CONTROL_PATH
from tulle.controlplane.plane import wire
from tulle.controlplane.plane.sources.files import Files


async def ask_as(found: Stage, folder: Path, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    context = dial.mutual(folder / "bundle.pem", folder / "identity.pem", folder / "identity.key")
    async with dial.connection(parse_address(found.plane.address), context, DOMAIN) as own:
        return await dial.ask(own, method, path, body)


def certificate(found: Stage, name: str, now: float, life: float = 3600.0) -> Path:
    """An identity of this name, issued at this time."""
    folder = found.folder / f"identity-{name}"
    folder.mkdir()
    key, request = make_request()
    allowed = Identity(parse_workload(spiffe(name)))
    issued = found.plane.store.issue(read_request(request), allowed, now, life)
    disk.write(folder / "identity.key", key)
    disk.write(folder / "identity.pem", issued.pem)
    disk.write(folder / "bundle.pem", found.plane.store.bundle())
    return folder


def test_a_token_counts_once(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        token = found.plane.token("web")
        await found.joined("web", token)
        status, text = await enrol(found, token)
        assert (status, "has been used already" in text) == (401, True)
        assert token not in "".join(found.plane.said)
        await found.plane.end()
        await found.plane.begin()  # another control plane knows it too
        assert (await enrol(found, token))[0] == 401

    play(tmp_path, scene)


def test_of_many_at_once_with_one_token_one_is_taken(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        token = found.plane.token("web")
        answers = await asyncio.gather(*(enrol(found, token) for _ in range(8)))
        assert sorted(status for status, _ in answers) == [200, *[401] * 7]

    play(tmp_path, scene)


def test_a_store_that_needs_a_thread_itself_is_not_waited_for_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As etcd does to resolve a name, while all threads of the loop may wait for what it tells of tokens."""

    async def use(self: Files, *asked: Any) -> bool:
        return await asyncio.get_running_loop().run_in_executor(None, self.used.use, *asked)

    async def scene(found: Stage) -> None:
        monkeypatch.setattr(Files, "use", use)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        assert (await enrol(found, found.plane.token("web")))[0] == 200

    play(tmp_path, scene)


def test_of_a_directory_of_tokens_those_that_are_used_are_passed_over(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        tokens = tmp_path / "tokens"
        tokens.mkdir()
        (tokens / ".hidden").write_text("no token")
        for number in range(3):
            (tokens / str(number)).write_text(found.plane.token("web"))
        shared = [found.sidecar("web", None, token_file=tokens) for _ in range(4)]
        await until(lambda: sum(one.standing.connected for one in shared) == 3, "three that are taken")
        late = [one for one in shared if not one.standing.connected]
        assert len(late) == 1
        await until(lambda: "has been used already" in late[0].standing.error, "what the fourth is told")
        (tokens / "3").write_text(found.plane.token("web"))
        await until(lambda: late[0].standing.connected, "the fourth, by another token")

    play(tmp_path, scene)


@pytest.mark.parametrize("kind", ["forged", "expired", "future", "nonsense", "control"])
def test_tokens_that_are_refused(tmp_path: Path, kind: str) -> None:
    async def scene(found: Stage) -> None:
        secret, now = found.plane.store.secret(), time.time()
        token = {
            "forged": make_token(bytes(32), spiffe("web"), now),
            "expired": make_token(secret, spiffe("web"), now - 7200),
            "future": make_token(secret, spiffe("web"), now + 7200),
            "nonsense": "nonsense",
            "control": make_token(secret, f"spiffe://{DOMAIN}{CONTROL_PATH}", now),
        }[kind]
        status, text = await enrol(found, token)
        assert status == (403 if kind == "control" else 401), text

    play(tmp_path, scene)


def test_without_a_certificate_nothing_is_served(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        address = parse_address(found.plane.address)
        async with dial.connection(address, dial.knowing(found.plane.store.bundle()), DOMAIN) as own:
            for method, path in (
                ("POST", wire.PATH),
                ("GET", "/v1/status"),
                ("POST", "/v1/renew"),
                ("POST", "/v1/apply?name=a.yaml"),
                ("POST", "/v1/leases"),
            ):
                assert (await dial.ask(own, method, path))[0] == 401, path
            assert (await dial.ask(own, "GET", "/v1/bundle"))[0] == 200

    play(tmp_path, scene)


def test_a_service_is_no_operator_and_no_other_service(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        folder = certificate(found, "web", time.time())
        assert (await ask_as(found, folder, "GET", "/v1/status"))[0] == 403
        lease = {"service": "cart", "endpoint": {"address": "10.9.9.9:1"}}
        status, text = await ask_as(found, folder, "POST", "/v1/leases", msgspec.json.encode(lease))
        assert (status, b"is of spiffe://shop.example/ns/shop/sa/cart" in text) == (403, True)

    play(tmp_path, scene)


def test_a_request_for_another_identity_is_refused(tmp_path: Path) -> None:
    from cryptography import x509

    from tulle.controlplane.identity import keys

    async def scene(found: Stage) -> None:
        folder = certificate(found, "web", time.time())
        key = keys.generate()
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe("cart"))])
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        request = builder.add_extension(names, critical=False).sign(key, keys.signature_hash(key))
        text = request.public_bytes(keys.Encoding.PEM)
        status, answer = await ask_as(found, folder, "POST", "/v1/renew", text)
        assert (status, b"it asks to be" in answer) == (403, True)

    play(tmp_path, scene)


@pytest.mark.parametrize("shift", [-7200.0, 7200.0])
def test_a_certificate_out_of_its_time_is_refused(tmp_path: Path, shift: float) -> None:
    """As when the clock of who issued it is wrong."""

    async def scene(found: Stage) -> None:
        folder = certificate(found, "web", time.time() + shift)
        with pytest.raises(DialError):
            status, _ = await ask_as(found, folder, "POST", wire.PATH)
            assert status == 200

    play(tmp_path, scene)


def test_another_control_plane_is_not_believed(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        (tmp_path / "other").mkdir()
        other = Stage(tmp_path / "other", "24h")
        token = other.plane.token("web")
        web = found.sidecar("web", token)  # a token of another mesh
        await until(lambda: any("another mesh" in line for line in web.lines), "the refusal")
        folder = certificate(other, "web", time.time())
        with pytest.raises(DialError, match="certificate is not good"):
            await ask_as(found, folder, "POST", wire.PATH)

    play(tmp_path, scene)


def test_certificates_renew_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "DUE", 1e-5)  # of 24 hours
    monkeypatch.setattr(follower, "JITTER", 0.0)

    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        first = (web.folder / "state" / "identity.pem").read_bytes()
        await until(lambda: web.standing.renewals, "a renewal")
        assert (web.folder / "state" / "identity.pem").read_bytes() != first
        assert web.standing.certificate_expires > time.time()
        assert (web.folder / "state" / "identity.key").stat().st_mode & 0o077 == 0
        found.plane.cart_at("10.0.0.3:15006")
        await until(lambda: b"10.0.0.3" in web.endpoints("cart"), "updates go on")

    play(tmp_path, scene)
