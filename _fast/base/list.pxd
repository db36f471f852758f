"""Intrusive doubly linked list: a node inside the thing that is listed.

A node that is in no list points at itself, so `list_remove` is safe twice.
The head is a node too; an empty list's head points at itself.
"""

cdef struct Node:
    Node *next
    Node *prev

cdef inline void list_init(Node *node) noexcept nogil:
    node.next = node
    node.prev = node

cdef inline bint list_empty(const Node *head) noexcept nogil:
    return head.next == head

cdef inline void list_insert_before(Node *position, Node *node) noexcept nogil:
    node.next = position
    node.prev = position.prev
    position.prev.next = node
    position.prev = node

cdef inline void list_append(Node *head, Node *node) noexcept nogil:
    list_insert_before(head, node)

cdef inline void list_prepend(Node *head, Node *node) noexcept nogil:
    list_insert_before(head.next, node)

cdef inline void list_remove(Node *node) noexcept nogil:
    node.prev.next = node.next
    node.next.prev = node.prev
    node.next = node
    node.prev = node
