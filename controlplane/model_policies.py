"""The vocabulary of authorization policies: who may ask for what. The semantics are those of Istio."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import FieldName, Name, Port, Section

# exact; with `*` at the end or the beginning a prefix or a suffix; `*` alone is any that is there
Pattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        description="Exact, `prefix*`, `*suffix`, or `*` for any that is there.",
    ),
]
Network = Annotated[
    str, Meta(min_length=2, max_length=64, examples=["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])
]
ClaimName = Annotated[str, Meta(min_length=1, max_length=256)]


class PolicySource(Section, frozen=True):
    """Who asks: all the parts that are given, and of each part any of its values."""

    principals: tuple[Pattern, ...] = ()
    not_principals: tuple[Pattern, ...] = ()
    peer_addresses: tuple[Network, ...] = ()
    not_peer_addresses: tuple[Network, ...] = ()
    client_addresses: tuple[Network, ...] = ()
    not_client_addresses: tuple[Network, ...] = ()


class PolicyTarget(Section, frozen=True):
    """What is asked for: all the parts that are given, and of each part any of its values."""

    ports: tuple[Port, ...] = ()
    not_ports: tuple[Port, ...] = ()
    hosts: tuple[Pattern, ...] = ()
    not_hosts: tuple[Pattern, ...] = ()
    paths: tuple[Pattern, ...] = ()
    not_paths: tuple[Pattern, ...] = ()
    methods: tuple[Pattern, ...] = ()
    not_methods: tuple[Pattern, ...] = ()


class PolicyCondition(Section, frozen=True):
    """What else must hold: of one header field, or of one claim of the token."""

    header: FieldName | None = None
    claim: ClaimName | tuple[ClaimName, ...] | None = None
    values: tuple[Pattern, ...] = ()
    not_values: tuple[Pattern, ...] = ()


class PolicyRule(Section, frozen=True, rename={"sources": "from", "targets": "to", "conditions": "when"}):
    """Any of `from`, any of `to` and all of `when`; what is not given holds."""

    sources: list[PolicySource] = []
    targets: list[PolicyTarget] = []
    conditions: list[PolicyCondition] = []


class Policy(Section, frozen=True):
    """What is allowed, denied or only noted: any of its rules."""

    action: Literal["allow", "deny", "audit"] = "allow"
    dry_run: bool = False
    listeners: list[Name] = []
    routes: dict[Name, list[Name]] = {}
    rules: list[PolicyRule] = []
