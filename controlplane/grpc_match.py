"""What a match of gRPC calls asks of the path: `/package.Service/Method` is where all of them go."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model_matches import GrpcMatch, Match, PathMatch
from tulle.controlplane.problems import Path

_DEFAULT_PATH = PathMatch(prefix="/")


def path_of(match: Match) -> PathMatch:
    """The path that a match asks for, however it says so."""
    return match.path if match.grpc is None else _path_of_call(match.grpc)


def _path_of_call(call: GrpcMatch) -> PathMatch:
    if call.service is not None and call.method is not None:
        return PathMatch(exact=f"/{call.service}/{call.method}")
    if call.service is not None:
        return PathMatch(prefix=f"/{call.service}")
    return PathMatch(regex=f"/[^/]+/{call.method}")


def check_grpc(match: Match, path: Path, report: Report) -> None:
    """What goes together with it, and what does not."""
    assert match.grpc is not None
    if match.grpc.service is None and match.grpc.method is None:
        report.error(
            "combination", (*path, "grpc"), "needs a service, a method or both",
            "To take all calls, leave it out.",
        )  # fmt: skip
    if match.path != _DEFAULT_PATH:
        report.error(
            "combination", (*path, "path"), "a match of gRPC calls has no path of its own: grpc says it",
            "Leave out path, or grpc.",
        )  # fmt: skip
    if match.method not in (None, "POST"):
        report.error(
            "combination", (*path, "method"), f"gRPC calls are POST, never {match.method}", "Leave it out."
        )
