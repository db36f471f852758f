"""How long a message is (RFC 9112 section 6), and Expect, which decides when its body comes."""
from tulle._fast.http.message cimport Message

# Both set `framing` and `content_length`, once all fields are there
cdef int framing_request(Message *message) noexcept nogil
cdef int framing_response(Message *message, int request_method) noexcept nogil
# The same for a length alone, which is all that HTTP/2 has of it
cdef int framing_length_field(Message *message) noexcept nogil
