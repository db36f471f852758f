"""The process that verifies tokens: a child of its own, so that no worker ever waits for a signature.

Workers reach it through a door: a socket of which the master keeps both ends, so that who comes while no
verifier is there waits for the next one. A worker sends one end of a socket pair through it, asks over the
pair, and is answered there. Questions name what is asked by a number that the table image has; this process
learns from the routing table what it stands for. It leaves when the master closes its socket.

    question    u64 number, u64 what is asked, the token
    answer      u64 number, u32 kind, u32 reason, u64 expires (wall clock ns), records, see
                _fast/policy/claims.pxd
    keys        the same with the number 0: reason and expires are a hash of all keys; what was answered by
                other keys holds no more
"""

import hashlib
import os
import signal
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from enum import IntEnum

from tulle._fast.base import process
from tulle.controlplane.table import RoutingTable, TokenProviderRow, decode_table
from tulle.proxy import loop
from tulle.proxy.descriptors import content
from tulle.proxy.loop import Future
from tulle.proxy.spawner import receive
from tulle.proxy.tokens.keys import KeySet
from tulle.proxy.tokens.sources import Memory, Source
from tulle.proxy.tokens.verify import LARGEST_TOKEN, Question, Reason, Verdict, verify

VERSION = b"1"  # of what is said over the pair; another one is not understood
QUESTION = struct.Struct("=QQ")
ANSWER = struct.Struct("=QIIQ")
TABLES = 16  # the last ones, whose questions are answered: a request waits only some seconds
TURN = 32  # questions of one worker that are answered before it is the others' turn


class Kind(IntEnum):
    REFUSED = 0
    GOOD = 1
    KEYS = 2
    LATER = 3  # ask again: the keys, or what the question stands for, are not known yet


def run(master: socket.socket, descriptors: list[int]) -> int:
    """Verify until the master closes its end; the exit status. Descriptors: door, memory for keys, table."""
    process.set_name(b"tulle-verifier")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    door, memory, table = descriptors
    verifier = Verifier(socket.socket(fileno=door), Memory(memory))
    loop.run(verifier.serve(master, table))
    return 0


class Verifier:
    """Keys, questions and the workers that ask."""

    def __init__(self, door: socket.socket, memory: Memory) -> None:
        self.door = door
        self.memory = memory
        self.known = memory.read()
        self.sources: dict[tuple[str, str, int], Source] = {}
        self.asked: deque[dict[int, Question]] = deque(maxlen=TABLES)  # by each of the last tables
        self.questions: dict[int, Question] = {}  # all of these
        self.workers: set[socket.socket] = set()

    async def serve(self, master: socket.socket, table: int) -> None:
        self.learn(decode_table(content(table)))
        os.close(table)
        self.door.setblocking(False)
        master.setblocking(False)
        ended: Future[None] = Future()
        loop.current().add_reader(self.door.fileno(), self._enter)
        loop.current().add_reader(master.fileno(), self._hear, master, ended)
        await ended

    def _hear(self, master: socket.socket, ended: Future[None]) -> None:
        """The master says nothing but another table, or that it is over."""
        try:
            data, descriptors = receive(master)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            loop.current().remove_reader(master.fileno())
            ended.set_result(None)
        for descriptor in descriptors:
            self.learn(decode_table(content(descriptor)))
            os.close(descriptor)

    def learn(self, table: RoutingTable) -> None:
        """Know what this table asks too; what the last ones before it ask, their requests may still need."""
        guards = [row.token for row in table.listeners]
        guards += [route.token for group in table.tables for route in group.routes]
        questions: dict[int, Question] = {}
        for guard in guards:
            for source in guard.sources if guard is not None else ():
                rows = tuple(table.providers[index] for index in source.providers)
                questions[source.asked] = Question(rows, table.claims)
        self.asked.append(questions)
        self.questions = {asked: question for one in self.asked for asked, question in one.items()}
        self._follow([row for question in self.questions.values() for row in question.providers])

    def _follow(self, rows: list[TokenProviderRow]) -> None:
        """Have the keys of these, and no others."""
        wanted = {_place(row): row for row in rows}
        for place in self.sources.keys() - wanted.keys():
            self.sources.pop(place).end()
        for place, row in wanted.items():
            if place not in self.sources:
                source = self.sources[place] = Source(row, self._keys_changed)
                known = self.known.get(row.keys_url)
                source.begin(None if known is None else known.encode())

    def keys_of(self, row: TokenProviderRow) -> KeySet | None:
        return self.sources[_place(row)].keys

    def _keys_changed(self) -> None:
        """What workers know by other keys holds no more."""
        self.memory.write(
            {
                source.place: source.text.decode()
                for source in self.sources.values()
                if not source.is_file and source.keys is not None
            }
        )
        for worker in list(self.workers):
            self._tell_keys(worker)

    def _tell_keys(self, worker: socket.socket) -> None:
        digests = sorted(source.digest() for source in self.sources.values())
        word = hashlib.blake2b(b"".join(digests), digest_size=12).digest()
        reason, expires = struct.unpack("=IQ", word)
        self._send(worker, ANSWER.pack(0, Kind.KEYS, reason, expires))

    # -- workers ------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        try:
            data, descriptors = receive(self.door)
        except OSError:
            return
        for descriptor in descriptors:
            worker = socket.socket(fileno=descriptor)
            if data != VERSION:
                worker.close()
                continue
            worker.setblocking(False)
            self.workers.add(worker)
            loop.current().add_reader(worker.fileno(), self._asked, worker)
            self._tell_keys(worker)

    def _asked(self, worker: socket.socket) -> None:
        for _ in range(TURN):
            try:
                data = worker.recv(QUESTION.size + LARGEST_TOKEN + 1)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if len(data) < QUESTION.size:
                self._leave(worker)
                return
            number, asked = QUESTION.unpack_from(data)
            self._send(worker, self._answer(number, asked, data[QUESTION.size :]))

    def _answer(self, number: int, asked: int, token: bytes) -> bytes:
        question = self.questions.get(asked)
        verdict = Verdict(Reason.LATER)
        if question is not None:
            verdict = verify(token, question, self.keys_of, time.time())
        if verdict.reason == Reason.KEY and question is not None:
            asking = [self.sources[_place(row)].want_newer() for row in question.providers]
            if any(asking):
                verdict = Verdict(Reason.LATER)
        kind = {Reason.NONE: Kind.GOOD, Reason.LATER: Kind.LATER}.get(verdict.reason, Kind.REFUSED)
        return ANSWER.pack(number, kind, verdict.reason, verdict.expires) + verdict.records

    def _send(self, worker: socket.socket, message: bytes) -> None:
        """A worker that does not read is not waited for: it gives its questions up by itself."""
        try:
            worker.send(message, socket.MSG_DONTWAIT)
        except OSError:
            self._leave(worker)

    def _leave(self, worker: socket.socket) -> None:
        if worker in self.workers:
            self.workers.discard(worker)
            loop.current().remove_reader(worker.fileno())
            with suppress(OSError):
                worker.close()


def _place(row: TokenProviderRow) -> tuple[str, str, int]:
    """Where its keys are, and how often they are looked at."""
    return row.keys_file, row.keys_url, row.refresh
