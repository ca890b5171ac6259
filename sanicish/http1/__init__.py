"""The wire: HTTP/1.1 in bytes, without a socket and without a loop (RFC 9112)."""
