"""Where keys come from: JWKS files, watched, and URLs, fetched again and again. The last good keys go on."""

import hashlib
import json
import os
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException

from tulle.controlplane.identity.stamps import stamp
from tulle.controlplane.table import TokenProviderRow
from tulle.proxy.loop import Timer, current
from tulle.proxy.messages import say, warn
from tulle.proxy.tokens.keys import KeySet, read_keys
from tulle.proxy.tokens.verify import SECOND

FILE_INTERVAL = 0.5  # seconds between looks at a file
FETCH_TIMEOUT = 5.0  # seconds, from the first byte asked to the last one read
RETRY = 2.0  # seconds after a fetch that failed
SHORTEST_REFRESH = 5.0  # seconds between fetches that an unknown key asks for
LARGEST_JWKS = 1 << 20  # bytes


class Source:
    """The keys of one file or URL. `keys` is None until they are known."""

    def __init__(self, row: TokenProviderRow, on_change: Callable[[], None]) -> None:
        self.place = row.keys_file or row.keys_url
        self.is_file = bool(row.keys_file)
        self.refresh = row.refresh / SECOND
        self.on_change = on_change
        self.keys: KeySet | None = None
        self.text = b""
        self.failure = ""
        self.stamp = ""  # of the file that was last read
        self.fetching = False
        self.fetched = 0.0  # monotonic seconds when the last fetch began
        self.next: Timer | None = None  # the next look, or fetch
        self.ended = False

    def begin(self, known: bytes | None) -> None:
        """Follow it until `end`; `known` are the last good keys of a former verifier."""
        if known is not None:
            with suppress(ValueError):
                self._take(known)
        if self.is_file:
            self._look()
        else:
            self._fetch()

    def end(self) -> None:
        """Nobody asks for these keys any more."""
        self.ended = True
        if self.next is not None:
            self.next.cancel()

    def digest(self) -> bytes:
        return hashlib.blake2b(self.text, digest_size=16).digest()

    def want_newer(self) -> bool:
        """A token names a key that is not there: whether it is worth waiting for newer ones.

        Where the last fetch has failed it is not: tokens with made-up keys would wait all the time, in places
        that honest ones need.
        """
        if self.is_file:
            return False
        if not self.fetching and time.monotonic() - self.fetched >= SHORTEST_REFRESH:
            self._fetch()
        return self.fetching and not self.failure

    # -- files --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self.next = current().call_later(FILE_INTERVAL, self._look)
        found = stamp(self.place)
        if found and found == self.stamp:
            return
        self.stamp = found
        try:
            with open(self.place, "rb") as file:
                text = file.read(LARGEST_JWKS + 1)
        except OSError as error:
            self.stamp = ""
            self._failed(error.strerror or str(error))
            return
        self._have(text)

    # -- URLs ---------------------------------------------------------------------------------------------

    def _fetch_again(self) -> None:
        if not self.fetching:
            self._fetch()

    def _fetch(self) -> None:
        """In a thread, since who answers may take its time. The next is due some time after the answer."""
        self.fetching = True
        self.fetched = time.monotonic()
        loop = current()

        def ask() -> None:
            text, failure = b"", ""
            try:
                text = fetch(self.place)
            except (OSError, ValueError, HTTPException) as error:
                failure = str(error) or type(error).__name__
            with suppress(OSError):  # the loop may have ended by now
                loop.call_threadsafe(self._answered, text, failure)

        threading.Thread(target=ask, name="tulle-jwks", daemon=True).start()

    def _answered(self, text: bytes, failure: str) -> None:
        self.fetching = False
        if self.ended:
            return
        good = not failure and self._have(text)
        if failure:
            self._failed(failure)
        if self.next is not None:
            self.next.cancel()  # this fetch was an extra one
        pause = self.refresh if good else min(RETRY, self.refresh)
        self.next = current().call_later(pause, self._fetch_again)

    # -- what was found -----------------------------------------------------------------------------------

    def _have(self, text: bytes) -> bool:
        try:
            if len(text) > LARGEST_JWKS:
                raise ValueError(f"it is larger than {LARGEST_JWKS:,} bytes")
            changed = self._take(text)
        except ValueError as error:
            self._failed(str(error))
            return False
        if self.failure:
            self.failure = ""
            say(f"keys are read again from {self.place}")
        if changed:
            self.on_change()
        return True

    def _take(self, text: bytes) -> bool:
        """Whether these are other keys; ValueError when they are none."""
        if text == self.text and self.keys is not None:
            return False
        self.keys = read_keys(text)
        self.text = text
        for passed_over in self.keys.passed_over:
            warn(f"{self.place}: a key is not used: {passed_over}")
        return True

    def _failed(self, reason: str) -> None:
        """Said once, until something changes."""
        if self.failure != reason:
            effect = "the last keys go on" if self.keys else "until then its tokens cannot be verified"
            warn(f"cannot read keys from {self.place}: {reason}; {effect}")
        self.failure = reason


def fetch(url: str) -> bytes:
    """What a URL has; OSError when it cannot be had, or leads elsewhere."""
    opener = urllib.request.build_opener(_NoRedirect())
    request = urllib.request.Request(url, headers={"accept": "application/json", "user-agent": "tulle"})
    deadline = time.monotonic() + FETCH_TIMEOUT
    with opener.open(request, timeout=FETCH_TIMEOUT) as answer:
        if answer.status != 200:
            raise OSError(f"it answers {answer.status}")
        text = b""
        while len(text) <= LARGEST_JWKS and (part := answer.read1(65_536)):
            text += part
            if time.monotonic() > deadline:  # the timeout is that of each read
                raise OSError(f"it has not answered to the end within {FETCH_TIMEOUT:g} s")
        return text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys are trusted for where they come from: nobody on the way may say that they are elsewhere."""

    def redirect_request(self, *arguments: object) -> None:
        return None


class Memory:
    """The last good keys of URLs, in a memfd that outlives the process: by URL, as text."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read(self) -> dict[str, str]:
        size = os.fstat(self.descriptor).st_size
        try:
            found = json.loads(os.pread(self.descriptor, size, 0))
        except ValueError:  # nothing yet, or a former process has died while it wrote
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, texts: dict[str, str]) -> None:
        encoded = json.dumps(texts).encode()
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, encoded, 0)
