"""Answers that are compressed as they are written, for clients that say they take it.

What a route, a response or a socket is, is not known here: an exchange is wrapped in another one.
"""
