"""The worker: set up, run until told to leave, let everything go. The border between Python and the hot path."""
