"""See `verifier.pxd`."""
from libc.string cimport memcpy, memset

from tulle._fast.base.clock cimport MILLISECOND
from tulle._fast.base.list cimport Node, list_append, list_empty, list_init, list_remove
from tulle._fast.base.timer cimport Timer, timer_init, timer_remove, timer_set
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.flow.token_table cimport (
    token_forget, token_leave, token_use, token_verified, tokens_clear,
)
from tulle._fast.flow.types cimport (
    TOKEN_GOOD, TOKEN_REASON_LATER, TOKEN_REFUSED, TOKEN_UNAVAILABLE, X_BACKOFF, Exchange, TokenTable,
)
from tulle._fast.net.loop cimport Loop, Watch, watch_add, watch_delete, watch_init
from tulle._fast.net.system cimport (
    AF_UNIX, CMSG_DATA, CMSG_FIRSTHDR, EAGAIN, EPOLLIN, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOL_SOCKET, close, cmsghdr, errno, iovec, msghdr, recv, sendmsg,
)

cdef extern from "<sys/socket.h>" nogil:
    int socketpair(int domain, int kind, int protocol, int *pair) noexcept
    int SOCK_SEQPACKET
    size_t CMSG_LEN(size_t length)

cdef enum:
    SOON = 50                          # ms until what could not be sent is sent
    LATER = 500                        # ms until what could not be answered is asked again
    TRIES = 3                          # verifiers that may die over one question
    ANSWERS = 64                       # that are taken in one turn
    DOOR_SPACE = 32                    # CMSG_SPACE of a descriptor

cdef enum AnswerKind:
    ANSWER_REFUSED = 0
    ANSWER_GOOD
    ANSWER_KEYS
    ANSWER_LATER

cdef struct Question:
    uint64_t number
    uint64_t asked

cdef struct Answer:
    uint64_t number
    uint32_t kind                      # AnswerKind
    uint32_t reason                    # TokenReason
    uint64_t expires


cdef inline Token *token_of_order(Node *node) noexcept nogil:
    cdef Token *null = NULL
    return <Token *>(<char *>node - <size_t>&null.order)


cdef inline Exchange *exchange_of(Node *node) noexcept nogil:
    cdef Exchange *null = NULL
    return <Exchange *>(<char *>node - <size_t>&null.awaiting)


cdef inline Worker *worker_of(Watch *watch) noexcept nogil:
    cdef Worker *null = NULL
    return <Worker *>(<char *>watch - <size_t>&null.verifier.watch)


# -- the connection ---------------------------------------------------------------------------------------------------

cdef void never_buried(Loop *loop, Watch *watch) noexcept nogil:
    pass


