"""What is printed first: who is there, and what to try. It stays above the figures, to be copied from."""

import shlex
from pathlib import Path

from tulle.proxy.demo.paint import Line, Span, Style
from tulle.proxy.demo.shop.estate import Estate
from tulle.proxy.demo.shop.network import ADMIN_PORT
from tulle.proxy.demo.shop.services import ADVICE, CART, REVIEWS, STOCK, WEB, Service

COMMAND_WIDTH = 46  # so that all fits into 80 columns


def opening(estate: Estate, script: Path, unicode: bool) -> list[Line]:
    """`script` is the command of this Tulle."""
    count = len(estate.all)
    lines: list[Line] = [
        [],
        [
            Span(" Tulle", Style.STRONG),
            Span(f"  a mesh: a control plane, {count} sidecars that have enrolled with it, mutual TLS"),
        ],
        [Span("        between them, a shop of five services behind them, and customers")],
        [],
        *_picture(estate, unicode),
        [],
        [Span(" Try in another terminal", Style.STRONG)],
    ]
    lines += [_command(command, remark) for command, remark in commands(estate, script)]
    return lines


def commands(estate: Estate, script: Path) -> list[tuple[str, str]]:
    """Commands that work as they are, in this order, and what each of them shows."""
    port = estate.entrance.rpartition(":")[2]
    cart = estate.instances[CART][0]
    return [
        (f"curl http://{WEB.hostname}:{port}/cart", "v1 or v2, as the weights are now"),
        (f"curl http://{WEB.hostname}:{port}/stock", "the web asks the stock by gRPC"),
        (f"curl -N http://{ADVICE.hostname}:{port}/", "a stream of events, word by word"),
        (f"curl http://{cart.host}:{ADMIN_PORT}/stats/prometheus", "what a sidecar has counted"),
        (f"curl http://{estate.network.control}:{ADMIN_PORT}/metrics", "and what the control plane has"),
        (f"cd {shlex.quote(str(script.parent))}", "all files of the mesh; from there"),
        (f"./{script.name} status", "what each sidecar has"),
        (f"./{script.name} get services", "or routes, policies, sidecars"),
        (f"./{script.name} apply -f mesh.d/web.yaml --wait", "have a change of yours everywhere"),
    ]


def _picture(estate: Estate, unicode: bool) -> list[Line]:
    arrow, branches = (
        ("──▶", ("─┬─▶", " ├─▶", " └─▶", " └─▶")) if unicode else ("-->", ("-+->", " +->", " +->", " +->"))
    )
    begin = f"   curl {arrow} {estate.entrance} {arrow} web "
    rows: list[tuple[Service, str]] = [
        (CART, "gets a new version, as do"),
        (STOCK, "which speaks gRPC, and"),
        (REVIEWS, "of which one always fails"),
    ]
    lines = [
        [
            Span(begin if index == 0 else " " * len(begin)),
            Span(f"{branch} "),
            Span(f"{service.name:8}", Style.NEW if service == CART else Style.WARM),
            Span(f"{hosts(estate, service):22}"),
            Span(remark, Style.FAINT),
        ]
        for index, (branch, (service, remark)) in enumerate(zip(branches, rows, strict=False))
    ]
    before = f"   curl {arrow} {estate.entrance} "
    lines.append(
        [
            Span(" " * len(before) + branches[-1] + " "),
            Span("advice ", Style.NEW),
            Span(f"{hosts(estate, ADVICE):22}"),
            Span("which streams events", Style.FAINT),
        ]
    )
    return lines


def hosts(estate: Estate, service: Service) -> str:
    return " ".join(instance.host for instance in estate.instances[service])


def _command(command: str, remark: str) -> Line:
    return [Span(f"   {command:{COMMAND_WIDTH}}"), Span(f" {remark}", Style.FAINT)]
