"""See `answer.pxd`."""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.h1_chunk cimport CHUNK_ERROR, CHUNK_LAST, chunk_decode, chunk_init
from tulle._fast.http.h1_parse cimport (
    PARSE_BAD_CHUNK, PARSE_DONE, h1_message_init, h1_parse_response, h1_parse_trailers, parse_error_text,
)
from tulle._fast.http.message cimport (
    FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_TUNNEL, MESSAGE_FIELDS_MAX, MESSAGE_KEEP_ALIVE, METHOD_HEAD,
    METHOD_OTHER, Field,
)
from tulle._fast.http.octet cimport octets_same


cdef class Answer:
    """`status` is 0 until the head is there; `keeps` tells, once the answer is whole, whether the connection is good
    for another request."""

    def __init__(self, bytes method, uint32_t head_limit, uint64_t body_limit):
        """A body longer than its limit is not read to the end: the answer is whole, the connection not kept."""
        self.method = METHOD_HEAD if method == b"HEAD" else METHOD_OTHER
        self.limits.head = head_limit
        self.limits.line = head_limit
        self.limits.fields = MESSAGE_FIELDS_MAX
        self.body_limit = body_limit
        self.unread = bytearray()
        self.head = b""
        self.stage = STAGE_HEAD
        h1_message_init(&self.message)

    def feed(self, bytes data) -> bool:
        """More bytes; True when the answer is whole."""
        self.unread += data
        while self.step():
            pass
        return self.stage == STAGE_DONE

    def end(self) -> bool:
        """The connection has ended; True when that makes the answer whole."""
        return self.stage == STAGE_CLOSE or self.stage == STAGE_DONE

    def has(self, bytes name) -> bool:
        """Whether the head has a field of this name, given in lower case."""
        cdef const char *start = self.head
        cdef const Field *field
        cdef uint32_t index
        for index in range(self.message.field_count):
            field = &self.message.fields[index]
            if <size_t>field.name_length == <size_t>len(name) and octets_same(
                <const uint8_t *>start + field.name, name, field.name_length
            ):
                return True
        return False

    cdef bint step(self) except -1:
        """Do what can be done with what is there; True when more can."""
        if self.stage == STAGE_HEAD:
            return self.read_head()
        if self.stage == STAGE_TRAILERS:
            return self.read_trailers()
        if not self.unread:
            return False
        if self.stage == STAGE_DONE:
            self.keeps = False
            return False
        return self.read_body()

    cdef bint read_head(self) except -1:
        cdef uint32_t length
        if not self.parsed(h1_parse_response(
            &self.message, <char *>self.unread, <uint32_t>len(self.unread), &self.limits, self.method
        )):
            return False
        length = self.message.head_length
        self.head = bytes(self.unread[:length])
        del self.unread[:length]
        if 100 <= self.message.status < 200 and self.message.framing != FRAMING_TUNNEL:
            h1_message_init(&self.message)
            return True
        self.status = self.message.status
        self.keeps = self.message.flags & MESSAGE_KEEP_ALIVE != 0
        self.left = self.message.content_length
        if self.message.framing == FRAMING_CHUNKED:
            chunk_init(&self.chunks)
            self.stage = STAGE_CHUNKS
        elif self.message.framing == FRAMING_LENGTH and self.left > 0:
            self.stage = STAGE_LENGTH
        elif self.message.framing == FRAMING_CLOSE:
            self.keeps = False
            self.stage = STAGE_CLOSE
        else:
            self.keeps = self.keeps and self.message.framing != FRAMING_TUNNEL
            self.stage = STAGE_DONE
        return True

    cdef bint read_body(self) except -1:
        cdef uint32_t length = <uint32_t>len(self.unread)
        cdef uint32_t consumed = length
        cdef uint32_t start, produced
        cdef int result
        if self.stage == STAGE_LENGTH:
            if consumed > self.left:
                consumed = <uint32_t>self.left
            self.left -= consumed
            if self.left == 0:
                self.stage = STAGE_DONE
        elif self.stage == STAGE_CHUNKS:
            result = chunk_decode(&self.chunks, <char *>self.unread, length, &consumed, &start, &produced)
            if result == CHUNK_ERROR:
                self.parsed(PARSE_BAD_CHUNK)
            if result == CHUNK_LAST:
                h1_message_init(&self.trailer_section)
                self.stage = STAGE_TRAILERS
        del self.unread[:consumed]
        self.body += consumed
        if self.body > self.body_limit:
            self.stage = STAGE_DONE
            self.keeps = False
            return False
        return True

    cdef bint read_trailers(self) except -1:
        if not self.parsed(h1_parse_trailers(
            &self.trailer_section, <char *>self.unread, <uint32_t>len(self.unread), &self.limits
        )):
            return False
        del self.unread[:self.trailer_section.head_length]
        self.stage = STAGE_DONE
        return True

    cdef bint parsed(self, int result) except -1:
        """Whether that is whole; ValueError when it is wrong."""
        if result < 0:
            raise ValueError((<bytes>parse_error_text(result)).decode())
        return result == PARSE_DONE
