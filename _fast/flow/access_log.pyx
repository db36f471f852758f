"""See `access_log.pxd`. Called by `finish`.

The copy of a detached exchange is a row of pieces, each an operator, a length and bytes: literal text that is final, or
an operator whose value only the end will tell, with the literal text that stands before it.
"""
from libc.string cimport memcpy

from tulle._fast.base.buf cimport buf_get
from tulle._fast.base.ring_writer cimport ring_append
from tulle._fast.base.types cimport likely, uint32_t
from tulle._fast.flow.log_line cimport LogLine, line_raw
from tulle._fast.flow.log_value cimport log_value, log_value_is_late
from tulle._fast.flow.types cimport Worker
from tulle._fast.policy.image cimport (
    LISTENER_ACCESS_LOG, LOG_JSON, LOG_OFF, Image, LogItem, image_at, image_text,
)
from tulle._fast.policy.log_operator cimport LOG_LITERAL

cdef enum:
    LINE_ROOM = 32768

cdef struct Piece:                     # of a copy; followed by `length` bytes
    uint32_t operator
    uint32_t length


cdef inline bint wanted(const Exchange *x) noexcept nogil:
    return x.listener != NULL and x.listener.flags & LISTENER_ACCESS_LOG and x.table.image.log_format != LOG_OFF


cdef void line_begin(LogLine *line, Worker *worker, bint json) noexcept nogil:
    line.out = worker.scratch
    line.length = 0
    line.room = LINE_ROOM
    line.json = json


cdef void item_prefix(LogLine *line, const Image *image, const LogItem *item, uint32_t index) noexcept nogil:
    """What stands before a value: in JSON its key, in text nothing."""
    if not line.json:
        return
    if index == 0:
        line_raw(line, b"{\"", 2)
    else:
        line_raw(line, b",\"", 2)
    line_raw(line, image_text(image, item.name), item.name.length)
    line_raw(line, b"\":", 2)


cdef void line_render(LogLine *line, Exchange *x) noexcept nogil:
    cdef const Image *image = x.table.image
    cdef const LogItem *item = <const LogItem *>image_at(image, image.log_items.offset)
    cdef uint32_t index
    for index in range(image.log_items.count):
        if item.operator == LOG_LITERAL:
            line_raw(line, image_text(image, item.name), item.name.length)
        else:
            item_prefix(line, image, item, index)
            log_value(line, x, item.operator, item)
        item += 1


cdef void line_end(LogLine *line, Exchange *x) noexcept nogil:
    cdef Worker *worker = x.worker
    line.room = LINE_ROOM + 8
    if line.json:
        line_raw(line, b"}", 1)
    line_raw(line, b"\n", 1)
    ring_append(worker.shared, worker.lane, line.out, line.length, worker.log_fd)


# -- detached ---------------------------------------------------------------------------------------------------------

cdef void piece_close(LogLine *line, uint32_t at, uint32_t operator) noexcept nogil:
    cdef Piece piece
    piece.operator = operator
    piece.length = line.length - at - <uint32_t>sizeof(Piece)
    memcpy(line.out + at, &piece, sizeof(Piece))


cdef void access_log_copy(Exchange *x) noexcept nogil:
    cdef const Image *image
    cdef const LogItem *item
    cdef LogLine line
    cdef uint32_t index, at
    if not wanted(x):
        return
    image = x.table.image
    x.log_copy = buf_get(&x.worker.bufs, False)
    if x.log_copy == NULL:
        return
    line.out = x.log_copy.data
    line.length = sizeof(Piece)
    line.room = x.log_copy.capacity - 64
    line.json = image.log_format == LOG_JSON
    x.log_json = line.json
    at = 0
    item = <const LogItem *>image_at(image, image.log_items.offset)
    for index in range(image.log_items.count):
        if item.operator == LOG_LITERAL:
            line_raw(&line, image_text(image, item.name), item.name.length)
        else:
            item_prefix(&line, image, item, index)
            if log_value_is_late(item.operator):
                if line.length + 2 * sizeof(Piece) > line.room:
                    break
                piece_close(&line, at, item.operator)
                at = line.length
                line.length += sizeof(Piece)
            else:
                log_value(&line, x, item.operator, item)
        item += 1
    piece_close(&line, at, LOG_LITERAL)
    x.log_copy.end = line.length


cdef void line_from_copy(LogLine *line, Exchange *x) noexcept nogil:
    cdef uint32_t at = 0
    cdef Piece piece
    while at + sizeof(Piece) <= x.log_copy.end:
        memcpy(&piece, x.log_copy.data + at, sizeof(Piece))
        at += sizeof(Piece)
        line_raw(line, x.log_copy.data + at, piece.length)
        at += piece.length
        if piece.operator != LOG_LITERAL:
            log_value(line, x, piece.operator, NULL)


cdef void access_log_write(Exchange *x) noexcept nogil:
    cdef LogLine line
    if x.log_copy != NULL:
        line_begin(&line, x.worker, x.log_json)
        line_from_copy(&line, x)
    elif likely(not wanted(x)):
        return
    else:
        line_begin(&line, x.worker, x.table.image.log_format == LOG_JSON)
        line_render(&line, x)
    line_end(&line, x)
