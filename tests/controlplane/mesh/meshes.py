"""Meshes for tests, written as text."""

from tulle.controlplane.load import Document
from tulle.controlplane.mesh.load import MeshError, load_mesh, parse_part
from tulle.controlplane.mesh.model import Mesh

SHOP = """
trust_domain: shop.example
services:
  web:
    identity: /ns/shop/sa/web
    port: 8080
    calls: [cart]
    endpoints: [{address: 10.0.0.1:15006}]
  cart:
    identity: /ns/shop/sa/cart
    hostnames: [cart, cart.shop.example]
    port: 8081
    calls: [stock, payment]
    endpoints: [{address: 10.0.0.2:15006}, {address: 10.0.0.3:15006, zone: b}]
  cart-v2:
    identity: /ns/shop/sa/cart
    port: 8082
    calls: []
    endpoints: [{address: 10.0.0.4:15006}]
  stock:
    identity: /ns/shop/sa/stock
    port: 8083
    calls: []
    endpoints: [{address: 10.0.0.5:15006}]
  payment:
    hostnames: [pay.example]
    endpoints: [{address: 192.0.2.1:80}]
routes:
  cart:
    - {name: canary, backends: [{cluster: cart, weight: 9}, {cluster: cart-v2, weight: 1}]}
"""


def mesh(text: str = SHOP, former: Mesh | None = None) -> Mesh:
    return load_mesh([parse_part("mesh.yaml", Document(text.encode(), "yaml"))], former).mesh


def errors(*texts: str) -> list[str]:
    """What is wrong with these documents, a line each."""
    try:
        load_mesh(
            [
                parse_part(f"{number}.yaml", Document(text.encode(), "yaml"))
                for number, text in enumerate(texts, 1)
            ]
        )
    except MeshError as error:
        return error.lines
    return []
