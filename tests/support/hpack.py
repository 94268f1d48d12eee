"""HPACK (RFC 7541) without its dynamic table: written as plain literals, read as servers write it."""

from collections.abc import Iterable, Iterator

#: The entries of the static table that an answer can hold, by index.
_STATIC = {
    8: (":status", "200"),
    9: (":status", "204"),
    10: (":status", "206"),
    11: (":status", "304"),
    12: (":status", "400"),
    13: (":status", "404"),
    14: (":status", "500"),
    28: ("content-length", ""),
    31: ("content-type", ""),
    33: ("date", ""),
}

# Huffman: code lengths of the printable characters, each as a digit of base 36, and of NUL.
# The code is canonical: it follows from them.
_PRINTABLE = "6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f56565666577666567655677777fbed"
_LENGTHS = {0: 13} | {symbol: int(digit, 36) for symbol, digit in enumerate(_PRINTABLE, 32)}


def _canonical() -> dict[tuple[int, int], str]:
    codes: dict[tuple[int, int], str] = {}
    code = length = 0
    for symbol, its_length in sorted(_LENGTHS.items(), key=lambda item: (item[1], item[0])):
        code <<= its_length - length
        length = its_length
        codes[length, code] = chr(symbol)
        code += 1
    return codes


_CODES = _canonical()


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Header fields as literals that no table remembers."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def decode(block: bytes) -> Iterator[tuple[str, str]]:
    """The header fields of a block from a peer that was told to keep no table."""
    at = 0
    while at < len(block):
        first = block[at]
        if first & 0x80:
            index, at = _integer(block, at, 7)
            yield _STATIC[index]
            continue
        if first & 0xE0 == 0x20:
            _, at = _integer(block, at, 5)
            continue
        index, at = _integer(block, at, 6 if first & 0x40 else 4)
        if index:
            name = _STATIC[index][0]
        else:
            name, at = _text(block, at)
        value, at = _text(block, at)
        yield name, value


def _string(text: str) -> bytes:
    raw = text.encode("latin-1")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    length, rest = bytearray([127]), len(raw) - 127
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    length.append(rest)
    return bytes(length) + raw


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    value = block[at] & ((1 << bits) - 1)
    at += 1
    if value < (1 << bits) - 1:
        return value, at
    shift = 0
    while True:
        value += (block[at] & 0x7F) << shift
        shift += 7
        at += 1
        if block[at - 1] < 0x80:
            return value, at


def _text(block: bytes, at: int) -> tuple[str, int]:
    packed = block[at] & 0x80
    length, at = _integer(block, at, 7)
    raw = block[at : at + length]
    return (_unpack(raw) if packed else raw.decode("latin-1")), at + length


def _unpack(raw: bytes) -> str:
    text, code, length = "", 0, 0
    for byte in raw:
        for bit in range(7, -1, -1):
            code, length = code << 1 | (byte >> bit & 1), length + 1
            if (found := _CODES.get((length, code))) is not None:
                text += found
                code = length = 0
    return text
