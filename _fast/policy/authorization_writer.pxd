"""Policies and the guards of listeners and routes, from their rows. With the GIL, in the compiling process only."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image_buffer cimport ImageBuffer

# Writes all policies, and has the entries of listeners and routes, which lie there already, point to their guards
cdef int write_guards(ImageBuffer out, table, list policy_ids, uint32_t listeners, uint32_t routes) except -1
