"""Waits for a job that AKOOL has accepted, without holding a thread."""

from akool_dagster.batch import wording
from akool_dagster.batch.outcomes import Later, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.looking import look
from akool_dagster.ledger import Attempt, State


def wait_for(
    tools: Tools, attempt: Attempt, *, key: str, stage: Stage, waiting_since: float
) -> Attempt | Later | Outcome:
    """Looks at a job when its look is due.

    Args:
        tools: What the batch works with.
        attempt: The attempt, in any state.
        key: The row that waits.
        stage: The stage that waits.
        waiting_since: When this run began to wait.

    Returns:
        The attempt once it is no longer accepted, when to look again, or the outcome for a run
        that has waited long enough. The job itself is not given up then.
    """
    if attempt.state is State.ACCEPTED and (attempt.next_look_at or 0.0) <= tools.clock():
        attempt = look(tools, attempt)
    if attempt.state is not State.ACCEPTED:
        return attempt
    if tools.clock() - waiting_since < tools.rules.render_deadline_seconds:
        return Later(at=attempt.next_look_at or tools.clock(), waits_for=attempt)
    hours = tools.rules.render_deadline_seconds / 3600
    return wording.trouble(
        Trouble.LATER,
        f"AKOOL has not finished this {attempt.kind.value} within {hours:g} hours. It is not "
        "lost: video_info_sensor goes on asking.",
        key=key,
        stage=stage,
        advice="Leave video_info_sensor switched on, or materialize this asset again later: "
        "it is not asked for anew.",
        facts=wording.attempt_facts(attempt),
    )
