"""Which admin pages there are, and what each does."""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import tulle
from tulle.proxy import messages
from tulle.proxy.admin import processes
from tulle.proxy.admin.server import Answer, Request, in_form
from tulle.proxy.administration import Administration
from tulle.proxy.descriptors import content
from tulle.proxy.failure import Failure
from tulle.proxy.waiting import Turns
from tulle.proxy.workers import State

MEMORY_KINDS = ("Pss", "Pss_Anon", "Pss_File", "Pss_Shmem", "Rss", "Private_Dirty")  # bytes
MOST_TASKS = 2  # children that make pages at a time


class Page(NamedTuple):
    """What is at a path."""

    method: str
    about: str
    respond: Callable[[Request], Awaitable[Answer]]


class Pages:
    """All pages, and what of the proxy they show."""

    def __init__(self, administration: Administration) -> None:
        self.administration = administration
        self.children = administration.children
        self.workers = administration.workers
        self.reloader = administration.reloader
        assert administration.follower is not None
        self.follower = administration.follower
        self.turns = Turns(MOST_TASKS)
        self.pages = {
            "/": Page("GET", "this list", self._index),
            "/ready": Page("GET", "200 LIVE while traffic is served, else 503 and why", self._ready),
            "/stats": Page("GET", "figures", self._made("stats")),
            "/stats/prometheus": Page("GET", "metrics for Prometheus", self._metrics),
            "/metrics": Page("GET", "the same", self._metrics),
            "/clusters": Page("GET", "clusters, their limits and endpoints", self._made("clusters")),
            "/listeners": Page("GET", "listening sockets", self._made("listeners")),
            "/routes": Page("GET", "routes in their order", self._made("routes")),
            "/policies": Page("GET", "authorization policies and what they decided", self._made("policies")),
            "/config_dump": Page("GET", "the configuration in use, no secrets", self._made("config_dump")),
            "/server_info": Page("GET", "version, state, workers", self._server_info),
            "/certs": Page("GET", "certificates in use", self._certificates),
            "/memory": Page("GET", "memory of each process", self._memory),
            "/reach": Page("GET", "?port=N: 200 when something here takes connections there", self._reach),
            "/drain_listeners": Page("POST", "no more connections; ?keep=NAME,...&wait=SECONDS", self._drain),
            "/quitquitquit": Page("POST", "drain, then leave", self._quit),
            "/logging": Page("POST", "?level=info|warning|error: what is said on stderr", self._logging),
        }  # fmt: skip

    async def respond(self, request: Request) -> Answer:
        page = self.pages.get(request.path)
        if page is None:
            return Answer(404, f"there is no page {request.path!r}; there are:\n{self._list()}".encode())
        method = "GET" if request.method == "HEAD" else request.method
        if method != page.method:
            return Answer(405, f"{request.path} takes {page.method}\n".encode(), allow=page.method)
        try:
            return await page.respond(request)
        except Failure as failure:
            return Answer(500, f"{failure}\n".encode())

    def context(self) -> dict[str, Any]:
        """What the master knows and a child cannot see."""
        settings = self.reloader.current.settings
        return {
            "version": self.reloader.current.version,
            "program": tulle.__version__,
            "pid": os.getpid(),
            "start_time": round(self.administration.began, 3),
            "uptime": round(time.time() - self.administration.began, 3),
            "restarts": self.workers.restarts,
            "reloads": {"success": self.reloader.taken, "refused": self.reloader.refused},
            "certificates": settings.certificates,
            "certificate_reloads": self.administration.certificate_reloads(),
            "control_plane": self.follower.figures(),
            "workers": [
                {
                    "pid": worker.pid,
                    "lane": worker.lane,
                    "state": worker.state.value,
                    "version": worker.installed[0],
                }
                for worker in self.workers.running
            ],
            "children": [
                pid
                for pid in (
                    self.children.spawner_pid,
                    *(worker.pid for worker in self.workers.running),
                    *(keeper.pid for keeper in self.workers.keepers.all),
                    self.administration.health.pid,
                    self.follower.pid,
                )
                if pid
            ],
            "histogram_buckets": settings.histogram_buckets,
            "addresses": self.reloader.addresses(),
        }

    def _list(self) -> str:
        width = max(map(len, self.pages))
        return "".join(f"{page.method:4} {path:{width}}  {page.about}\n" for path, page in self.pages.items())

    # -- pages --------------------------------------------------------------------------------------------

    async def _index(self, request: Request) -> Answer:
        if request.wants_json:
            return in_form(
                {path: {"method": page.method, "about": page.about} for path, page in self.pages.items()},
                request,
            )
        return Answer(200, f"Tulle {tulle.__version__}\n\n{self._list()}\n?format=json or text\n".encode())

    async def _ready(self, request: Request) -> Answer:
        reason = self.administration.not_ready
        if not reason and not any(worker.state is State.READY for worker in self.workers.running):
            reason = "no worker is ready"
        reason = reason or self.follower.why_not_ready()
        if reason:
            return Answer(503, f"{reason}\n".encode())
        remark = self.follower.remark()
        return Answer(200, f"LIVE\n{remark}\n".encode() if remark else b"LIVE\n")

    def _made(self, page: str) -> Callable[[Request], Awaitable[Answer]]:
        """A page that a child makes."""

        async def respond(request: Request) -> Answer:
            result, _ = await self._task(page)
            return in_form(result["value"], request)

        return respond

    async def _metrics(self, request: Request) -> Answer:
        result, descriptors = await self._task("metrics")
        text = content(descriptors[0])
        os.close(descriptors[0])
        return Answer(200, text, result["content_type"])

    async def _task(self, page: str) -> tuple[dict[str, Any], list[int]]:
        async with self.turns:
            await self.workers.keepers.refresh()
            current = self.reloader.current
            task = {"task": "page", "page": page, "context": self.context()}
            return await self.children.run_task(
                task, [self.workers.stats.descriptor, current.names, current.table, current.endpoints]
            )

    async def _server_info(self, request: Request) -> Answer:
        context = self.context()
        shown = (
            "program",
            "version",
            "pid",
            "start_time",
            "uptime",
            "restarts",
            "reloads",
            "workers",
            "addresses",
        )
        state = self.administration.not_ready or "LIVE"
        overload = self.workers.stats.overloaded
        return in_form(
            {
                "state": state,
                "overload": overload,
                **{name: context[name] for name in shown},
                "health_checks": {"pid": self.administration.health.pid or None},
                "control_plane": self.follower.figures(),
            },
            request,
        )

    async def _certificates(self, request: Request) -> Answer:
        from tulle.proxy.admin.certificates import certificates_view

        uses = self.reloader.current.settings.certificates
        return in_form({"certificates": certificates_view(uses, time.time())}, request)

    async def _memory(self, request: Request) -> Answer:
        named = {os.getpid(): "master", self.children.spawner_pid: "spawner"}
        named |= {
            worker.pid: f"worker {worker.lane}" if worker.keeper is None else f"former worker {worker.pid}"
            for worker in self.workers.running
        }
        named |= {keeper.pid: f"keeper {keeper.lane}" for keeper in self.workers.keepers.all}
        named[self.administration.health.pid] = "health"
        named[self.follower.pid] = "control"
        found = {name: processes.parts(pid) for pid, name in named.items() if pid}
        total = sum(parts.get("Pss", 0) for parts in found.values())
        shown = {
            name: {kind: parts[kind] for kind in MEMORY_KINDS if kind in parts}
            for name, parts in found.items()
        }
        stats = self.workers.stats
        in_use = sum(stats.lane(lane)["memory"] for lane in range(stats.lanes_used))
        overload = {"in_use": in_use, "refusing": stats.overloaded["memory"]}
        return in_form({"Pss": total, "overload": overload, "processes": shown}, request)

    async def _reach(self, request: Request) -> Answer:
        from tulle.proxy.admin.reach import reach

        return await reach(request)

    async def _drain(self, request: Request) -> Answer:
        from tulle.proxy.admin.draining import drain

        return await drain(request, self.administration)

    async def _quit(self, request: Request) -> Answer:
        self.administration.leave()
        return Answer(200, b"draining, then leaving\n")

    async def _logging(self, request: Request) -> Answer:
        level = request.query.get("level", "")
        if level not in messages.LEVELS:
            return Answer(400, f"say ?level= one of {', '.join(messages.LEVELS)}\n".encode())
        messages.set_level(level)
        return Answer(200, f"level: {level}\n".encode())
