"""See `step_back.pxd`."""
from tulle._fast.base.atomic cimport atomic_fetch_add_u32, atomic_store_u64
from tulle._fast.base.types cimport int64_t
from tulle._fast.flow.types cimport Worker
from tulle._fast.http.date_parse cimport retry_after_seconds

cdef enum:
    SECOND = 1000000000


cdef void step_back_heed(Host *host, const Message *message) noexcept nogil:
    cdef Worker *worker = host.cluster.worker
    cdef uint64_t most = host.cluster.config.max_step_back
    cdef uint64_t now = worker.loop.now
    cdef uint64_t known = step_back_until(host)
    cdef uint64_t pause
    cdef int64_t seconds
    if most == 0:
        return
    seconds = retry_after_seconds(message, (now + worker.wall_offset) // SECOND)
    if seconds <= 0:
        return
    pause = <uint64_t>seconds * SECOND
    if pause > most:
        pause = most
    # A later end is found when all look again at the end that they know
    if now + pause > known:
        atomic_store_u64(&host.health.stepped_back, now + pause)
    if known <= now:
        host.stats.step_backs += 1
        atomic_fetch_add_u32(&host.cluster.state.epoch, 1)
