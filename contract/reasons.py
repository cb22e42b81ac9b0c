"""Every reason that a status can give: what it means, who comes in meanwhile, what to do.

`docs/status.md` is made of this: python -m oneglance.contract.reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Effect(StrEnum):
    """Who is let in while a reason lasts."""

    NOBODY = "nobody"
    OTHER_CAMERAS = "who comes before another camera"
    NO_CLAIMS = "faces; no badge or PIN counts"
    UNSEEN = "nobody who has to be seen to live; with `liveness.policy` off everybody"
    EVERYBODY = "everybody, as before"


@dataclass(frozen=True, slots=True)
class Reason:
    """A word of `Status.reasons`; one about a camera is followed by `:NAME`."""

    name: str
    meaning: str
    effect: Effect
    fix: str


REASONS = (
    Reason(
        "starting",
        "the cameras are being opened for the first time",
        Effect.NOBODY,
        "wait; if it lasts, `oneglance doctor` says which camera cannot be opened",
    ),
    Reason(
        "vanished",
        "the daemon is gone without a word: killed, without power, or cut off from the broker",
        Effect.NOBODY,
        "`systemctl status oneglance`, and the network between daemon and broker",
    ),
    Reason(
        "failed",
        "the daemon ended with an error; systemd starts it again",
        Effect.NOBODY,
        "`journalctl -u oneglance -n 50` names the error",
    ),
    Reason(
        "camera_lost",
        "no picture comes; the camera is opened again and again",
        Effect.OTHER_CAMERAS,
        "cable, power, address, password; `oneglance camera show`",
    ),
    Reason(
        "camera_dark",
        "99 % of the picture is black",
        Effect.OTHER_CAMERAS,
        "a cap on the lens, or no light at the door",
    ),
    Reason(
        "camera_frozen",
        "the very same picture came for 10 s",
        Effect.OTHER_CAMERAS,
        "restart the camera; look for a newer firmware",
    ),
    Reason(
        "camera_corrupt",
        "something came that is no picture, and then a picture again",
        Effect.EVERYBODY,
        "if it returns: cable, Wi-Fi, a stream over TCP instead of UDP",
    ),
    Reason(
        "camera_resized",
        "the pictures changed their size",
        Effect.EVERYBODY,
        "if nobody did that on purpose, look at the camera's settings",
    ),
    Reason(
        "camera_slow",
        "fewer than 4 pictures a second come, too few to tell a face from a screen",
        Effect.UNSEEN,
        "more light (cameras slow down in the dark), a smaller picture, a better network",
    ),
    Reason(
        "camera_fast",
        "more than 70 pictures a second come; 40 are looked at",
        Effect.EVERYBODY,
        "set the camera to 15 to 30",
    ),
    Reason(
        "gallery_empty",
        "nobody is enrolled, or nobody's enrolment counts now",
        Effect.NOBODY,
        "`oneglance people enrol`",
    ),
    Reason(
        "gallery_error",
        "the gallery cannot be read, was replaced, or belongs to another key or model",
        Effect.NOBODY,
        "the journal says which; restore a backup, or put the key back",
    ),
    Reason(
        "gallery_restored",
        "the gallery is an older copy: whoever was deleted since is in it again",
        Effect.NOBODY,
        "`oneglance people list`; if it is right, `oneglance people accept-restore`",
    ),
    Reason(
        "audit_behind",
        "the audit log is older than the gallery, or gone",
        Effect.NOBODY,
        "put the log back; if there is none, `oneglance people accept-restore`",
    ),
    Reason(
        "audit_error",
        "the audit log cannot be written",
        Effect.NOBODY,
        "room and rights on the disk; nothing has to be restarted",
    ),
    Reason(
        "audit_tampered",
        "the audit log was altered, or signed with a key that is not known",
        Effect.NOBODY,
        "`oneglance audit verify`; ask who did it before you accept it",
    ),
    Reason(
        "far_unsupported",
        "more templates are enrolled than `decision.far` allows with this model",
        Effect.NOBODY,
        "delete people, or choose a larger `decision.far`, or ask for badge or PIN as well",
    ),
    Reason(
        "clock_set",
        "the clock was set by more than a second",
        Effect.NOBODY,
        "wait 10 s; if it returns, look at the time synchronisation (`timedatectl`)",
    ),
    Reason(
        "sequence_error",
        "the number of the next decision cannot be kept on disk",
        Effect.NOBODY,
        "room and rights on the disk; nothing has to be restarted",
    ),
    Reason(
        "liveness_model",
        "the liveness model that the policy needs is missing, altered or not signed",
        Effect.NOBODY,
        "install it again, or name its folder in `[liveness]`",
    ),
    Reason(
        "attempts_error",
        "the file of failed attempts cannot be read or written",
        Effect.NOBODY,
        "room and rights on the disk; nothing has to be restarted",
    ),
    Reason(
        "attempts_restored",
        "the file of failed attempts is an older copy, or gone",
        Effect.NOBODY,
        "wait until no failure would count any more, or `oneglance command reset-lockout`",
    ),
    Reason(
        "credentials_error",
        "the file of badges and PINs is damaged or cannot be read",
        Effect.NO_CLAIMS,
        "restore a backup of it",
    ),
    Reason(
        "credentials_restored",
        "the file of badges and PINs is an older copy: one taken away since is in it again",
        Effect.NO_CLAIMS,
        "put the newer one back, or `oneglance people accept-restore`",
    ),
    Reason(
        "keyring_error",
        "the keyring is gone, damaged or for everybody to change: no command counts",
        Effect.NO_CLAIMS,
        "the journal says which; put a copy back, e.g. the lock's",
    ),
    Reason(
        "sharing_replayed",
        "an older version of the shared gallery was put back at the broker; the newer one counts",
        Effect.EVERYBODY,
        "`oneglance people sync`; find out who may write to the broker's `gallery` topics",
    ),
    Reason(
        "sharing_refused",
        "the shared gallery is not signed by a key that counts, not for this door, or was changed",
        Effect.EVERYBODY,
        "the journal says which; `oneglance keys list` here, then `oneglance people sync`",
    ),
    Reason(
        "sharing_model",
        "the shared gallery's templates are of another model than this door's",
        Effect.EVERYBODY,
        "bring the doors to one version, then `oneglance people sync`",
    ),
    Reason(
        "sharing_incomplete",
        "parts of the shared gallery have been missing for 30 s",
        Effect.EVERYBODY,
        "the next `oneglance people sync` publishes them again",
    ),
    Reason(
        "sharing_error",
        "the shared gallery cannot be stored, logged or erased now",
        Effect.EVERYBODY,
        "the journal says why; it is tried again every 10 s",
    ),
    Reason(
        "gallery_stale",
        "no news of the shared gallery came for `sharing.stale_days`",
        Effect.EVERYBODY,
        "`oneglance people sync`, and the network between here and the broker",
    ),
    Reason(
        "gallery_shut",
        'no news of the shared gallery for `sharing.stale_days`, and `sharing.stale` is "shut"',
        Effect.NOBODY,
        "`oneglance people sync`, and the network between here and the broker",
    ),
    Reason(
        "decisions_refused",
        "the broker refused the newest decision: no lock heard it",
        Effect.NOBODY,
        "the broker's ACL for `oneglance-daemon`, then `oneglance command test-lock`",
    ),
    Reason(
        "commands_unheard",
        "the broker does not let the daemon hear commands",
        Effect.EVERYBODY,
        "the broker's ACL for `oneglance-daemon`",
    ),
    Reason(
        "certificate_ends",
        "the broker's certificate ends within 21 days; after that nobody connects to it",
        Effect.EVERYBODY,
        "make a new one, and take it to every machine: docs/broker.md",
    ),
)

_BY_NAME = {reason.name: reason for reason in REASONS}
_BEGIN, _END = "<!-- begin: reasons -->", "<!-- end: reasons -->"


def find(word: str) -> Reason | None:
    """The reason that a status' word is about, e.g. `camera_lost:front`; None if it is not ours."""
    return _BY_NAME.get(word.partition(":")[0])


def advice(words: list[str]) -> str:
    """What to do about these, in one line; empty if none is ours."""
    known = [reason for word in words if (reason := find(word)) is not None]
    return "; ".join(f"{reason.name}: {reason.fix.replace('`', '')}" for reason in known)


def filled(page: str) -> str:
    """The page with the table of all reasons between its marks."""
    before, _, rest = page.partition(_BEGIN)
    lines = ["| reason | what | who is let in meanwhile | what to do |", "|---|---|---|---|"]
    for reason in REASONS:
        name = f"{reason.name}:NAME" if reason.name.startswith("camera_") else reason.name
        lines.append(f"| `{name}` | {reason.meaning} | {reason.effect} | {reason.fix} |")
    table = "\n".join(lines)
    return f"{before}{_BEGIN}\n{table}\n{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    PAGE = Path("docs/status.md")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
