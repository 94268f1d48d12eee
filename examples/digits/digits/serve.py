"""Runs ``infermesh up`` as a child process and follows its log."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
STOP_SECONDS = 15.0


class ServerFailed(Exception):  # noqa: N818 - what happened, not an error class to catch
    """The server did not start, or did not end well; the message holds what it said."""


#: The example's mesh, and the folder that it names for what is made.
MESH, OUT = Path(__file__).parents[1] / "mesh.yaml", "../../out"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """Yield ``host:port`` of the mesh's server when it is ready; end the mesh with SIGTERM afterwards.

    The repository lies in ``folder``, and the log, JSON lines, goes there. Raises ServerFailed if it is not
    ready in time, or exits with anything but 0.
    """
    mesh = _mesh_of(folder)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "infermesh", "up", str(mesh), "--log-format", "json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines = _Lines(process.stdout, folder / "digits.log")
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                address = await lines.until_ready()
        except TimeoutError as error:
            raise ServerFailed(
                f"the server was not ready after {START_SECONDS:g} s:\n{lines.text}"
            ) from error
        # Its log is read on, or the server would stop at a full pipe.
        rest = asyncio.create_task(lines.to_the_end())
        yield address
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await rest
                code = await process.wait()
        except TimeoutError as error:
            raise ServerFailed(f"the server did not end within {STOP_SECONDS:g} s of SIGTERM") from error
        if code != 0:
            raise ServerFailed(f"the server exited with {code}:\n{lines.text}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _mesh_of(folder: Path) -> Path:
    """The example's mesh, with what is made in another folder."""
    mesh = folder / "digits.yaml"
    mesh.write_text(MESH.read_text(encoding="utf-8").replace(OUT, str(folder.absolute())), encoding="utf-8")
    return mesh


class _Lines:
    """The server's log as it arrives, copied to a file."""

    def __init__(self, stream: asyncio.StreamReader, copy: Path) -> None:
        self._stream = stream
        self._copy = copy
        self.text = ""

    async def until_ready(self) -> str:
        address = ""
        async for event in self._events():
            match event.get("event.action"):
                case "server-listening" if not address:
                    # For gRPC; for others after it.
                    address = f"{event['server.address']}:{event['server.port']}"
                case "server-ready":
                    return address
                case "server-not-ready":
                    break
        raise ServerFailed(f"the server did not get ready:\n{self.text}")

    async def to_the_end(self) -> None:
        async for _ in self._events():
            pass

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        while line := (await self._stream.readline()).decode(errors="replace"):
            self.text += line
            self._copy.write_text(self.text, encoding="utf-8")
            try:
                event = json.loads(line)
            except ValueError:
                continue  # not a log line: a warning of the interpreter, say
            if isinstance(event, dict):
                yield event
