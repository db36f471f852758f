"""The proxies that are measured. To add one, write a file like those beside this and name it here."""

from bench.peers.base import Peer
from bench.peers.direct import Direct
from bench.peers.envoy import Envoy
from bench.peers.haproxy import Haproxy
from bench.peers.nghttpx import Nghttpx
from bench.peers.nginx import Nginx
from bench.peers.relay import Relay
from bench.peers.tulle import Tulle

PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (Direct(), Relay(), Tulle(), Haproxy(), Nginx(), Envoy(), Nghttpx())
}

__all__ = ["PEERS", "Peer"]
