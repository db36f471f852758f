"""The structures of HTTP/2: a connection, its streams, and what it has to tell (RFC 9113).

    H2Connection   one connection in either role: settings, windows, HPACK, streams, frames on their way out
    H2Stream       one request and its answer, with what is queued in each direction
    H2Event        what `h2c_receive` found: its owner, in `flow`, acts on it

A stream is in the connection's table as long as it is open or its owner holds it; it is the connection that frees it.
Memory is bounded: streams by the settings, bytes that came in by the receive windows, bytes that wait to go out by
what one `h2s_send` was given (whoever gets H2_BLOCKED sends no more until the stream is among the drained) and by
H2_OUTPUT_MOST for the connection's frames, above which its owner has to stop reading.
"""
from tulle._fast.base.buf cimport Buf, BufPool
from tulle._fast.base.list cimport Node
from tulle._fast.base.slab cimport Slab
from tulle._fast.base.types cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from tulle._fast.http.h2_abuse cimport H2Abuse
from tulle._fast.http.hpack_decode cimport HpackDecoder
from tulle._fast.http.hpack_encode cimport HpackEncoder
from tulle._fast.http.message cimport Message

cdef enum:
    H2_OUTPUT_GOAL = 131072            # no more DATA is written to the output when so much waits there
    H2_OUTPUT_MOST = 393216            # no more is to be read from the peer, which makes us write
    H2_RESET_IDS = 64                  # streams that we have reset and whose frames may still come

cdef enum H2Role:
    H2_SERVER = 0
    H2_CLIENT = 1

cdef enum H2ConnectionFlags:
    H2C_PREFACE_SEEN = 1               # server: the client's octets; both: the first SETTINGS
    H2C_SETTINGS_SEEN = 2
    H2C_SETTINGS_ACKED = 4             # ours
    H2C_FAILED = 8                     # GOAWAY with an error was written: nothing more is read or opened
    H2C_GOAWAY_SENT = 16               # the final one: with the last stream
    H2C_SHUTDOWN_SENT = 32             # the first of two: with 2**31 - 1
    H2C_GOAWAY_SEEN = 64               # of the peer: we open no stream
    H2C_PROBING = 128                  # a PING that measures the path is under way
    H2C_PEER_CONNECT = 256             # the peer takes extended CONNECT (RFC 8441)
    H2C_PINGED = 512                   # the PING of h2c_ping is under way
    H2C_ASKED = 1024                   # that of h2c_ask

cdef enum H2StreamFlags:
    H2S_REMOTE_DONE = 1                # END_STREAM was received
    H2S_LOCAL_DONE = 2                 # END_STREAM was written to the output
    H2S_CLOSED = 3                     # both
    H2S_RESET = 4                      # by either side
    H2S_END_WAITS = 8                  # nothing follows what is queued
    H2S_BLOCKED = 16                   # the owner waits to be among the drained
    H2S_HEAD_SEEN = 32                 # the (final) head was received: DATA may come, and trailers
    H2S_LENGTH = 64                    # `expected` bytes of DATA are to come
    H2S_COUNTED = 128                  # takes a place among those that may be open
    H2S_ANSWERED = 256                 # server: the final head was sent

cdef struct H2Stream:
    H2Stream *next                     # in its bucket of the table
    Node sending                       # in H2Connection.senders, while it has something to send
    Node drained                       # in H2Connection.drained
    void *owner                        # NULL: nobody's
    uint32_t id
    uint32_t flags                     # H2StreamFlags
    int64_t send_window
    int32_t receive_window             # what the peer may still send
    uint32_t window_size               # that, and what is here, and `taken`
    uint32_t taken                     # bytes that the owner took and the peer was not told of
    uint64_t expected                  # with H2S_LENGTH
    Buf *send_first                    # bytes that wait for the windows
    Buf *send_last
    Buf *trailers                      # for behind them, as `h2_send` keeps them
    Buf *receive_first                 # bytes that the owner has not taken yet
    Buf *receive_last
    Buf *given                         # handed out, good until the next are asked for
    const char *piece                  # of the DATA event at hand: not copied anywhere yet
    uint32_t piece_length
    uint32_t send_bytes
    uint32_t receive_bytes
    uint8_t method                     # Method of the request

