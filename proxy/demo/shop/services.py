"""The services of the shop: who calls whom, and what serves them."""

from typing import NamedTuple

DOMAIN = "shop.example"
MODULES = "tulle.proxy.demo"


class Service(NamedTuple):
    """One service. `words` are the program that serves each of its instances, none: a sidecar alone.

    `calls` are services; what has a `hostname` is called by that name from outside.
    """

    name: str
    words: tuple[str, ...]
    calls: tuple[str, ...] = ()
    hostname: str = ""
    instances: int = 1
    protocol: str = "http1"

    @property
    def identity(self) -> str:
        return f"/ns/shop/sa/{self.name}"


GATEWAY = Service("gateway", (), calls=("web", "advice"))
WEB = Service("web", (f"{MODULES}.shop.page",), calls=("cart", "reviews", "stock"), hostname="shop.localhost")
CART = Service("cart", (f"{MODULES}.backend", "steady"), instances=2)
REVIEWS = Service("reviews", (f"{MODULES}.backend", "steady"))
STOCK = Service("stock", (f"{MODULES}.shop.stock",), protocol="http2")
ADVICE = Service("advice", (f"{MODULES}.shop.advice",), hostname="advice.localhost")

SERVICES = (GATEWAY, WEB, CART, REVIEWS, STOCK, ADVICE)
ROLLED = (CART, ADVICE, STOCK)  # get a new version, one after the other
BROKEN = (f"{MODULES}.backend", "broken")  # serves the second version of the reviews, which always fails


def server(service: Service, version: int) -> str:
    """What an instance calls itself in its answers."""
    return f"{service.name}-v{version}"
