"""Hedging: a second try beside one that has not been answered for a while. The first acceptable answer wins.

While both are under way, `Exchange.attempt` is the first and `Exchange.hedge` the second; each has its own place in the
replay buffer, in which the whole request is. The hedge holds a place among the cluster's retries as long as there are
two. When one of them ends, in whichever way, the other goes on as the only one of the exchange, and all is as if it had
always been so: its failure is retried, its time-out counts. Who only loses has no outcome: the breaker and the outlier
detection of its host hear nothing, peak EWMA hears how long it took at least.

A hedge never waits for a connection and is never hedged. `Exchange.hedge_at` is when it is due, or when its try is to
have an answer.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Attempt, Exchange
from tulle._fast.http.message cimport Message

# The try has begun, or the request's last byte is here: set `hedge_at`, if this request may have a hedge
cdef void hedge_arm(Exchange *x) noexcept nogil
# A place for one, and where to keep it; NULL: the cluster has no place among its retries
cdef Attempt *hedge_place(Exchange *x) noexcept nogil
# It has found no host or no connection: its place goes back
cdef void hedge_refused(Exchange *x) noexcept nogil
# One of the two has ended: the other goes on alone
cdef void hedge_settle(Exchange *x, const Attempt *ended) noexcept nogil
# An answer has come to one of the two. False: it is to be dropped; else the other try was ended
cdef bint hedge_wins(Attempt *attempt, const Message *answer) noexcept nogil
# What a first try has taken, where quantiles are asked for
cdef void hedge_learn(const Attempt *attempt) noexcept nogil