cdef bint send_end(int door, int end) noexcept nogil:
    cdef char version = c'1'
    cdef char space[DOOR_SPACE]
    cdef iovec piece
    cdef msghdr header
    cdef cmsghdr *control
    memset(&header, 0, sizeof(header))
    memset(space, 0, sizeof(space))
    piece.iov_base = &version
    piece.iov_len = 1
    header.msg_iov = &piece
    header.msg_iovlen = 1
    header.msg_control = space
    header.msg_controllen = sizeof(space)
    control = CMSG_FIRSTHDR(&header)
    control.cmsg_level = SOL_SOCKET
    control.cmsg_type = SCM_RIGHTS
    control.cmsg_len = CMSG_LEN(sizeof(int))
    memcpy(CMSG_DATA(control), &end, sizeof(int))
    header.msg_controllen = control.cmsg_len
    return sendmsg(door, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == 1


cdef bint connect_pair(Worker *worker) noexcept nogil:
    cdef int pair[2]
    cdef bint sent
    if worker.verifier.watch.fd >= 0:
        return True
    if worker.verifier.door < 0 or socketpair(
        AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair
    ) < 0:
        return False
    sent = send_end(worker.verifier.door, pair[1])
    close(pair[1])
    watch_init(&worker.verifier.watch, &worker.loop, pair[0], verifier_event, never_buried)
    if not sent or watch_add(&worker.verifier.watch, EPOLLIN) < 0:
        close(pair[0])
        worker.verifier.watch.fd = -1
        return False
    return True


cdef void disconnect(Worker *worker) noexcept nogil:
    """What was not answered is asked again, of whoever comes next."""
    cdef TokenTable *table = worker.tokens
    cdef Node *node
    if worker.verifier.watch.fd < 0:
        return
    watch_delete(&worker.verifier.watch)
    close(worker.verifier.watch.fd)
    worker.verifier.watch.fd = -1
    if table == NULL:
        return
    node = table.questions.next
    while node != &table.questions:
        token_of_order(node).sent = 0
        node = node.next


# -- questions --------------------------------------------------------------------------------------------------------

cdef bint send_question(Worker *worker, Token *token) noexcept nogil:
    cdef Question question
    cdef iovec pieces[2]
    cdef msghdr header
    question.number = token.number
    question.asked = token.asked
    memset(&header, 0, sizeof(header))
    pieces[0].iov_base = &question
    pieces[0].iov_len = sizeof(question)
    pieces[1].iov_base = token.text
    pieces[1].iov_len = token.length
    header.msg_iov = pieces
    header.msg_iovlen = 2
    if sendmsg(worker.verifier.watch.fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0:
        return False
    token.sent = 1
    token.tries += 1
    return True


cdef void ask_later(Worker *worker, uint32_t pause) noexcept nogil:
    cdef uint64_t due = worker.loop.now + <uint64_t>pause * MILLISECOND
    if worker.verifier.timer.deadline == 0 or due < worker.verifier.timer.deadline:
        timer_set(&worker.loop.timers, &worker.verifier.timer, due)


cdef void verifier_ask(Worker *worker, Token *token) noexcept nogil:
    if not connect_pair(worker) or not send_question(worker, token):
        ask_later(worker, SOON)


cdef void ask_again(Timer *timer, uint64_t now) noexcept nogil:
    """What is not asked yet, or was answered by not yet."""
    cdef Worker *null = NULL
    cdef Worker *worker = <Worker *>(<char *>timer - <size_t>&null.verifier.timer)
    cdef TokenTable *table = worker.tokens
    cdef Node *node = table.questions.next
    cdef Token *token
    timer.deadline = 0
    if not connect_pair(worker):
        ask_later(worker, SOON)
        return
    while node != &table.questions:
        token = token_of_order(node)
        node = node.next
        if token.sent:
            continue
        if list_empty(&token.waiting):
            token_forget(worker, token)        # nobody wants to know any more
        elif token.tries >= TRIES:
            settle(worker, token, TOKEN_UNAVAILABLE, TOKEN_REASON_LATER)
            node = table.questions.next        # who was told may have changed the list
        elif not connect_pair(worker) or not send_question(worker, token):
            ask_later(worker, SOON)
            return


# -- answers ----------------------------------------------------------------------------------------------------------

cdef void settle(Worker *worker, Token *token, uint8_t state, uint32_t reason) noexcept nogil:
    """Tell all that wait. Each may end, or begin another request that asks for this very token."""
    cdef Node waiting
    cdef Exchange *x
    list_init(&waiting)
    while not list_empty(&token.waiting):
        x = exchange_of(token.waiting.next)
        list_remove(&x.awaiting)
        list_append(&waiting, &x.awaiting)
        x.token_state = state
        x.token_reason = <uint8_t>reason
        if state == TOKEN_GOOD:
            token_use(x, token)
    if state != TOKEN_GOOD:
        token_forget(worker, token)
    while not list_empty(&waiting):
        x = exchange_of(waiting.next)
        token_leave(x)
        x.flags &= ~<uint32_t>X_BACKOFF
        timer_remove(&x.timer)
        worker.hooks.exchange_resume(x)


cdef Token *question_of(Worker *worker, uint64_t number) noexcept nogil:
    """Answers come in the order of the questions, but for those that were put off: it is found at once."""
    cdef Node *node = worker.tokens.questions.next
    while node != &worker.tokens.questions:
        if token_of_order(node).number == number:
            return token_of_order(node)
        node = node.next
    return NULL


cdef void take_answer(Worker *worker, const Answer *answer, const char *claims, uint32_t length) noexcept nogil:
    cdef Token *token
    if answer.kind == ANSWER_KEYS:
        if worker.verifier.keys[0] != answer.expires or worker.verifier.keys[1] != answer.reason:
            worker.verifier.keys[0] = answer.expires
            worker.verifier.keys[1] = answer.reason
            tokens_clear(worker)
            ask_later(worker, 0)       # what could not be answered by the former ones
        return
    token = question_of(worker, answer.number)
    if token == NULL:
        return
    if answer.kind == ANSWER_LATER:
        token.sent = 0
        token.tries = 0
        ask_later(worker, LATER)
    elif answer.kind == ANSWER_GOOD:
        worker.lane.header.tokens_verified += 1
        if token_verified(worker, token, answer.expires, claims, length):
            settle(worker, token, TOKEN_GOOD, 0)
        else:
            settle(worker, token, TOKEN_UNAVAILABLE, TOKEN_REASON_LATER)
    else:
        settle(worker, token, TOKEN_REFUSED, answer.reason)


cdef void verifier_event(Watch *watch, uint32_t events) noexcept nogil:
    cdef Worker *worker = worker_of(watch)
    cdef TokenTable *table = worker.tokens
    cdef Answer answer
    cdef ssize_t got
    cdef uint32_t _turn
    for _turn in range(<uint32_t>ANSWERS):
        if watch.fd < 0:
            return
        got = recv(watch.fd, table.answer, sizeof(table.answer), MSG_DONTWAIT)
        if got < 0 and errno == EAGAIN:
            return
        if got < <ssize_t>sizeof(Answer):
            disconnect(worker)
            ask_later(worker, SOON)    # whoever comes next says whether the keys are still the same
            return
        memcpy(&answer, table.answer, sizeof(Answer))
        take_answer(worker, &answer, table.answer + sizeof(Answer), <uint32_t>(got - <ssize_t>sizeof(Answer)))


# -- its life ---------------------------------------------------------------------------------------------------------

cdef void verifier_install(Worker *worker) noexcept nogil:
    worker.verifier.door = -1
    worker.verifier.watch.fd = -1
    timer_init(&worker.verifier.timer, ask_again)


cdef void verifier_door(Worker *worker, int door) noexcept nogil:
    if worker.verifier.door >= 0:
        close(worker.verifier.door)
    worker.verifier.door = door


cdef void verifier_close(Worker *worker) noexcept nogil:
    disconnect(worker)
    if worker.verifier.door >= 0:
        close(worker.verifier.door)
        worker.verifier.door = -1
