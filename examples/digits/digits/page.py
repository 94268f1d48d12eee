"""One self-contained page: every held-out image with what the server said about it."""

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(4.5rem, 1fr)); gap: .75rem; }
figure { margin: 0; padding: .4rem; border: 2px solid #ddd; border-radius: .4rem; text-align: center; }
figure.wrong { border-color: #c62828; background: #fdecea; }
img { width: 100%; image-rendering: pixelated; }
figcaption { font-weight: 600; }
figcaption small { display: block; font-weight: 400; color: #666; }
"""


def write_page(
    file: Path,
    summary: Sequence[str],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float32],
) -> None:
    """Write the page; images with a wrong answer come first, marked.

    ``images`` [n, 64] from 0 to 1, ``labels`` and ``predicted`` [n], ``probabilities`` [n, 10].
    """
    order = np.argsort(predicted == labels, kind="stable")
    figures = "\n".join(
        _figure(images[i], int(labels[i]), int(predicted[i]), float(probabilities[i].max())) for i in order
    )
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in summary)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Digits</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>Handwritten digits</h1>\n{lines}\n"
        f"<main>\n{figures}\n</main>\n</body>\n</html>\n",
        encoding="utf-8",
    )


def _figure(image: NDArray[np.float32], label: int, predicted: int, confidence: float) -> str:
    picture = base64.b64encode(png(image.reshape(8, 8))).decode()
    right = label == predicted
    truth = "" if right else f", is {label}"
    return (
        f'<figure class="{"right" if right else "wrong"}"><img alt="{label}" '
        f'src="data:image/png;base64,{picture}"><figcaption>{predicted}'
        f"<small>{confidence:.0%}{truth}</small></figcaption></figure>"
    )


def png(image: NDArray[np.float32]) -> bytes:
    """Return a greyscale PNG, ink black on white, of an image [height, width] from 0 to 1."""
    height, width = image.shape
    rows = np.round(255 * (1 - image)).astype(np.uint8)
    # Each row of a PNG is preceded by the number of its filter; 0 is none.
    body = b"".join(b"\x00" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
