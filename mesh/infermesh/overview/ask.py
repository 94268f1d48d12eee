"""Asks instances how they do. Whatever goes wrong is a part of what is told."""

import asyncio
import json
import os
from collections.abc import Sequence

import aiohttp

from infermesh.overview import servers
from infermesh.overview.answer import Answer
from infermesh.overview.exposition import read
from infermesh.overview.targets import Target

#: For all that one instance is asked.
DEADLINE_SECONDS = 0.9
#: An answer beyond this is not read: whoever gives it is none of ours.
MAX_BYTES = 32 << 20


async def ask(session: aiohttp.ClientSession, target: Target) -> Answer:
    """All that an instance tells; it has a deadline, and is never raised from."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            if target.admin is not None:
                return await _sidecar(session, target.admin)
            return await _server(session, target)
    except TimeoutError:
        return Answer(silence=f"no answer within {DEADLINE_SECONDS:g} s")
    except (aiohttp.ClientError, OSError) as error:
        return Answer(silence=f"no answer: {_reason(error)}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Answer(silence=f"an answer that cannot be read: {error!r}")


async def ask_all(targets: Sequence[Target]) -> Sequence[Answer]:
    """What each of them tells, asked at the same time."""
    async with aiohttp.ClientSession(trust_env=False) as session:
        return await asyncio.gather(*(ask(session, target) for target in targets))


async def _sidecar(session: aiohttp.ClientSession, admin: str) -> Answer:
    stats, metrics = await asyncio.gather(_get(session, f"{admin}/stats"), _get(session, f"{admin}/metrics"))
    return Answer.of_sidecar(stats, metrics)


async def _server(session: aiohttp.ClientSession, target: Target) -> Answer:
    if target.http is None or target.metrics is None:
        return Answer(silence="it has no address to ask at")
    index, metrics, unready = await asyncio.gather(
        _ask(session, "POST", f"{target.http}/v2/repository/index"),
        _get(session, target.metrics),
        _unready(session, f"{target.http}/v2/health/ready"),
    )
    return Answer(
        unready=unready,
        samples=read(metrics, servers.NAMES),
        models=[servers.ModelSeen.of(it) for it in json.loads(index)],
    )


async def _unready(session: aiohttp.ClientSession, url: str) -> str | None:
    async with session.get(url) as answer:
        return None if answer.status < 400 else "it is not ready, or is about to end"


async def _get(session: aiohttp.ClientSession, url: str) -> str:
    return await _ask(session, "GET", url)


async def _ask(session: aiohttp.ClientSession, method: str, url: str) -> str:
    async with session.request(method, url) as answer:
        if answer.status != 200:
            raise ValueError(f"found status {answer.status} at {url}, expected 200")
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > MAX_BYTES:
                raise ValueError(f"found more than {MAX_BYTES >> 20} MiB at {url}")
        return body.decode(errors="replace")


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    # asyncio's own words name the address, and not what became of it.
    return os.strerror(number) if number is not None else str(error) or type(error).__name__
