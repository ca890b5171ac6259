"""Debug mode: error pages with source, and advice on code that will hurt a server later.

``app`` makes a ``Advisor`` when it starts in debug mode; otherwise nothing of this runs. It knows exchanges, and neither
routes nor responses.
"""
