"""The reducer: what happened, to what the screen shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import make_challenge

from oneglance.contract.messages import (
    AccessState,
    Decision,
    DoorState,
    Factor,
    Hint,
    Liveness,
    LockState,
    Mode,
    Outcome,
    Phase,
    ServiceState,
    Status,
    Step,
    VisitState,
    Wait,
)
from oneglance.kiosk_ui.pad_keys import Key
from oneglance.kiosk_ui.reducer import (
    ACCESS_SILENCE_S,
    HINT_HELD_S,
    LINGER_S,
    MIN_RESULT_S,
    MOST_CHECKING_S,
    START_GRACE_S,
    STATUS_SILENCE_S,
    VISIT_SILENCE_S,
    AccessArrived,
    ChallengeArrived,
    ClockDoubted,
    Connected,
    DecisionArrived,
    Disconnected,
    DoorArrived,
    Event,
    KeyPressed,
    KioskState,
    LivenessMissed,
    StatusArrived,
    Tick,
    Unheard,
    VisitArrived,
    initial,
    reduce,
)
from oneglance.kiosk_ui.screen import Kind
from oneglance.kiosk_ui.words import (
    ASKED,
    CLAIMED,
    CLOCK_NOTE,
    CLOCK_WRONG,
    COME_IN,
    FURTHER,
    HINTS,
    LIVENESS_NOTE,
    LOCK_SILENT,
    NO_ANSWER,
    NOT_MOVED,
    NOT_NOW,
    NOT_SURE,
    NOT_THIS_TIME,
    ONCE_MORE,
    POOR_QUALITY,
    REFUSALS,
    RING,
    STEPS,
    WELCOME_NAME,
    WORDS,
)

RESULT_S = 4.0
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


def status(state: ServiceState = ServiceState.ONLINE, *reasons: str) -> StatusArrived:
    return StatusArrived(Status(issued_at=NOW, state=state, reasons=reasons, software="0.1.0"))


def visit(
    phase: Phase, visit_id: str = "v1", progress: float = 0.0, hint: Hint = Hint.NONE
) -> VisitArrived:
    return VisitArrived(
        VisitState(issued_at=NOW, visit_id=visit_id, phase=phase, hint=hint, progress=progress)
    )


def decision(name: str | None = "Ada", visit_id: str = "v1", reason: str = "") -> DecisionArrived:
    """Accepted and naming `name`, or rejected for `reason`."""
    accepted = not reason
    return DecisionArrived(
        Decision(
            issued_at=NOW,
            expires_at=NOW + timedelta(seconds=5),
            event_id="event-0001",
            site="home",
            door="front",
            visit_id=visit_id,
            outcome=Outcome.ACCEPTED if accepted else Outcome.REJECTED,
            reason=reason,
            person_id="p1" if accepted else None,
            person_name=name if accepted else None,
            score=3.0 if accepted else -3.0,
            threshold=1.0,
            model_id="m",
            mode=Mode.IDENTIFY,
            liveness=Liveness.PASSED,
            factors=(Factor.FACE,) if accepted else (),
            sequence=1,
        )
    )


def access(
    *waits: tuple[str, float], claim: Factor | None = None, claim_s: float = 0.0
) -> AccessArrived:
    told = tuple(
        Wait(of="claim" if of == "claim" else Factor(of), seconds=seconds) for of, seconds in waits
    )
    return AccessArrived(AccessState(issued_at=NOW, claim=claim, claim_s=claim_s, waits=told))


def challenge(step: Step = Step.TURN_LEFT, **changes: Any) -> ChallengeArrived:
    values: dict[str, Any] = {"step": step, "visit_id": "v1", "time_s": 5.0}
    return ChallengeArrived(make_challenge(1, **(values | changes)))


def after(*steps: tuple[float, Event]) -> KioskState:
    state = initial(0.0, RESULT_S)
    for now_s, event in steps:
        state = reduce(state, event, now_s)
    return state


ONLINE: tuple[tuple[float, Event], ...] = ((0.1, Connected()), (0.2, status()))


def asking(*claims: Factor) -> tuple[tuple[float, Event], ...]:
    """A door where a face alone lets nobody in."""
    online = Status(issued_at=NOW, state=ServiceState.ONLINE, software="0.1.0", claims=claims)
    return ((0.1, Connected()), (0.2, StatusArrived(online)))


def test_a_fresh_screen_says_it_is_starting_and_later_that_it_is_out_of_service() -> None:
    assert after().screen.kind is Kind.STARTING
    assert after((START_GRACE_S - 0.1, Tick())).screen.kind is Kind.STARTING
    assert after((START_GRACE_S, Tick())).screen.kind is Kind.OFFLINE


def test_connected_to_a_broker_without_a_daemon_is_out_of_service() -> None:
    assert after((0.1, Connected()), (START_GRACE_S, Tick())).screen.kind is Kind.OFFLINE


def test_a_screen_that_may_not_hear_the_answers_invites_nobody_and_says_why() -> None:
    state = after(*ONLINE, (0.3, Unheard(("challenge", "decision"))), (1.0, visit(Phase.LOOK)))
    assert state.screen.kind is Kind.MAINTENANCE
    assert state.screen.note == "no right to hear challenge, decision"
    state = reduce(state, Unheard(()), 1.1)
    assert state.screen.kind is Kind.LOOK_HERE


def test_online_and_nobody_there_is_idle() -> None:
    assert after(*ONLINE).screen.kind is Kind.IDLE


def test_the_steps_of_a_visit_show_in_order() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.LOOK)))
    assert state.screen.kind is Kind.LOOK_HERE
    state = reduce(state, visit(Phase.CHECKING, progress=0.5), 1.2)
    assert (state.screen.kind, state.screen.progress) == (Kind.CHECKING, 0.5)
    state = reduce(state, visit(Phase.DONE), 1.3)
    assert state.screen.kind is Kind.CHECKING, "the decision may come a moment after DONE"
    state = reduce(state, decision(), 1.4)
    assert (state.screen.kind, state.screen.title) == (Kind.WELCOME, WELCOME_NAME)
    assert state.screen.name == "Ada"


def test_a_hint_is_the_largest_text() -> None:
    for phase, kind in ((Phase.LOOK, Kind.LOOK_HERE), (Phase.CHECKING, Kind.CHECKING)):
        screen = after(*ONLINE, (1.0, visit(phase, hint=Hint.COME_CLOSER))).screen
        assert (screen.title, screen.line) == (HINTS[Hint.COME_CLOSER], WORDS[kind][0])
        assert screen.hint is Hint.COME_CLOSER


def test_a_hint_that_flickers_stays_long_enough_to_be_read() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.LOOK, hint=Hint.COME_CLOSER)))
    state = reduce(state, visit(Phase.LOOK), 0.9 + HINT_HELD_S)
    assert state.screen.hint is Hint.COME_CLOSER
    state = reduce(state, visit(Phase.LOOK), 1.0 + HINT_HELD_S)
    assert state.screen.hint is Hint.NONE


def test_every_hint_has_words() -> None:
    assert set(HINTS) == set(Hint) - {Hint.NONE}
    assert set(WORDS) == set(Kind)


def test_a_welcome_lasts_its_time_and_no_longer() -> None:
    state = after(*ONLINE, (1.0, decision()))
    assert reduce(state, Tick(), 1.0 + RESULT_S - 0.01).screen.kind is Kind.WELCOME
    gone = reduce(state, Tick(), 1.0 + RESULT_S)
    assert gone.screen.kind is Kind.IDLE
    assert "Ada" not in repr(gone), "the name is forgotten with the picture"


def test_a_welcome_does_not_survive_a_lost_connection() -> None:
    state = after(*ONLINE, (1.0, decision()), (1.5, Disconnected()))
    assert state.screen.kind is Kind.OFFLINE
    for step in (Connected(), status(), Tick()):
        state = reduce(state, step, 1.6)
    assert state.screen.kind is Kind.IDLE


def test_a_daemon_that_goes_offline_takes_everything_along() -> None:
    for end in (status(ServiceState.OFFLINE), StatusArrived(None)):
        state = after(*ONLINE, (1.0, decision()), (1.5, end))
        assert state.screen.kind is Kind.OFFLINE
        assert reduce(state, visit(Phase.LOOK), 1.6).screen.kind is Kind.OFFLINE
        assert reduce(state, status(), 1.7).screen.kind is Kind.IDLE


def test_a_status_that_nobody_repeats_is_an_echo_and_not_a_daemon() -> None:
    heard = [(1.0, Connected()), (2.0, status())]
    assert after(*heard, (2.0 + STATUS_SILENCE_S, Tick())).screen.kind is Kind.IDLE
    assert after(*heard, (2.1 + STATUS_SILENCE_S, Tick())).screen.kind is Kind.OFFLINE
    repeated = [*heard, (60.0, status())]
    assert after(*repeated, (2.1 + STATUS_SILENCE_S, Tick())).screen.kind is Kind.IDLE


def test_a_rejected_visit_names_nobody_and_says_what_to_do() -> None:
    for reason in ("not_recognised", "ambiguous"):
        screen = after(*ONLINE, (1.0, decision(reason=reason))).screen
        assert (screen.title, screen.line) == WORDS[Kind.NOT_RECOGNISED]
    screen = after(*ONLINE, (1.0, decision(reason="poor_quality"))).screen
    assert (screen.kind, screen.title, screen.line) == (Kind.NOT_SURE, *POOR_QUALITY)


def test_a_reason_that_is_not_known_here_does_not_say_that_nobody_knows_you() -> None:
    screen = after(*ONLINE, (1.0, decision(reason="something_new"))).screen
    assert (screen.kind, screen.title, screen.line) == (Kind.NOT_RECOGNISED, *NOT_THIS_TIME)


def test_a_silent_visit_is_over() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.CHECKING, progress=0.5)))
    assert reduce(state, Tick(), 1.0 + VISIT_SILENCE_S).screen.kind is Kind.CHECKING
    assert reduce(state, Tick(), 1.01 + VISIT_SILENCE_S).screen.kind is Kind.IDLE


def test_an_idle_visit_message_ends_the_visit_at_once() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.LOOK)), (1.1, visit(Phase.IDLE, "")))
    assert state.screen.kind is Kind.IDLE


def test_late_messages_of_a_decided_visit_start_nothing() -> None:
    state = after(*ONLINE, (1.0, decision()), (1.1, visit(Phase.CHECKING)))
    assert reduce(state, Tick(), 1.0 + RESULT_S).screen.kind is Kind.IDLE


def test_the_next_person_does_not_read_somebody_elses_name() -> None:
    state = after(*ONLINE, (1.0, decision()), (1.5, visit(Phase.LOOK, "v2")))
    assert state.screen.name == "Ada", "she has not had the time to read it"
    state = reduce(state, visit(Phase.LOOK, "v2"), 1.0 + MIN_RESULT_S)
    assert (state.screen.kind, state.screen.name) == (Kind.LOOK_HERE, "")
    assert "Ada" not in repr(state)


def test_two_answers_at_once_are_shown_one_after_the_other() -> None:
    state = after(*ONLINE, (1.0, decision()), (1.3, decision(visit_id="v2", reason="ambiguous")))
    assert state.screen.name == "Ada"
    state = reduce(state, Tick(), 1.0 + MIN_RESULT_S)
    assert state.screen.kind is Kind.NOT_RECOGNISED
    assert "Ada" not in repr(state)
    assert reduce(state, Tick(), 0.9 + MIN_RESULT_S + RESULT_S).screen.kind is Kind.NOT_RECOGNISED
    assert reduce(state, Tick(), 1.0 + MIN_RESULT_S + RESULT_S).screen.kind is Kind.IDLE


def test_a_later_decision_replaces_the_old_one_at_once() -> None:
    state = after(*ONLINE, (1.0, decision()), (2.5, decision(reason="not_recognised")))
    assert state.screen.kind is Kind.NOT_RECOGNISED


def test_the_same_words_again_are_a_new_answer() -> None:
    state = after(*ONLINE, (1.0, decision()), (2.5, decision()))
    assert state.screen.since_s == 2.5
    assert reduce(state, Tick(), 3.0).screen.since_s == 2.5


def test_a_check_that_never_ends_is_ended_here() -> None:
    state = after(*ONLINE, *((1.0 + i, visit(Phase.CHECKING)) for i in range(23)))
    assert (state.screen.kind, state.screen.title, state.screen.line) == (
        Kind.NOT_SURE,
        *NO_ANSWER,
    )
    state = after(*ONLINE, *((1.0 + i, visit(Phase.CHECKING)) for i in range(int(MOST_CHECKING_S))))
    assert state.screen.kind is Kind.CHECKING


def door(state: LockState, cause: str = "") -> DoorArrived:
    return DoorArrived(DoorState(issued_at=NOW, state=state, cause=cause))


def test_come_in_is_said_only_while_the_lock_says_that_it_opened_for_this_person() -> None:
    state = after(*ONLINE, (1.0, decision()))
    assert state.screen.line == WORDS[Kind.WELCOME][1]
    for other in (door(LockState.LOCKED, "event-0001"), door(LockState.UNLOCKED, "event-0000")):
        assert reduce(state, other, 1.1).screen.line == WORDS[Kind.WELCOME][1]
    assert reduce(state, door(LockState.FAULT, "stopped"), 1.1).screen.line == LOCK_SILENT
    opened = reduce(state, door(LockState.UNLOCKED, "event-0001"), 1.1)
    assert (opened.screen.name, opened.screen.line) == ("Ada", COME_IN)
    shut = reduce(opened, door(LockState.LOCKED, "event-0001"), 1.2)
    assert shut.screen.line == WORDS[Kind.WELCOME][1]
    assert reduce(opened, DoorArrived(None), 1.2).screen.line == WORDS[Kind.WELCOME][1]


def test_the_locks_own_word_shows_while_nobody_is_there() -> None:
    state = after(*ONLINE, (1.0, door(LockState.UNLOCKED, "event-0000")))
    assert state.screen.kind is Kind.DOOR_OPEN
    assert reduce(state, visit(Phase.LOOK), 1.1).screen.kind is Kind.LOOK_HERE
    assert reduce(state, door(LockState.LOCKED), 1.1).screen.kind is Kind.IDLE
    fault = reduce(state, door(LockState.FAULT, "the pin did not obey"), 1.1)
    assert (fault.screen.kind, fault.screen.note) == (Kind.DOOR_FAULT, "the pin did not obey")
    gone = reduce(fault, Disconnected(), 1.2)
    assert gone.door is None, "whether it is so still, nobody knows"


def test_a_wrong_clock_is_told_and_stays_to_be_seen_by_staff() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.CHECKING)), (1.5, ClockDoubted()))
    assert (state.screen.title, state.screen.line) == CLOCK_WRONG
    assert state.screen.note == CLOCK_NOTE
    state = reduce(state, Tick(), 1.5 + RESULT_S)
    assert (state.screen.kind, state.screen.note) == (Kind.IDLE, CLOCK_NOTE)
    assert reduce(state, decision(), 9.0).disagrees == ""


def test_who_is_let_in_without_a_look_at_liveness_is_not_welcome_and_staff_reads_why() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.CHECKING)), (1.5, LivenessMissed()))
    assert (state.screen.kind, state.screen.title) == (Kind.MAINTENANCE, RING)
    assert state.screen.note == LIVENESS_NOTE
    state = reduce(state, Tick(), 1.5 + RESULT_S)
    assert (state.screen.kind, state.screen.note) == (Kind.IDLE, LIVENESS_NOTE)
    assert reduce(state, decision(), 9.0).disagrees == ""


def test_staff_reads_why_a_door_is_out_of_service() -> None:
    assert after((START_GRACE_S, Tick())).screen.note == "no connection"
    assert after((0.1, Connected()), (START_GRACE_S, Tick())).screen.note == "no daemon"
    state = after(*ONLINE, (1.0, status(ServiceState.DEGRADED, "gallery_empty", "x" * 200)))
    assert state.screen.note.startswith("gallery_empty, xxx")
    assert len(state.screen.note) <= 60
    assert after(*ONLINE).screen.note == ""


def test_a_test_of_the_lock_is_nobodys_answer() -> None:
    there = after(*ONLINE, (0.3, visit(Phase.CHECKING)))
    tested = reduce(there, decision(visit_id="lock-test", reason="lock_test"), 0.4)
    assert tested.lock_test == "event-0001"
    assert tested.screen == there.screen
    assert (tested.visit, tested.result) == (there.visit, None)


def test_a_discreet_screen_welcomes_without_a_name() -> None:
    state = initial(0.0, RESULT_S, discreet=True)
    for now_s, event in (*ONLINE, (1.0, decision())):
        state = reduce(state, event, now_s)
    assert state.screen.title == WORDS[Kind.WELCOME][0]
    assert "Ada" not in repr(state)


def test_a_lost_camera_shows_when_nobody_is_being_looked_at() -> None:
    lost = status(ServiceState.DEGRADED, "camera_lost:front")
    state = after(*ONLINE, (1.0, lost))
    assert state.screen.kind is Kind.CAMERA_LOST
    seen_by_another = reduce(state, visit(Phase.LOOK), 1.1)
    assert seen_by_another.screen.kind is Kind.LOOK_HERE
    assert reduce(state, status(), 2.0).screen.kind is Kind.IDLE


def test_a_camera_that_only_misbehaves_still_lets_people_in() -> None:
    for reason in ("camera_corrupt:a", "camera_resized:a", "camera_slow:a", "camera_fast:a"):
        state = after(*ONLINE, (1.0, status(ServiceState.DEGRADED, reason)))
        assert state.screen.kind is Kind.IDLE
        assert reduce(state, visit(Phase.LOOK), 1.1).screen.kind is Kind.LOOK_HERE
        one_lost = status(ServiceState.DEGRADED, reason, "camera_lost:b")
        assert reduce(state, one_lost, 1.2).screen.kind is Kind.CAMERA_LOST
        none_enrolled = status(ServiceState.DEGRADED, reason, "gallery_empty")
        assert reduce(state, none_enrolled, 1.2).screen.kind is Kind.MAINTENANCE


def test_badges_and_pins_that_cannot_be_read_keep_no_face_out() -> None:
    for reason in ("credentials_restored", "credentials_error", "keyring_error"):
        state = after(*ONLINE, (1.0, status(ServiceState.DEGRADED, reason)))
        assert state.screen.kind is Kind.IDLE


def test_a_camera_with_a_cap_on_its_lens_or_that_hangs_shows_as_one_that_sees_nobody() -> None:
    for reason in ("camera_dark:front", "camera_frozen:front"):
        state = after(*ONLINE, (1.0, status(ServiceState.DEGRADED, reason)))
        assert state.screen.kind is Kind.CAMERA_LOST


def test_a_daemon_that_can_let_nobody_in_invites_nobody() -> None:
    for reason in ("gallery_empty", "clock_set", "something_new"):
        state = after(*ONLINE, (1.0, status(ServiceState.DEGRADED, "camera_lost:a", reason)))
        assert state.screen.kind is Kind.MAINTENANCE
        assert reduce(state, visit(Phase.LOOK), 1.1).screen.kind is Kind.MAINTENANCE


def test_a_starting_daemon_asks_for_a_moment() -> None:
    state = after(*ONLINE, (1.0, status(ServiceState.DEGRADED, "starting")))
    assert state.screen.kind is Kind.STARTING


def test_an_accepted_decision_without_a_name_still_welcomes() -> None:
    assert after(*ONLINE, (1.0, decision(None))).screen.title == "Welcome"
    assert after(*ONLINE, (1.0, decision("\x00\u202e"))).screen.title == "Welcome"


def test_progress_does_not_restart_the_animation() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.CHECKING, progress=0.3)))
    state = reduce(state, visit(Phase.CHECKING, progress=0.6), 1.3)
    assert (state.screen.since_s, state.screen.progress) == (1.0, 0.6)


def test_a_challenge_shows_its_step_and_the_time_that_is_left() -> None:
    state = after(*ONLINE, (1.0, visit(Phase.CHECKING)), (1.5, challenge(number=2)))
    screen = state.screen
    assert (screen.kind, screen.step, screen.progress) == (Kind.CHALLENGE, Step.TURN_LEFT, 1.0)
    assert (screen.title, screen.line) == STEPS[Step.TURN_LEFT]
    assert (screen.number, screen.steps) == (2, 2)
    state = reduce(state, visit(Phase.CHECKING, progress=1.0), 3.0)
    state = reduce(state, Tick(), 4.0)
    assert (state.screen.kind, state.screen.progress) == (Kind.CHALLENGE, 0.5)
    assert state.screen.since_s == 1.5


@pytest.mark.parametrize("step", list(Step))
def test_who_has_not_done_a_step_in_half_of_its_time_is_asked_for_more(step: Step) -> None:
    state = after(*ONLINE, (1.0, challenge(step)), (3.4, Tick()))
    assert (state.screen.title, state.screen.line) == STEPS[step]
    state = reduce(state, Tick(), 3.6)
    line = STEPS[step][1] if step is Step.LOOK_STRAIGHT else FURTHER
    assert (state.screen.title, state.screen.line) == (STEPS[step][0], line)
    assert state.screen.since_s == 1.0


def test_every_step_has_words_of_its_own() -> None:
    assert set(STEPS) == set(Step)
    assert len(set(STEPS.values())) == len(Step)


def test_the_second_attempt_says_so_and_blames_nobody() -> None:
    again = challenge(Step.LOOK_STRAIGHT, attempt=2, number=1)
    assert after(*ONLINE, (1.0, again)).screen.title == ONCE_MORE
    between = challenge(Step.LOOK_STRAIGHT, attempt=2, number=2)
    assert after(*ONLINE, (1.0, between)).screen.title == STEPS[Step.LOOK_STRAIGHT][0]


def test_what_is_asked_now_takes_the_place_of_an_answer_to_somebody_else() -> None:
    state = after(*ONLINE, (1.0, decision(visit_id="v0")), (1.5, challenge()))
    assert state.screen.kind is Kind.CHALLENGE
    assert state.result is None


def test_a_challenge_ends_with_the_decision() -> None:
    state = after(*ONLINE, (1.0, challenge()), (2.0, decision("Ada")))
    assert state.screen.kind is Kind.WELCOME
    assert reduce(state, Tick(), 2.0 + RESULT_S).screen.kind is Kind.IDLE


def test_a_refusal_of_somebody_else_leaves_the_one_who_is_asked_their_challenge() -> None:
    state = after(
        *ONLINE, (1.0, challenge()), (2.0, decision(reason="not_recognised", visit_id="v2"))
    )
    assert (state.screen.kind, state.screen.step) == (Kind.CHALLENGE, Step.TURN_LEFT)
    assert reduce(state, Tick(), 1.1 + 5.0 + LINGER_S).screen.kind is Kind.IDLE
    state = reduce(state, decision(reason="challenge_ignored", visit_id="v1"), 3.0)
    assert (state.screen.kind, state.screen.title) == (Kind.NOT_SURE, NOT_SURE[0])


def test_a_wait_that_somebody_else_has_cost_leaves_a_challenge_on_the_screen() -> None:
    state = after(*ONLINE, (1.0, challenge()), (2.0, access(("face", 9.0))))
    assert (state.screen.kind, state.screen.step) == (Kind.CHALLENGE, Step.TURN_LEFT)
    state = reduce(state, decision(reason="challenge_ignored"), 3.0)
    assert state.screen.kind is Kind.NOT_SURE
    state = reduce(state, access(("face", 5.0)), 3.1 + RESULT_S)
    assert state.screen.kind is Kind.WAIT


def test_an_acceptance_of_anybody_ends_a_challenge() -> None:
    state = after(*ONLINE, (1.0, challenge()), (2.0, decision("Ada", visit_id="v2")))
    assert state.screen.kind is Kind.WELCOME


def test_a_challenge_ends_when_the_visitor_leaves_or_the_daemon_says_no_more() -> None:
    state = after(*ONLINE, (1.0, challenge()))
    assert reduce(state, visit(Phase.IDLE, ""), 1.5).screen.kind is Kind.IDLE
    assert reduce(state, Tick(), 1.0 + 5.0 + LINGER_S).screen.progress == 0.0
    assert reduce(state, Tick(), 1.1 + 5.0 + LINGER_S).screen.kind is Kind.IDLE
    assert reduce(state, Disconnected(), 1.5).challenge is None


def test_a_daemon_that_can_let_nobody_in_asks_for_nothing() -> None:
    state = after(
        *ONLINE, (1.0, status(ServiceState.DEGRADED, "sequence_error")), (1.1, challenge())
    )
    assert state.screen.kind is Kind.MAINTENANCE


def test_a_refusal_for_want_of_life_blames_nobody_and_says_what_to_do() -> None:
    for reason in ("presentation_attack", "challenge_not_shown"):
        screen = after(*ONLINE, (1.0, decision(reason=reason))).screen
        assert (screen.title, screen.line) == NOT_SURE
    screen = after(*ONLINE, (1.0, decision(reason="too_few_pictures"))).screen
    assert (screen.kind, screen.title, screen.line) == (Kind.NOT_SURE, *NO_ANSWER)
    screen = after(*ONLINE, (1.0, decision(reason="challenge_ignored"))).screen
    assert (screen.kind, (screen.title, screen.line)) == (Kind.NOT_SURE, NOT_MOVED)
    screen = after(*ONLINE, (1.0, decision(reason="not_permitted"))).screen
    assert (screen.kind, screen.title, screen.line) == (Kind.NOT_NOW, *NOT_NOW)


NAME = "Zaphod"
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.sampled_from(
        [
            Connected(),
            Disconnected(),
            Tick(),
            StatusArrived(None),
            *(status(state) for state in ServiceState),
            status(ServiceState.DEGRADED, "camera_lost:front"),
            status(ServiceState.DEGRADED, "starting"),
            status(ServiceState.DEGRADED, "gallery_empty"),
            access(),
            access(("face", 5.0), ("pin", 60.0)),
            access(claim=Factor.BADGE, claim_s=15.0),
            DoorArrived(None),
            *(door(state, "event-0001") for state in LockState),
            ClockDoubted(),
            LivenessMissed(),
        ]
    ),
    st.builds(
        visit,
        st.sampled_from(Phase),
        st.sampled_from(["", "v1", "v2"]),
        st.floats(0, 1),
        st.sampled_from(Hint),
    ),
    st.builds(challenge, st.sampled_from(Step), visit_id=st.sampled_from(["v1", "v2"])),
    st.builds(
        decision,
        st.just(NAME),
        st.sampled_from(["", "v1", "v2"]),
        st.sampled_from(["", "not_recognised", "poor_quality"]),
    ),
)
STORIES = st.lists(st.tuples(st.floats(0, 3), EVENTS), max_size=40)


@given(STORIES)
def test_a_name_stands_only_on_a_fresh_accepted_decision_while_connected(
    story: list[tuple[float, Event]],
) -> None:
    state = initial(0.0, RESULT_S)
    now_s = 0.0
    welcome_until_s = 0.0
    for wait_s, event in story:
        now_s += wait_s
        state = reduce(state, event, now_s)
        match event:
            case DecisionArrived(decision_):
                accepted = decision_.outcome is Outcome.ACCEPTED
                # An answer may wait for the one before it, and that one for its least time.
                least_s = MIN_RESULT_S + now_s
                latest_s = least_s + RESULT_S if accepted else least_s
                welcome_until_s = max(latest_s, min(welcome_until_s, least_s))
            case ChallengeArrived():
                welcome_until_s = 0.0
            case Connected() | Disconnected() | StatusArrived(None):
                welcome_until_s = 0.0
            case StatusArrived(status_) if status_.state is ServiceState.OFFLINE:
                welcome_until_s = 0.0
        if state.screen.name == NAME or state.screen.kind is Kind.WELCOME:
            assert now_s < welcome_until_s
            assert state.connected
        if now_s >= welcome_until_s:
            assert NAME not in repr(state)


@given(STORIES)
def test_with_time_alone_every_story_ends_at_rest(story: list[tuple[float, Event]]) -> None:
    state = initial(0.0, RESULT_S)
    now_s = 0.0
    for wait_s, event in story:
        now_s += wait_s
        state = reduce(state, event, now_s)
    state = reduce(state, Tick(), now_s + START_GRACE_S + RESULT_S + VISIT_SILENCE_S)
    # An answer that waited begins only when the one before it has gone.
    state = reduce(state, Tick(), now_s + START_GRACE_S + 2 * RESULT_S + VISIT_SILENCE_S)
    assert state.screen.kind not in {Kind.WELCOME, Kind.CHECKING, Kind.LOOK_HERE, Kind.CHALLENGE}
    assert NAME not in repr(state)
    assert state.result is None
    assert state.visit is None
    assert state.challenge is None


@given(STORIES)
def test_a_screen_is_never_older_than_the_story_and_its_progress_is_a_share(
    story: list[tuple[float, Event]],
) -> None:
    state = initial(0.0, RESULT_S)
    now_s = 0.0
    for wait_s, event in story:
        now_s += wait_s
        before = state.screen
        state = reduce(state, event, now_s)
        assert before.since_s <= state.screen.since_s <= now_s
        assert state.screen.progress == 0 or state.screen.kind in {Kind.CHECKING, Kind.CHALLENGE}


def test_a_wait_counts_down_and_ends_by_itself() -> None:
    state = after(*ONLINE, (1.0, access(("face", 2.5))))
    shown = []
    for now_s in (1.0, 1.6, 2.6, 3.4, 3.6):
        state = reduce(state, Tick(), now_s)
        shown.append((state.screen.kind, state.screen.left))
    assert [kind for kind, _ in shown] == [Kind.WAIT] * 4 + [Kind.IDLE]
    assert [left for kind, left in shown if kind is Kind.WAIT] == ["0:03", "0:02", "0:01", "0:01"]


def test_a_countdown_is_one_screen_whose_clock_runs_on() -> None:
    state = after(*ONLINE, (1.0, access(("face", 9.0))), (2.0, access(("face", 8.0))))
    assert state.screen.since_s == 1.0


def test_a_long_wait_is_told_in_minutes() -> None:
    assert after(*ONLINE, (1.0, access(("claim", 899.5)))).screen.left == "15:00"


def test_a_daemon_that_says_no_more_of_a_wait_has_ended_it() -> None:
    waits = (*ONLINE, (1.0, access(("face", 500.0))))
    assert after(*waits, (1.0 + ACCESS_SILENCE_S, Tick())).screen.kind is Kind.WAIT
    assert after(*waits, (1.1 + ACCESS_SILENCE_S, Tick())).screen.kind is Kind.IDLE
    assert after(*waits, (2.0, access())).screen.kind is Kind.IDLE


def test_who_can_still_come_in_is_not_told_to_wait() -> None:
    for means in ("badge", "pin"):
        assert after(*ONLINE, (1.0, access((means, 20.0)))).screen.kind is Kind.IDLE
    claimed = access(("face", 20.0), claim=Factor.BADGE, claim_s=15.0)
    state = after(*ONLINE, (1.0, claimed))
    assert (state.screen.kind, state.screen.line) == (Kind.LOOK_HERE, CLAIMED)
    state = reduce(state, visit(Phase.CHECKING, progress=0.5), 1.5)
    assert state.screen.kind is Kind.CHECKING


def test_a_claim_is_awaited_no_longer_than_it_is_good() -> None:
    claimed = (*ONLINE, (1.0, access(claim=Factor.PIN, claim_s=1.5)))
    assert after(*claimed, (2.4, Tick())).screen.kind is Kind.LOOK_HERE
    assert after(*claimed, (2.5, Tick())).screen.kind is Kind.IDLE


def test_a_result_comes_before_the_wait_that_it_costs() -> None:
    state = after(*ONLINE, (1.0, access(("face", 9.0))), (1.1, decision(reason="not_recognised")))
    assert state.screen.kind is Kind.NOT_RECOGNISED
    state = reduce(state, access(("face", 5.0)), 1.2 + RESULT_S)
    assert state.screen.kind is Kind.WAIT


def test_who_is_known_but_may_not_enter_learns_what_is_missing() -> None:
    for reason in ("factor_missing", "not_permitted"):
        screen = after(*ONLINE, (1.0, decision(reason=reason))).screen
        assert (screen.kind, (screen.title, screen.line)) == REFUSALS[reason]


def test_out_of_service_is_said_even_to_who_has_to_wait() -> None:
    trouble = status(ServiceState.DEGRADED, "attempts_error")
    state = after((0.1, Connected()), (0.2, trouble), (1.0, access(("face", 9.0))))
    assert state.screen.kind is Kind.MAINTENANCE


def test_where_a_face_alone_lets_nobody_in_the_screen_asks_for_what_does() -> None:
    for claims, asked in ASKED.items():
        door = asking(*claims)
        idle = after(*door).screen
        assert (idle.kind, idle.line) == (Kind.IDLE, asked)
        near = after(*door, (1.0, visit(Phase.LOOK, hint=Hint.COME_CLOSER))).screen
        assert (near.kind, near.title, near.line) == (Kind.CLAIM, asked, WORDS[Kind.CLAIM][1])
        claimed = (1.1, access(claim=claims[0], claim_s=10.0))
        seen = after(*door, (1.0, visit(Phase.LOOK)), claimed, (1.2, visit(Phase.LOOK)))
        assert seen.screen.kind is Kind.LOOK_HERE, "whoever has shown it is looked at"


def test_the_pad_opens_by_itself_where_a_pin_is_all_that_helps() -> None:
    def near(*claims: Factor, has_pad: bool = True) -> KioskState:
        state = initial(0.0, RESULT_S, has_pad=has_pad)
        for now_s, event in (*asking(*claims), (1.0, visit(Phase.LOOK))):
            state = reduce(state, event, now_s)
        return state

    assert near(Factor.PIN).screen.kind is Kind.PIN_PAD
    assert near(Factor.PIN, has_pad=False).screen.title == ASKED[(Factor.PIN,)]
    both = near(Factor.BADGE, Factor.PIN).screen
    assert (both.kind, both.offers_pad) == (Kind.CLAIM, True)
    put_away = reduce(near(Factor.PIN), KeyPressed(Key.CLOSE), 2.0)
    still_there = reduce(put_away, visit(Phase.LOOK), 2.1)
    assert (still_there.screen.kind, still_there.screen.offers_pad) == (Kind.CLAIM, True)
