"""What `authorization_view.pyx` notes down while policies are asked: a list of (policy or None, outcome)."""
from tulle._fast.policy.authorization cimport PolicyEntry

cdef void note_outcome(void *argument, const PolicyEntry *policy, int outcome) noexcept with gil
