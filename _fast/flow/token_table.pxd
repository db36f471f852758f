"""Tokens that this worker knows: verified ones, kept until others need the room, and those that are asked about.

A token is found by a hash under a secret key and by its bytes: all of them are compared, so no two can be taken for
each other, and nobody can make many meet in one chain. What was verified holds for what was asked (`asked`: providers
and claims) and until `expires`, which whoever finds it looks at each time. There are at most TOKENS_MAX with
TOKEN_BYTES together; the one used longest ago makes way. A verified token that an exchange uses stays until that lets
go.

Called by token_check (find), verifier (ask, settle) and finish (let go). Nothing of a token is ever logged.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange, Token, TokenTable, Worker

cdef enum:
    TOKEN_LONGEST = 16384              # as in proxy/tokens/verify.py
    TOKENS_MAX = 4096                  # verified
    TOKEN_BYTES = 8 << 20
    QUESTIONS_MAX = 1024               # tokens that are asked about at a time
    WAITERS_MAX = 4096                 # exchanges that wait for them

# The worker's table, made when first asked for; NULL: no memory
cdef TokenTable *token_table(Worker *worker) noexcept nogil
# A token that is known or asked about, or NULL
cdef Token *token_find(Worker *worker, uint64_t asked, const char *text, uint32_t length) noexcept nogil
# A new one, to be asked about; NULL when there are too many, or there is no memory
cdef Token *token_ask(Worker *worker, uint64_t asked, const char *text, uint32_t length) noexcept nogil
# It holds until `expires` (wall clock ns), with these claims; False when there is no memory for that
cdef bint token_verified(
    Worker *worker, Token *token, uint64_t expires, const char *claims, uint32_t length
) noexcept nogil
# Nothing is known of it any more
cdef void token_forget(Worker *worker, Token *token) noexcept nogil
# Nothing that was verified holds any more; what is asked about stays so
cdef void tokens_clear(Worker *worker) noexcept nogil
cdef void tokens_destroy(Worker *worker) noexcept nogil

cdef void token_use(Exchange *x, Token *token) noexcept nogil
cdef void token_let_go(Exchange *x) noexcept nogil
# The exchange waits for the token; False when too many do
cdef bint token_wait(Exchange *x, Token *token) noexcept nogil
cdef void token_leave(Exchange *x) noexcept nogil
