"""The only client of httpx: bounded questions to web servers, from the console."""

from __future__ import annotations

import httpx

from collectors.parse.text import clean

_GOOD = range(200, 400)


async def why_ill(url: str, *, timeout_s: float) -> str | None:
    """None where a GET is answered with 2xx or 3xx in time, else why not. Redirects are not followed, the
    body is not read, proxies of the environment are not used."""
    try:
        async with (
            httpx.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            return None if answer.status_code in _GOOD else f"answers {answer.status_code}"
    except httpx.TimeoutException:
        return f"no answer within {timeout_s:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return clean(str(error), 120) or type(error).__name__
