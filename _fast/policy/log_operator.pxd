"""The operators of an access log line: what a `LogItem` of the image asks for.

The names that users write are Envoy's where Envoy has one; `controlplane/log_format.py` turns them into these
names, `image_writer` into these numbers, the worker's formatter into text. Absent values are written as `-`
in a text line and as null in JSON. Durations are of the kind that the suffix says; those without one are
milliseconds, as in Envoy.
"""

cdef enum LogOperator:
    LOG_LITERAL = 0                    # the item's `name`, as it is
    # the request
    LOG_START_TIME                     # 2025-01-31T12:00:00.000Z
    LOG_METHOD
    LOG_PATH                           # with the query, as it was sent upstream
    LOG_ORIGINAL_PATH                  # with the query, as it came, normalised
    LOG_AUTHORITY
    LOG_SCHEME
    LOG_PROTOCOL                       # HTTP/1.1, HTTP/2
    LOG_REQ                            # header `argument`, else header `alternative`
    LOG_REQUEST_ID
    LOG_USER_AGENT
    LOG_X_FORWARDED_FOR
    LOG_TRACE_ID                       # of traceparent or B3
    LOG_BYTES_RECEIVED                 # of the request's body
    # the response
    LOG_RESPONSE_CODE
    LOG_RESPONSE_CODE_DETAILS          # one word that says why
    LOG_RESPONSE_FLAGS                 # Envoy's letters, several joined by a comma
    LOG_RESP                           # header `argument`, else header `alternative`
    LOG_BYTES_SENT                     # of the response's body
    LOG_GRPC_STATUS                    # DeadlineExceeded
    LOG_GRPC_STATUS_SNAKE              # DEADLINE_EXCEEDED
    LOG_GRPC_STATUS_NUMBER
    # where it went
    LOG_LISTENER
    LOG_ROUTE_NAME
    LOG_UPSTREAM_CLUSTER
    LOG_UPSTREAM_HOST                  # address of the endpoint
    LOG_ATTEMPTS
    LOG_DOWNSTREAM_REMOTE_ADDRESS      # with the port
    LOG_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT
    LOG_DOWNSTREAM_LOCAL_ADDRESS       # with the port
    LOG_PRINCIPAL                      # who the peer's certificate says it is
    LOG_DETECTED                       # what the client's connection was found to speak
    # how long it took
    LOG_DURATION                       # from the first byte of the request to the last of the response
    LOG_DURATION_US
    LOG_REQUEST_DURATION               # until the last byte of the request had come
    LOG_REQUEST_DURATION_US
    LOG_RESPONSE_DURATION              # until the first byte of the upstream's response had come
    LOG_FIRST_BYTE_US                  # the same in microseconds
    LOG_CONNECT_US                     # connecting to the upstream; absent when a connection was reused
    # the process
    LOG_WORKER
    LOG_HOSTNAME
    LOG_OPERATOR_COUNT
