"""What the codes by which an MQTT 5 broker refuses mean here, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass

_ACL = "check the broker's ACL"
_OURS = "please report it: oneglance does not ask for this"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a broker refuses, and the way out; `lasting` if trying again would not help."""

    what: str
    fix: str
    lasting: bool = True


_ACCOUNT = "check mqtt.user and mqtt.password_file, and the broker's password file"
_BUSY = "it is tried again; if that lasts, look at the broker's log and limits"
_MOVED = "name the other one in mqtt.host and mqtt.port"

# MQTT 5.0, 3.2.2.2: the codes of CONNACK.
_CONNECT = {
    0x80: Refusal("without saying why", "look at the broker's log"),
    0x81: Refusal("it could not read our packet", "is it an MQTT 5 broker? Look at its log"),
    0x82: Refusal("it takes our packet for wrong", "is it an MQTT 5 broker? Look at its log"),
    0x83: Refusal("for a reason of its own", "look at the broker's log"),
    0x84: Refusal(
        "it does not speak MQTT 5",
        "let it: decisions need its message expiry, so MQTT 3.1.1 is not enough",
    ),
    0x85: Refusal("it does not take our client id", "let it take ids that begin with 'oneglance-'"),
    0x86: Refusal("the user or password is wrong", _ACCOUNT),
    0x87: Refusal(
        "this user may not connect",
        "check mqtt.user, mqtt.password_file and mqtt.cert_file, the broker's users and ACL",
    ),
    0x88: Refusal("its server is unavailable", _BUSY, lasting=False),
    0x89: Refusal("it is busy", _BUSY, lasting=False),
    0x8A: Refusal("it has banned us", "take this client or address off the broker's ban list"),
    0x8C: Refusal("it wants another way to log in", "let it take a password or a certificate"),
    0x90: Refusal("it does not take the topic of our last will", _ACL),
    0x95: Refusal("our packet is too large for it", "raise the broker's largest packet size"),
    0x97: Refusal("a quota of it is used up", _BUSY, lasting=False),
    0x99: Refusal("it does not take the text of our last will", _OURS),
    0x9A: Refusal("it retains no messages", "let the broker retain messages: status needs it"),
    0x9B: Refusal("it has no QoS 1", "let the broker take QoS 1: decisions need it"),
    0x9C: Refusal("another server is to be used for now", _MOVED),
    0x9D: Refusal("it has moved to another server", _MOVED),
    0x9F: Refusal("we connect too often", _BUSY, lasting=False),
}

# 3.9.3: the codes of SUBACK.
_SUBSCRIBE = {
    0x83: Refusal("for a reason of its own", "look at the broker's log"),
    0x87: Refusal("this user may not hear it", _ACL),
    0x8F: Refusal("it does not take such a topic", _OURS),
    0x91: Refusal("the packet's number is in use", _OURS),
    0x97: Refusal("a quota of it is used up", "raise the broker's limit of subscriptions"),
    0x9E: Refusal("it has no shared subscriptions", _OURS),
    0xA1: Refusal("it has no subscription identifiers", _OURS),
    0xA2: Refusal("it has no wildcards in topics", "let the broker take '+' and '#'"),
}


def connect_refusal(code: int) -> Refusal:
    """What a code of CONNACK from 128 on means; one that MQTT 5 does not know as well."""
    unknown = Refusal(f"with the unknown code {code}", "look at the broker's log")
    return _CONNECT.get(code, unknown)


def subscribe_refusal(code: int) -> Refusal:
    """What a code of SUBACK from 128 on means; one that MQTT 5 does not know as well."""
    return _SUBSCRIBE.get(code, Refusal("without saying why", _ACL + " and log"))
