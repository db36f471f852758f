"""Regular expressions in RE2's syntax, compiled to automata that a worker runs in linear time.

A pattern has to match the whole text. What needs memory or backtracking (backreferences, lookaround) is
refused, and so is a pattern whose automaton would be too large.

    syntax      text to tree
    charset     sets of characters, and their bytes in UTF-8
    nfa         tree to a nondeterministic automaton over bytes
    dfa         that to a deterministic one
    minimise    that to the smallest one
"""

from functools import lru_cache

from tulle.controlplane.regex.dfa import determinise
from tulle.controlplane.regex.minimise import Dfa, minimise
from tulle.controlplane.regex.nfa import build
from tulle.controlplane.regex.syntax import PatternError, parse

__all__ = ["Dfa", "PatternError", "compile_pattern"]

MOST_BYTES = 1 << 20  # of the tables of one pattern


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Dfa:
    """The automaton of a pattern; PatternError says why there is none."""
    dfa = minimise(determinise(build(parse(pattern))))
    if dfa.size > MOST_BYTES:
        raise PatternError(
            f"its automaton needs {dfa.size:,} bytes, more than {MOST_BYTES:,}; make it simpler or split it"
        )
    return dfa
