"""The shop's pages: `python -m tulle.proxy.demo.shop.page NAME SOCKET CALLS`.

CALLS is where other services are called, as HOST:PORT, each by its name: `/cart` asks the cart, `/reviews`
the reviews, and `/stock` the stock by gRPC.
"""

import asyncio
import sys

from tulle.proxy.demo.application import Application, Reply, run
from tulle.proxy.demo.client import Client
from tulle.proxy.demo.shop import stock

ASKED = ("cart", "reviews")


class Page(Application):
    """Answers with what the service says that it asks."""

    def __init__(self, name: str, calls: str) -> None:
        self.name = name
        host, _, port = calls.rpartition(":")
        self.calls = host, int(port)
        self.idle: list[Client] = []

    async def reply(self, path: str) -> Reply:
        asked = path.strip("/").partition("?")[0]
        try:
            if asked == "stock":
                server, count = await stock.count(self.calls, "stock", "hats")
                return Reply(200, f"this is {self.name}; {server} has {count} hats\n".encode(), server)
            if asked in ASKED:
                return await self._ask(asked)
        except (OSError, ValueError) as error:
            return Reply(502, f"{self.name} has no answer of {asked}: {error}\n".encode(), self.name)
        pages = ", ".join(f"/{name}" for name in (*ASKED, "stock"))
        return Reply(200, f"this is {self.name}; there are {pages}\n".encode(), self.name)

    async def _ask(self, service: str) -> Reply:
        client = self.idle.pop() if self.idle else await Client.connect(*self.calls)
        try:
            answer = await client.get(service, "/")
        finally:
            if client.usable:
                self.idle.append(client)
            else:
                client.close()
        return Reply(answer.status, f"this is {self.name}; ".encode() + answer.body, answer.server)


if __name__ == "__main__":
    asyncio.run(run(Page(sys.argv[1], sys.argv[3]).serve, int(sys.argv[2])))
