"""The fleet file's own health questions: asked before a reboot, and again after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from actions.health import health_url
from actions.orders import Asked, Phase, Verb
from collectors.fetch import why_ill
from tests.unit.order_lab import OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]
REBOOT = Asked(Verb.REBOOT)


async def answered_with(status: str, ask: Callable[[int], asyncio.Future[str | None]]) -> str | None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        return await ask(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("status", "told"),
    [("200 OK", None), ("302 Found", None), ("503 Busy", "answers 503"), ("404 No", "answers 404")],
)
def test_a_url_is_well_by_its_status_alone(status: str, told: str | None) -> None:
    def ask(port: int) -> asyncio.Future[str | None]:
        return asyncio.ensure_future(why_ill(f"http://127.0.0.1:{port}/healthz", timeout_s=5))

    assert asyncio.run(answered_with(status, ask)) == told


def test_a_server_that_is_not_there_is_not_well() -> None:
    assert asyncio.run(why_ill("http://127.0.0.1:9/", timeout_s=2)) is not None
    assert asyncio.run(why_ill("http://", timeout_s=2)) is not None


def test_a_question_is_in_the_plan_and_its_answer_in_the_outcome(tmp_path: Path, use_lab_time: Use) -> None:
    lab = use_lab_time(OrderLab(tmp_path, ["behind"], more='[health]\ncommand = "true"\n'))
    _, (step,) = lab.plan(REBOOT)
    assert "health, asked again after: true" in step.says
    assert step.baseline is not None
    assert step.baseline.health == ("true",)
    assert lab.give(REBOOT)["lab-1"].phase is Phase.DONE


def test_what_was_ill_before_is_said_and_not_held_against_the_reboot(
    tmp_path: Path, use_lab_time: Use
) -> None:
    lab = use_lab_time(OrderLab(tmp_path, ["behind"], more='[health]\ncommand = "false"\n'))
    _, (step,) = lab.plan(REBOOT)
    assert "not well before already: false" in step.says
    assert lab.give(REBOOT)["lab-1"].phase is Phase.DONE


def test_a_question_answered_well_before_and_not_after_is_a_failure(
    tmp_path: Path, use_lab_time: Use
) -> None:
    lab = use_lab_time(
        OrderLab(tmp_path, ["behind"], more='[health]\ncommand = "test -e /run/of-this-boot"\n')
    )
    lab.host().run(("tee", "/run/of-this-boot"), uid=0, stdin=b"x")
    row = lab.give(REBOOT)["lab-1"]
    assert (row.phase, row.code) == (Phase.FAILED, "unhealthy")
    assert "no good answer to test -e /run/of-this-boot" in (row.text or "")


def test_a_url_is_filled_from_the_fleet_file_only(tmp_path: Path) -> None:
    lab = OrderLab(tmp_path, ["behind"])
    host = lab.basis.hosts["lab-1"]
    assert health_url("http://{address}:1/{host}/{node}", host) == "http://lab-1:1/lab-1/lab-1"
