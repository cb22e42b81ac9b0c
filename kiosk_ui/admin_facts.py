"""What the administration tells of the system and of the last decisions. Pure."""

from __future__ import annotations

from oneglance import __version__
from oneglance.config import Config
from oneglance.contract.messages import (
    CHALLENGE_IGNORED,
    CHALLENGE_NOT_SHOWN,
    FACTOR_MISSING,
    NOT_PERMITTED,
    PRESENTATION_ATTACK,
    Decision,
    Factor,
    Outcome,
    ServiceState,
    Status,
)
from oneglance.kiosk_ui.admin_page import Item
from oneglance.kiosk_ui.language import N_, Say

_STATES = {
    ServiceState.ONLINE: N_("All is well"),
    ServiceState.DEGRADED: N_("Something is out of order"),
    ServiceState.OFFLINE: N_("Off"),
}
_FACTORS = {Factor.FACE: N_("face"), Factor.BADGE: N_("badge"), Factor.PIN: N_("PIN")}
_REASONS = {
    "not_recognised": N_("nobody enrolled looks like that"),
    "ambiguous": N_("two people look like that"),
    "poor_quality": N_("badly seen"),
    PRESENTATION_ATTACK: N_("perhaps a photograph or a screen"),
    CHALLENGE_IGNORED: N_("did not do what was asked"),
    CHALLENGE_NOT_SHOWN: N_("the screen did not show the challenge"),
    NOT_PERMITTED: N_("may not come in at that time"),
    FACTOR_MISSING: N_("badge or PIN was missing"),
}


def facts_of(config: Config, status: Status | None, connected: bool, say: Say) -> tuple[Item, ...]:
    """The door, the daemon with what troubles it, the model, the broker and the screen."""
    mqtt, site = config.mqtt, config.site
    items = [Item("", f"{site.name} / {site.door}", say(N_("the door")))]
    if status is None:
        items.append(Item("", say(N_("Not heard")), say(N_("the daemon"))))
    else:
        items.append(Item("", say(_STATES[status.state]), say(N_("the daemon"))))
        items += [Item("", reason, say(N_("why it is not well"))) for reason in status.reasons]
        model = f"{status.model_id} {status.model_variant}".strip()
        items.append(Item("", model or "-", say(N_("the model"))))
        items.append(Item("", f"oneglance {status.software}", say(N_("the daemon's version"))))
    word = N_("the broker, connected") if connected else N_("the broker, not connected")
    items.append(Item("", f"{mqtt.host}:{mqtt.port}", say(word)))
    items.append(Item("", f"oneglance {__version__}", say(N_("this screen's version"))))
    return tuple(items)


def recent_of(decision: Decision, say: Say) -> Item:
    """One decision: when, and what it came to. Names stay with the daemon."""
    at = decision.issued_at.astimezone().strftime("%H:%M:%S")
    if decision.outcome is Outcome.ACCEPTED:
        shown = " + ".join(say(_FACTORS[factor]) for factor in decision.factors)
        return Item("", say(N_("{time}  let in"), time=at), shown)
    reason = _REASONS.get(decision.reason)
    why = decision.reason.replace("_", " ") if reason is None else say(reason)
    return Item("", say(N_("{time}  not let in"), time=at), why)
