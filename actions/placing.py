"""From what was asked to a plan for each host: a look at all of them, and what would be sent to whom.

Nothing is sent here but questions. The dry run ends with it, an order begins with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from actions.looking import Looker
from actions.orders import Phase, Placed, Refusal, Step
from actions.planning import plan_step
from actions.policy import decide
from actions.policy_look import Look
from actions.remote.words import Unsendable
from actions.sending import Sender, with_command
from actions.uploading import Payload


async def plan_all(
    looker: Looker,
    order: Placed,
    hosts: Sequence[str],
    *,
    payload: Payload | None,
    timeout_s: float | None,
    connections: int,
    seen: Callable[[Step], None] = lambda step: None,
) -> list[Step]:
    """The step of every host, in the order of `hosts`; `timeout_s` in place of the verb's own deadline."""
    turns = asyncio.Semaphore(connections)

    async def one(host: str) -> Step:
        async with turns:
            look = await looker.look(host, order.asked, order.id)
        step = plan_one(order, look, payload, timeout_s)
        seen(step)
        return step

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(host)) for host in hosts]
    return [task.result() for task in tasks]


def plan_one(order: Placed, look: Look, payload: Payload | None, timeout_s: float | None) -> Step:
    """The step of one host by one look, with its command."""
    step = plan_step(order.asked, look, decide(order.asked, look))
    if step.phase is Phase.PLANNED and timeout_s:
        step = replace(step, deadline_s=timeout_s)
    try:
        return with_command(step, order.asked, look, _sender_of(order, payload))
    except Unsendable as error:
        return _unsendable(step, error)


def _sender_of(order: Placed, payload: Payload | None) -> Sender:
    """In whose name the order's commands are sent."""
    files = payload.files if payload else ()
    return Sender(
        order.id,
        order.actor.said or order.actor.login,
        order.actor.console,
        payload=files[0] if files else None,
        extensions=files[1:],
    )


def _unsendable(step: Step, error: Unsendable) -> Step:
    """The step refused, for a value that no host accepts."""
    why = Refusal("unsendable", f"{error}; look at the host, it tells something odd")
    return replace(step, phase=Phase.REFUSED, refusals=(why,), command=None, stdin="")
