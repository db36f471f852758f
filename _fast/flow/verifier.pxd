"""The worker's end of the process that verifies tokens: questions go there, answers come back, and nobody waits.

The pair is made here and one end sent through the door, a socket that the master gives to all workers; so a worker can
come back to a verifier that was begun anew. What a verifier had not answered when it died is asked again, a few times;
what it cannot answer yet, a little later. Whoever waits for an answer waits on its own timer, and is told when the
answer is there. The messages are told in proxy/tokens/verifier.py, whose constants are the same.

Called by token_check (ask) and worker_control (door).
"""
from tulle._fast.flow.types cimport Token, Worker

# Where verifiers are reached; owns the descriptor
cdef void verifier_door(Worker *worker, int door) noexcept nogil
# Sends the question now, or as soon as it can be sent
cdef void verifier_ask(Worker *worker, Token *token) noexcept nogil
cdef void verifier_install(Worker *worker) noexcept nogil
cdef void verifier_close(Worker *worker) noexcept nogil
