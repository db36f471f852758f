"""The sidecar's configuration, as text: it is there to be read, and to be changed while it runs."""

import os
from pathlib import Path
from typing import NamedTuple

WORKERS = 2
SHOP, REPORTS = "shop", "reports"
OLD, NEW = "shop-v1", "shop-v2"  # what the two versions call themselves


class Addresses(NamedTuple):
    """Who listens where, as `host:port`."""

    web: str
    admin: str
    old: str
    new: str
    reports: str


def configuration(addresses: Addresses, share: int) -> str:
    """The configuration in which `share` per cent of the shop's requests go to the new version."""
    return f"""\
# The sidecar of `tulle demo`. Its canary steps rewrite this file; with `--step 0` it is yours:
# change it, send the sidecar SIGHUP, and the figures follow.

workers: {WORKERS}
drain_timeout: 2s
admin: {{address: "{addresses.admin}"}}

listeners:
  - {{name: web, address: "{addresses.web}", routes: main}}

routes:
  main:
    - name: testers                      # who asks for the new version gets it
      matches: [{{headers: {{x-canary: {{exact: "1"}}}}}}]
      backends: [{{cluster: shop-v2}}]

    - name: shop                         # everybody else: by weight
      backends:
        - {{cluster: shop-v1, weight: {100 - share}}}
        - {{cluster: shop-v2, weight: {share}}}

    - name: reports                      # slow, and fails now and then: tried up to three times
      matches: [{{path: {{prefix: /reports}}}}]
      backends: [{{cluster: reports}}]
      timeouts: {{request: 5s, per_try: 1s}}
      retries: {{attempts: 2, on: [connect-failure, reset, "503"]}}

    - name: alive                        # the sidecar answers by itself
      matches: [{{path: {{exact: /alive}}}}]
      response: {{status: 200, body: "yes"}}

    - name: moved
      matches: [{{path: {{prefix: /store}}}}]
      redirect: {{path: {{replace_prefix: /}}, status: 301}}

clusters:
  shop-v1: {{endpoints: [{{address: "{addresses.old}"}}]}}
  shop-v2: {{endpoints: [{{address: "{addresses.new}"}}]}}
  reports:
    endpoints: [{{address: "{addresses.reports}"}}]
    circuit_breaker: {{max_requests: 8, max_retries: 3}}     # more than that is turned away at once
"""


def write(path: Path, text: str) -> None:
    """Whole or not at all: a reload never finds half a file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
