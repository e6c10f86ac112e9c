"""What is told and what is raised. Checked, not run."""

from typing import assert_type

from resilient_poll import (
    Billing,
    BillingChanged,
    DashScope,
    Event,
    Phase,
    PhaseChanged,
    SafeToSubmitAgain,
    StillGoing,
    StillQueued,
    SubmitError,
    SubmitInDoubt,
    TaskError,
    TaskFailed,
    Throttled,
    TryAgain,
)


def said(event: Event) -> str:
    """Tell events apart."""
    match event:
        case PhaseChanged(before=before, after=after):
            assert_type(before, Phase)
            return f"{before} to {after}"
        case Throttled(until_s=until_s):
            assert_type(until_s, float)
            return f"until {until_s:.1f}"
        case BillingChanged(after=Billing.BILLED):
            return "billed"
        case Event(task_id=None):
            return "no id so far"
        case _:
            assert_type(event.at_s, float)
            return str(event)


def what_is_owed() -> Billing:
    """Tell errors apart."""
    try:
        with DashScope() as client:
            return client.submit("model", {}).wait().billing
    except StillQueued as late:
        assert_type(late.resume_token, str | None)
        return late.billing
    except StillGoing as late:
        assert_type(late.come_back_in_s, float | None)
        return late.billing
    except TaskFailed as failure:
        assert_type(failure.code, str | None)
        assert_type(failure.try_again, TryAgain)
        return failure.billing
    except TaskError as other:
        assert_type(other.task_id, str)
        return other.billing
    except SubmitInDoubt as doubt:
        assert_type(doubt.safe_to_submit_again, SafeToSubmitAgain)
        return Billing.UNDETERMINED
    except SubmitError as refused:
        assert_type(refused.attempts, int)
        return Billing.NONE
