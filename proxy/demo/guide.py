"""What is printed first: who is there, and what to try. It stays above the figures, to be copied from."""

import shlex
from pathlib import Path

from tulle.proxy.demo import mesh
from tulle.proxy.demo.paint import Line, Span, Style

COMMAND_WIDTH = 46  # so that all fits into 80 columns


def opening(addresses: mesh.Addresses, file: Path, pid: int, step: float, unicode: bool) -> list[Line]:
    """`file` is the sidecar's configuration and `pid` its process; `step` as in `Canary`."""
    return [
        [],
        [
            Span(" Tulle", Style.STRONG),
            Span(f"  a sidecar with {mesh.WORKERS} workers, behind it a shop in two versions and a"),
        ],
        [Span("        service that has troubles, before it steady traffic: all on this machine")],
        [],
        *_picture(addresses, step, unicode),
        [],
        [Span(" Try in another terminal", Style.STRONG)],
        *(_command(command, remark) for command, remark in commands(addresses)),
        *_file(file, pid, step),
    ]


def commands(addresses: mesh.Addresses) -> list[tuple[str, str]]:
    """Commands that work as they are, and what each of them shows."""
    web, admin = f"http://{addresses.web}", f"http://{addresses.admin}"
    return [
        (f"curl {web}/", "v1 or v2, as the split is now"),
        (f"curl -H 'x-canary: 1' {web}/", "always v2: a header decides"),
        (f"curl -i {web}/reports", "slow; its 503 is tried again"),
        (f"curl -i {web}/store/hats", "a redirect"),
        (f"curl {web}/alive", "the sidecar answers by itself"),
        (f"curl {admin}/stats/prometheus", "what it has counted"),
    ]


def _picture(addresses: mesh.Addresses, step: float, unicode: bool) -> list[Line]:
    arrow, branches = ("──▶", ("─┬─▶", " ├─▶", " └─▶")) if unicode else ("-->", ("-+->", " +->", " +->"))
    begin = f"   curl {arrow} {addresses.web} "
    shares = "90 %", "10 %, then 50, 100, 50" if step else "10 %"
    rows = [
        ("shop v1", Style.OLD, addresses.old, shares[0]),
        ("shop v2", Style.NEW, addresses.new, shares[1]),
        ("reports", Style.WARM, addresses.reports, "slow, a fifth fails"),
    ]
    return [
        [
            Span(begin if index == 0 else " " * len(begin)),
            Span(f"{branch} "),
            Span(f"{name:9}", style),
            Span(f"{address:17}"),
            Span(remark, Style.FAINT),
        ]
        for index, (branch, (name, style, address, remark)) in enumerate(zip(branches, rows, strict=True))
    ]


def _command(command: str, remark: str) -> Line:
    return [Span(f"   {command:{COMMAND_WIDTH}}"), Span(f" {remark}", Style.FAINT)]


def _file(file: Path, pid: int, step: float) -> list[Line]:
    return [
        _command(
            f"less {shlex.quote(str(file))}", f"changed every {step:g} s" if step else "yours to change"
        ),
        _command(f"kill -HUP {pid}", "has it read again"),
    ]
