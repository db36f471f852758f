"""How connections of a listener begin: the model's sections to a row of the routing table."""

from tulle.controlplane.model import Listener
from tulle.controlplane.model_greeting import Detection, ProxyProtocol
from tulle.controlplane.table import GreetingRow
from tulle.controlplane.tabulate_policies import network_row
from tulle.controlplane.units import nanoseconds

# Where the server speaks first: FTP, SSH, SMTP, POP3, NNTP, IMAP, submission, MySQL and its replication, VNC
SERVER_SPEAKS_FIRST = (21, 22, 25, 110, 119, 143, 587, 3306, 4444, 5900)


def greeting_row(listener: Listener) -> GreetingRow | None:
    """None where a connection begins with its own bytes, of a protocol that is known."""
    proxy = listener.proxy_protocol or ProxyProtocol(mode="off")
    if proxy.mode == "off" and listener.protocol != "auto":
        return None
    return GreetingRow(
        proxy=proxy.mode,
        header_timeout=nanoseconds(proxy.timeout),
        sources=tuple([network_row(text) for text in proxy.sources]),
        silence=nanoseconds(listener.detection.timeout),
        ports=tuple(_ports(listener.detection).items()) if listener.protocol == "auto" else (),
    )


def _ports(detection: Detection) -> dict[int, int]:
    known = dict.fromkeys(SERVER_SPEAKS_FIRST, 0) if detection.known_ports else {}
    return known | {each.port: nanoseconds(each.timeout) for each in detection.ports}
