"""What sends the requests: wrk where it can, our own load where it cannot."""