cdef enum H2EventKind:
    H2_NOTHING = 0                     # all is read, or more bytes are needed
    H2_HEAD                            # `message` (for the receiver, and a reference to `buf` with its bytes); `end`
    H2_BODY                            # `data`, `length`, `end`; the receiver takes them or calls h2s_keep
    H2_TRAILERS                        # `message` and `buf` as with H2_HEAD; always the end
    H2_CLOSED                          # the stream was reset, with `error`, by us if `ours`
    H2_SETTINGS                        # the peer's have changed
    H2_PONG                            # the answer to h2c_ping
    H2_GOAWAY                          # `last` is the highest stream that the peer will answer; `error`
    H2_FAILED                          # `error`; GOAWAY is in the output: flush, then close
    H2_REFUSE                          # as H2_HEAD, but answer it with the status in `error`: 414, 417, 431
    H2_ALIVE                           # the answer to h2c_ask

cdef struct H2Event:
    H2Stream *stream
    Message *message
    Buf *buf
    const char *data
    uint32_t length
    uint32_t error                     # H2Error; of H2_REFUSE a status
    uint32_t last
    uint8_t kind                       # H2EventKind
    uint8_t end
    uint8_t ours

cdef struct H2Limits:                  # what a connection grants its peer
    uint32_t streams                   # at once
    uint32_t head                      # bytes of names and values
    uint32_t line                      # bytes of method and path
    uint32_t fields
    uint32_t extended_connect          # 1: RFC 8441 is offered; as a server
    uint32_t window                    # of a stream, in the beginning
    uint32_t window_most               # and at most, when the path is long
    uint32_t connection_window
    uint32_t connection_window_most

cdef struct H2Connection:
    BufPool *bufs
    Slab *streams_slab
    Slab *messages_slab
    uint64_t *malformed                # counts messages and frames that were not to be accepted
    uint64_t *calmed                   # counts connections that ended with ENHANCE_YOUR_CALM
    uint64_t now                       # monotonic ns; set by the owner before it calls
    HpackDecoder decoder
    HpackEncoder encoder
    H2Abuse abuse
    H2Limits limits
    H2Stream **buckets                 # the table: by id, grown with the streams
    uint32_t bucket_mask
    uint32_t stream_count
    uint32_t peer_streams              # of them, those that the peer has opened and that are not closed
    uint32_t own_streams
    uint32_t last_peer                 # highest id that the peer has opened
    uint32_t next_own                  # id of the next that we open
    uint32_t goaway_last               # of the peer's GOAWAY: ours above it were not looked at
    uint32_t error                     # H2Error that it failed with
    uint32_t flags                     # H2ConnectionFlags
    uint8_t role                       # H2Role
    uint8_t reset_index
    uint16_t settings_waiting          # SETTINGS of ours that are not acknowledged
    uint32_t reset_ids[64]
    # of the peer
    uint32_t peer_frame                # SETTINGS_MAX_FRAME_SIZE
    uint32_t peer_window               # SETTINGS_INITIAL_WINDOW_SIZE
    uint32_t peer_max_streams
    # the whole connection's windows
    int64_t send_window
    int64_t receive_window
    uint32_t window_size
    uint32_t taken
    uint32_t connection_goal           # what sizes are to become, see h2_window
    uint32_t window_goal               # of a stream
    uint64_t probe_bytes               # of DATA since the last probe
    # DATA at hand
    H2Stream *data_stream              # NULL: nobody wants it
    uint32_t data_left
    uint32_t padding_left
    uint8_t data_end
    uint8_t in_data
    # a field block at hand
    Buf *block                         # collects one that comes in several frames
    uint32_t block_stream              # 0: none is open
    uint16_t block_frames
    uint8_t block_end                  # its HEADERS had END_STREAM
    uint8_t block_bad                  # its HEADERS made the stream depend on itself
    # output
    Node senders                       # H2Stream.sending, in turn
    Node drained                       # H2Stream.drained: their owners are to be told
    Buf *out_first
    Buf *out_last
    uint32_t out_bytes
