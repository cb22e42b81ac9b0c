"""When the broker's certificate ends, at a real broker."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from mosquitto_fixture import Mosquitto, make_certificates

from oneglance.certificate import NOTICE, CertificateWatch, shown_until

NOW = datetime(2026, 5, 4, tzinfo=UTC)
Wait = Callable[..., None]


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def renew(mosquitto: Mosquitto, days: int) -> None:
    mosquitto.stop()
    make_certificates(mosquitto.folder, days=days)
    mosquitto.start()


def test_the_certificate_of_now_is_seen_and_none_that_is_not_trusted(
    mosquitto: Mosquitto,
) -> None:
    mqtt = mosquitto.mqtt("lock")
    for days in (100, 7):
        renew(mosquitto, days)
        assert abs(shown_until(mqtt) - in_days(days)) < timedelta(hours=1)
    make_certificates(mosquitto.folder, "other-")
    stranger = mqtt.model_copy(update={"ca_file": mosquitto.folder / "other-ca.crt"})
    with pytest.raises(ssl.SSLCertVerificationError):
        shown_until(stranger)
    mosquitto.stop()
    with pytest.raises(ConnectionRefusedError):
        shown_until(mqtt)


def test_over_websockets_it_is_the_same(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    port = mosquitto.listen_also("protocol websockets\n")
    mosquitto.start()
    over = {"port": port, "websocket_path": "/mqtt"}
    assert shown_until(mosquitto.mqtt("lock").model_copy(update=over)) > in_days(99)


@pytest.mark.parametrize(
    ("left", "soon"),
    [
        (NOTICE + timedelta(seconds=1), False),
        (NOTICE, True),
        (timedelta(0), True),
        (timedelta(days=-1), True),
    ],
)
def test_its_end_is_near_from_three_weeks_on(left: timedelta, soon: bool, wait_until: Wait) -> None:
    looks: list[datetime] = []

    def look() -> datetime:
        looks.append(NOW)
        return NOW + left

    watch = CertificateWatch(look, lambda: NOW)
    assert not watch.ends_soon
    watch.start()
    wait_until(lambda: len(looks) == 1, "it looks at once")
    wait_until(lambda: watch.ends_soon is soon, "and knows")
    watch.stop()


def test_a_broker_that_is_away_is_no_news_and_is_looked_for_again(wait_until: Wait) -> None:
    # A name that is none raises UnicodeError where it is looked up.
    answers: list[datetime | Exception] = [ConnectionRefusedError(), UnicodeError(), NOW]

    def look() -> datetime:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = CertificateWatch(look, lambda: NOW, again_s=0.01)
    watch.start()
    wait_until(lambda: watch.ends_soon, "it was seen at last")
    watch.stop()
