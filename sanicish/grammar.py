"""The characters of HTTP's grammar, as parts of regular expressions for text and, encoded, for bytes (RFC 9110 section 5)."""

__all__ = ["FIELD_VALUE", "RECEIVED_VALUE", "TOKEN"]

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # 5.6.2: names of fields and methods
# 5.5: visible US-ASCII and blanks, nothing else. CR, LF and NUL are how responses are split, and 8-bit text is read
# differently by everyone, so both are refused where a field is set and can never reach the wire.
FIELD_VALUE = r"[\t\x20-\x7e]*"
RECEIVED_VALUE = r"[\t\x20-\x7e\x80-\xff]*"  # with obs-text, which is opaque data to everybody between
