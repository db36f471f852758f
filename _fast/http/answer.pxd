"""Reads one answer with the codec of the workers, for those who ask from Python now and then: health checks.

The bytes may come in any pieces. Whatever is wrong with them is a ValueError that says what; the answer and its
connection are then of no more use. Nothing is kept of a body: it is only read up to its end, so that the connection can
be used again (RFC 9112 section 6.3). 1xx are passed over. With the GIL.
"""
from tulle._fast.base.types cimport uint8_t, uint64_t
from tulle._fast.http.h1_chunk cimport ChunkDecoder
from tulle._fast.http.h1_parse cimport ParseLimits
from tulle._fast.http.message cimport Message

cdef enum Stage:
    STAGE_HEAD = 0
    STAGE_LENGTH
    STAGE_CHUNKS
    STAGE_TRAILERS
    STAGE_CLOSE                        # the body goes on to the end of the connection
    STAGE_DONE


cdef class Answer:
    cdef Message message
    cdef Message trailer_section
    cdef ParseLimits limits
    cdef ChunkDecoder chunks
    cdef bytearray unread
    cdef bytes head
    cdef uint64_t left                 # bytes of a body with a length
    cdef uint64_t body                 # bytes of the body so far, as they came
    cdef uint64_t body_limit
    cdef int method
    cdef uint8_t stage
    cdef readonly int status
    cdef readonly bint keeps

    cdef bint step(self) except -1
    cdef bint read_head(self) except -1
    cdef bint read_body(self) except -1
    cdef bint read_trailers(self) except -1
    cdef bint parsed(self, int result) except -1
