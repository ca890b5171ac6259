"""Another wire: exchanges out of ASGI's scope, receive and send, so that the servers of others can serve us.

What a server says of a socket or of bytes of HTTP is not known here, and neither are routes and responses.
"""
