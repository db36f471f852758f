"""The control plane as a program: its sources, its wire, and the sidecars that are connected."""
