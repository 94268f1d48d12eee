"""Whether somebody on this machine is ready."""

import asyncio

from infermesh.launch.ports import HOST

#: For one question.
ASK_SECONDS = 2.0


async def answers(port: int, path: str | None) -> bool:
    """Whether a GET is answered with a status below 400; without a path, whether a connection is taken."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                if path is None:
                    return True
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
                words = (await reader.readline()).split()
                return len(words) > 1 and words[1].isdigit() and int(words[1]) < 400
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
