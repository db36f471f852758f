"""The parts of the bench that must not be slow, each one epoll loop without the GIL."""
