"""See `token_table.pxd`."""
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from tulle._fast.base.list cimport Node, list_append, list_empty, list_init, list_prepend, list_remove
from tulle._fast.base.siphash cimport SipHash, SipKey, sip_begin, sip_end, sip_feed
from tulle._fast.flow.types cimport TOKEN_CHAINS, X_AWAITS


cdef inline Token *token_of_chain(Node *node) noexcept nogil:
    cdef Token *null = NULL
    return <Token *>(<char *>node - <size_t>&null.chain)


cdef inline Token *token_of_order(Node *node) noexcept nogil:
    cdef Token *null = NULL
    return <Token *>(<char *>node - <size_t>&null.order)


cdef TokenTable *token_table(Worker *worker) noexcept nogil:
    cdef TokenTable *table = worker.tokens
    cdef uint32_t index
    if table != NULL:
        return table
    table = <TokenTable *>calloc(1, sizeof(TokenTable))
    if table == NULL:
        return NULL
    for index in range(TOKEN_CHAINS):
        list_init(&table.chains[index])
    list_init(&table.known)
    list_init(&table.questions)
    worker.tokens = table
    return table


cdef uint64_t token_hash(Worker *worker, uint64_t asked, const char *text, uint32_t length) noexcept nogil:
    cdef SipHash hash
    cdef SipKey secret
    secret.low = worker.shared.secret[0] ^ asked
    secret.high = worker.shared.secret[1]
    sip_begin(&hash, secret)
    sip_feed(&hash, text, length)
    return sip_end(&hash)


cdef Token *token_find(Worker *worker, uint64_t asked, const char *text, uint32_t length) noexcept nogil:
    cdef TokenTable *table = worker.tokens
    cdef uint64_t hash = token_hash(worker, asked, text, length)
    cdef Node *chain = &table.chains[hash & (TOKEN_CHAINS - 1)]
    cdef Node *node = chain.next
    cdef Token *token
    while node != chain:
        token = token_of_chain(node)
        if (
            token.hash == hash and token.asked == asked and token.length == length
            and memcmp(token.text, text, length) == 0
        ):
            if token.verified:
                list_remove(&token.order)
                list_prepend(&table.known, &token.order)
            return token
        node = node.next
    return NULL


cdef Token *token_ask(Worker *worker, uint64_t asked, const char *text, uint32_t length) noexcept nogil:
    cdef TokenTable *table = worker.tokens
    cdef Token *token
    if table.asking >= QUESTIONS_MAX:
        return NULL
    token = <Token *>malloc(sizeof(Token) + length)
    if token == NULL:
        return NULL
    memset(token, 0, sizeof(Token))
    token.hash = token_hash(worker, asked, text, length)
    token.asked = asked
    token.text = <char *>(token + 1)
    token.length = length
    memcpy(token.text, text, length)
    table.numbers += 1
    token.number = table.numbers
    list_init(&token.waiting)
    list_append(&table.chains[token.hash & (TOKEN_CHAINS - 1)], &token.chain)
    list_append(&table.questions, &token.order)
    table.asking += 1
    return token


cdef void token_free(Token *token) noexcept nogil:
    free(token.claims)
    free(token)


cdef void token_drop(TokenTable *table, Token *token) noexcept nogil:
    """Out of the table; freed when no exchange uses it."""
    list_remove(&token.chain)
    list_remove(&token.order)
    if token.verified:
        table.count -= 1
        table.bytes -= token.length + token.claims_length
    else:
        table.asking -= 1
    token.dropped = 1
    if token.refs == 0:
        token_free(token)


cdef void token_forget(Worker *worker, Token *token) noexcept nogil:
    token_drop(worker.tokens, token)


cdef bint token_verified(
    Worker *worker, Token *token, uint64_t expires, const char *claims, uint32_t length
) noexcept nogil:
    cdef TokenTable *table = worker.tokens
    if length > 0:
        token.claims = <char *>malloc(length)
        if token.claims == NULL:
            return False
        memcpy(token.claims, claims, length)
    token.claims_length = length
    token.expires = expires
    while table.count > 0 and (
        table.count >= TOKENS_MAX or table.bytes + token.length + length > TOKEN_BYTES
    ):
        token_drop(table, token_of_order(table.known.prev))
    token.verified = 1
    list_remove(&token.order)
    list_prepend(&table.known, &token.order)
    table.asking -= 1
    table.count += 1
    table.bytes += token.length + length
    return True


cdef void tokens_clear(Worker *worker) noexcept nogil:
    while not list_empty(&worker.tokens.known):
        token_drop(worker.tokens, token_of_order(worker.tokens.known.next))


cdef void tokens_destroy(Worker *worker) noexcept nogil:
    if worker.tokens == NULL:
        return
    tokens_clear(worker)
    while not list_empty(&worker.tokens.questions):
        token_drop(worker.tokens, token_of_order(worker.tokens.questions.next))
    free(worker.tokens)
    worker.tokens = NULL


# -- who uses it ------------------------------------------------------------------------------------------------------

cdef void token_use(Exchange *x, Token *token) noexcept nogil:
    token.refs += 1
    x.token = token


cdef void token_let_go(Exchange *x) noexcept nogil:
    cdef Token *token = x.token
    x.token = NULL
    token.refs -= 1
    if token.refs == 0 and token.dropped:
        token_free(token)


cdef bint token_wait(Exchange *x, Token *token) noexcept nogil:
    if x.worker.tokens.waiters >= WAITERS_MAX:
        return False
    x.worker.tokens.waiters += 1
    x.flags |= X_AWAITS
    list_append(&token.waiting, &x.awaiting)
    return True


cdef void token_leave(Exchange *x) noexcept nogil:
    x.worker.tokens.waiters -= 1
    x.flags &= ~<uint32_t>X_AWAITS
    list_remove(&x.awaiting)
