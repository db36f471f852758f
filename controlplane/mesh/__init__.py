"""The mesh as a whole: its vocabulary, its checks, and what of it each sidecar is given."""
