"""What RFC 9110 says of requests and responses, whatever wire carries them; HTTP/1.1 itself is in ``http1``."""
