"""The bench suite: Tulle, its peers and a bare relay under the same load, in turns, in one run."""
