"""Pure: an ID for a row, unlike that of any other row of any agent."""

from hashlib import blake2b

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def seuid(*parts: object) -> str:
    """Return `S` and 64 bits of a hash over *parts*: agent, run, table, number of the event."""
    text = "\0".join(map(str, parts))
    return "S" + base62(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big"))


def base62(number: int) -> str:
    """Return *number* in digits and letters."""
    digits = ""
    while number or not digits:
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
