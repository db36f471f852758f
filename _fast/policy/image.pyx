"""See `image.pxd`."""


cdef const Image *image_open(const void *block, size_t size) noexcept nogil:
    cdef const Image *image = <const Image *>block
    if size < sizeof(Image) or image.magic != IMAGE_MAGIC or image.layout != IMAGE_LAYOUT or image.size > size:
        return NULL
    return image


cdef const Endpoints *endpoints_open(const void *block, size_t size) noexcept nogil:
    cdef const Endpoints *endpoints = <const Endpoints *>block
    if (
        size < sizeof(Endpoints)
        or endpoints.magic != ENDPOINTS_MAGIC
        or endpoints.layout != IMAGE_LAYOUT
        or endpoints.size > size
    ):
        return NULL
    return endpoints
