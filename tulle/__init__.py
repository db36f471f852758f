"""Tulle, a service mesh: a sidecar proxy and the control plane that tells it what to do."""

__version__ = "0.1.0"
