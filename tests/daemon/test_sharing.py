"""One door takes over what the house shares, whatever somebody at the broker does to it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from shared_rig import BEGINNING, MODEL, RING, SITE, SIZE, Door, House, listed, template

from oneglance.audit.generations import Versions
from oneglance.audit.log import Audit
from oneglance.audit.proof import prove
from oneglance.contract.keyring import Keyring, Role, entry
from oneglance.contract.sharing import MAX_GALLERY_BYTES, Part, open_part, part_topic
from oneglance.daemon.gallery import sharing
from oneglance.daemon.gallery.sharing import AGAIN_S, WAIT_S
from oneglance.errors import GalleryError
from oneglance.faces.gallery.credentials import changing, read_credentials
from oneglance.faces.gallery.gallery import Gallery
from oneglance.faces.gallery.register import Register
from oneglance.faces.gallery.rows import to_text
from oneglance.faces.gallery.shared import read_part, write_part
from oneglance.faces.gallery.vault import load_key

Opened = Callable[..., Door]
# A time, but none in UTC.
TOO_EARLY = b"0001-01-01T00:00:00+14:00"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def opened(tmp_path: Path, house: House) -> Opened:
    """`opened(name, groups=..., **sharing)`: a door of the house."""

    def opened(
        name: str = "front", groups: tuple[str, ...] | None = None, **sharing: object
    ) -> Door:
        door = Door(tmp_path / name, house, name, **sharing)
        house.doors.append(listed(door, groups))
        return door

    return opened


def test_who_is_enrolled_and_deleted_in_the_house_is_so_at_the_door(
    house: House, opened: Opened
) -> None:
    door = opened()
    house.enrol("Ada", 0)
    house.enrol("Zoe", 1)
    house.publish()
    door.take_over()
    assert door.people() == {"ada": True, "zoe": True}
    first = door.bytes_on_disk()
    sealed = door.sealed("template", "person")
    assert len(sealed) == 4
    assert all(blob in first for blob in sealed)
    house.delete("ada")
    house.publish()
    door.take_over()
    assert door.people() == {"zoe": True}
    # Of whoever is gone no byte is left, in the write-ahead log neither.
    left = [blob for blob in sealed if blob in door.bytes_on_disk()]
    assert set(door.sealed("template")) <= set(left)
    assert len(left) == 2
    assert [(state.version, state.problem) for state in door.states][-1] == (house.version, "")
    assert house.sharer.proves("front", door.states[-1])
    assert not house.sharer.proves("back", door.states[-1])
    assert door.logged("enrolment", "deletion") == [
        ("enrolment", True),
        ("enrolment", True),
        ("deletion", True),
    ]


def test_a_change_of_one_person_asks_for_one_part_and_is_logged_as_what_it_is(
    house: House, opened: Opened
) -> None:
    door = opened()
    for number in range(40):
        house.enrol(f"Person {number}", number % 8)
    before = house.publish()
    door.take_over()
    asked = len(door.asked)
    assert asked == len(before.parts) > 10
    house.edit("person-7", name="Ada King", groups=frozenset({"family"}))
    after = house.publish()
    door.take_over()
    assert len(door.asked) == asked + 1
    assert len(after.parts.keys() - before.parts.keys()) == 1
    with door.gallery() as gallery:
        assert gallery.show("person-7").name == "Ada King"
    assert door.logged("rename", "group_change", "deletion") == [
        ("rename", True),
        ("group_change", True),
    ]


def test_each_door_has_its_groups_alone_and_reads_nothing_of_another_door(
    house: House, opened: Opened
) -> None:
    front, lab, nobody = opened(), opened("lab", ("staff",)), opened("yard", ())
    house.enrol("Ada", 0, groups=frozenset({"staff"}))
    house.enrol("Zoe", 1)
    ready = house.publish()
    for door in (front, lab, nobody):
        door.take_over()
    assert (set(front.people()), set(lab.people()), set(nobody.people())) == (
        {"ada", "zoe"},
        {"ada"},
        set(),
    )
    assert all(b"Ada" not in payload for payload in (*ready.parts.values(), *ready.doors.values()))
    # Another door's message, put on this door's topic: signed, but not for it.
    house.retained[lab.topics.gallery] = ready.doors["front"]
    lab.take_over()
    assert (set(lab.people()), lab.sharing.problems) == ({"ada"}, ("sharing_refused",))
    # A door that is taken out of its group, or out of all, keeps nobody.
    house.doors = [listed(lab, ())]
    house.publish()
    lab.take_over()
    assert (lab.people(), lab.sharing.problems) == ({}, ())


def test_an_older_bundle_that_is_put_back_changes_nothing_and_is_told(
    house: House, opened: Opened
) -> None:
    door = opened()
    house.enrol("Ada", 0)
    house.publish()
    old = dict(house.retained)
    door.take_over()
    house.delete("ada")
    house.publish()
    door.take_over()
    assert door.people() == {}
    house.retained = old
    # Also over a restart, and where what the door keeps of it is gone.
    for _ in range(2):
        door.take_over()
        assert (door.people(), door.sharing.problems[0]) == ({}, "sharing_replayed")
        door.config.sharing_file.unlink(missing_ok=True)
        door.begin()
    house.publish()
    door.take_over()
    assert (door.people(), door.sharing.problems) == ({}, ())


def test_an_older_bundle_is_refused_though_the_newer_one_never_came_whole(
    house: House, opened: Opened
) -> None:
    door = opened()
    house.enrol("Ada", 0)
    house.publish()
    door.take_over()
    house.enrol("Zoe", 1)
    between = house.publish().doors["front"]
    house.delete("ada")
    newest = house.ready()
    house.retained = {door.topics.gallery: newest.doors["front"]}
    door.take_over()
    assert door.people() == {"ada": True}
    house.retained = {door.topics.gallery: between}
    door.take_over()
    assert "sharing_replayed" in door.sharing.problems


def test_a_stolen_key_is_over_once_it_is_revoked_and_another_one_signs(
    house: House, opened: Opened
) -> None:
    """The thief signs the highest version that there is, in which they are enrolled."""
    door = opened()
    house.enrol("Ada", 0)
    house.publish()
    door.take_over()
    honest = dict(house.people)
    new = Ed25519PrivateKey.generate()
    house.enrol("Thief", 1)
    house.version = 2**53 - 2
    house.publish()
    stolen = dict(house.retained)
    door.take_over()
    assert set(door.people()) == {"ada", "thief"}
    # At each door the house's key is revoked, and its new one trusted.
    (former,) = RING.keys
    revoked = former.model_copy(update={"revoked_at": BEGINNING})
    trusted = entry("new", Role.GALLERY, new.public_key(), BEGINNING)
    house.sharer = replace(house.sharer, key_id="new", key=new)
    house.people, house.version = honest, int(datetime.now(UTC).timestamp() * 1000)
    before = house.publish().doors["front"]
    door.ring = Keyring(keys=(former, trusted))
    door.take_over()
    assert door.sharing.problems == ("sharing_replayed",)
    door.ring = Keyring(keys=(revoked, trusted))
    door.work(seconds=AGAIN_S)
    assert (door.people(), door.sharing.problems) == ({"ada": True}, ())
    house.enrol("Zoe", 2)
    house.publish()
    good = dict(house.retained)
    # From now on the new key's versions count alone, after a restart as well.
    for _ in range(2):
        for payload, why in (
            (stolen[door.topics.gallery], "sharing_refused"),
            (before, "sharing_replayed"),
        ):
            house.retained = good
            door.take_over()
            assert (set(door.people()), door.sharing.problems) == ({"ada", "zoe"}, ())
            house.retained = {**good, **stolen, door.topics.gallery: payload}
            door.take_over()
            assert (set(door.people()), door.sharing.problems) == ({"ada", "zoe"}, (why,))
        door.config.sharing_file.unlink()
        door.begin()
    assert prove(door.config.audit_folder, {}).problem is None


def test_a_former_keys_gallery_is_not_put_back_by_setting_the_clock(
    house: House, opened: Opened
) -> None:
    """The next key has expired for a door whose clock is ahead, and the former one has not."""
    door = opened()
    house.enrol("Ada", 0)
    house.publish()
    former = dict(house.retained)
    door.take_over()
    new = Ed25519PrivateKey.generate()
    soon = datetime.now(UTC) + timedelta(hours=1)
    trusted = entry("new", Role.GALLERY, new.public_key(), BEGINNING)
    door.ring = Keyring(keys=(*RING.keys, trusted.model_copy(update={"not_after": soon})))
    house.sharer = replace(house.sharer, key_id="new", key=new)
    house.delete("ada")
    house.publish()
    door.take_over()
    assert (door.people(), door.sharing.problems) == ({}, ())
    door.offset = timedelta(hours=2)
    house.retained = former
    door.take_over()
    assert (door.people(), door.sharing.problems) == ({}, ("sharing_replayed",))


def test_what_a_key_signed_that_is_revoked_meanwhile_is_not_taken_over(
    house: House, opened: Opened
) -> None:
    door = opened()
    house.enrol("Thief", 0)
    topic = part_topic(SITE, min(house.publish().parts))
    late = house.retained.pop(topic)
    door.take_over()
    door.ring = Keyring()
    door.arrive(topic, late)
    door.work()
    assert (door.people(), door.sharing.problems[0]) == ({}, "sharing_refused")


def forged(house: House, door: Door) -> None:
    house.sharer = replace(house.sharer, key=Ed25519PrivateKey.generate())


def of_another_role(house: House, door: Door) -> None:
    (house_key,) = RING.keys
    door.ring = Keyring(keys=(house_key.model_copy(update={"role": Role.ADMINISTRATOR}),))


def revoked(house: House, door: Door) -> None:
    door.ring = RING.changed("house", revoked_at=BEGINNING)


def unknown(house: House, door: Door) -> None:
    door.ring = Keyring()


def of_another_site(house: House, door: Door) -> None:
    house.sharer = replace(house.sharer, site="elsewhere")


def to_another_key(house: House, door: Door) -> None:
    other = X25519PrivateKey.generate().public_key().public_bytes_raw()
    house.doors = [house.doors[0].model_copy(update={"key": b64encode(other).decode()})]


def from_the_future(house: House, door: Door) -> None:
    door.offset = timedelta(minutes=-6)


@pytest.mark.parametrize(
    "wrong",
    [
        *(forged, of_another_role, revoked, unknown),
        *(of_another_site, to_another_key, from_the_future),
    ],
    ids=lambda wrong: wrong.__name__,
)
def test_what_does_not_count_for_this_door_changes_nothing_and_is_told(
    house: House, opened: Opened, wrong: Callable[[House, Door], None]
) -> None:
    door = opened()
    house.enrol("Ada", 0)
    house.publish()
    door.take_over()
    good = house.sharer, list(house.doors)
    house.delete("ada")
    house.enrol("Eve", 1)
    wrong(house, door)
    payload = house.ready().doors["front"]
    door.arrive(door.topics.gallery, payload)
    door.work()
    assert (door.people(), door.sharing.problems) == ({"ada": True}, ("sharing_refused",))
    (house.sharer, house.doors), door.ring, door.offset = good, RING, timedelta(0)
    house.publish()
    door.take_over()
    assert (door.people(), door.sharing.problems) == ({"eve": True}, ())


@pytest.mark.parametrize("change", ["longer", "shorter", "another", "bit", "text"])
def test_a_message_that_was_changed_is_refused(house: House, opened: Opened, change: str) -> None:
    door = opened()
    house.enrol("Ada", 0)
    payload = house.publish().doors["front"]
    changed = {
        "longer": payload + bytes(MAX_GALLERY_BYTES),
        "shorter": payload[:-1],
        "another": payload.replace(b'"version":1', b'"version":2'),
        "bit": payload.replace(b'"sealed":"', b'"sealed":"A'),
        "text": b"{}",
    }[change]
    assert changed != payload
    door.arrive(door.topics.gallery, changed)
    door.work()
    assert door.people() == {}
    assert "sharing_refused" in door.sharing.problems


@pytest.mark.parametrize("change", ["missing", "short", "changed", "swapped", "another's"])
def test_half_a_bundle_changes_nothing_and_the_rest_completes_it(
    house: House, opened: Opened, change: str
) -> None:
    door = opened()
    for number in range(12):
        house.enrol(f"Person {number}", number % 8)
    house.publish()
    door.take_over()
    house.delete("person-3")
    house.enrol("Eve", 1)
    house.enrol("Zoe", 2)
    whole = house.publish()
    good = dict(house.retained)
    new = [topic for topic in good if topic.rpartition("/")[2] in whole.parts]
    first, second = [topic for topic in new if topic not in door.asked][:2]
    if change == "missing":
        del house.retained[first]
    elif change == "short":
        house.retained[first] = good[first][:-1]
    elif change == "changed":
        house.retained[first] = good[first][:-1] + bytes([good[first][-1] ^ 1])
    elif change == "swapped":
        house.retained |= {first: good[second], second: good[first]}
    else:
        house.retained[first] = good[next(topic for topic in new if topic in door.asked)]
    before = door.people()
    door.take_over()
    assert door.people() == before
    door.work(seconds=WAIT_S)
    assert set(door.sharing.problems) & {"sharing_refused", "sharing_incomplete"}
    house.retained = good
    door.work(seconds=AGAIN_S)
    assert set(door.people()) == (before.keys() | {"eve", "zoe"}) - {"person-3"}
    assert door.sharing.problems == ()


def test_a_flood_of_wrong_parts_holds_up_nothing_and_is_told_once(
    house: House, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may publish parts sends the next wrong one before the door is done with the last."""
    door = opened()
    house.enrol("Ada", 0)
    topic = part_topic(SITE, min(house.publish().parts))
    good = house.retained.pop(topic)
    judged = 0

    def flooded(part: Part, payload: bytes) -> bytes:
        nonlocal judged
        judged += 1
        assert judged < 1000
        door.arrive(topic, b"wrong")
        return open_part(part, payload)

    with monkeypatch.context() as patch:
        patch.setattr(sharing, "open_part", flooded)
        door.hear_news()
        door.work(turns=1)
        door.arrive(topic, b"wrong")
        door.work()
    assert judged > 100
    assert (door.people(), door.sharing.problems[0]) == ({}, "sharing_refused")
    assert caplog.text.count("a part is not taken") == 1
    house.retained[topic] = good
    door.work(seconds=AGAIN_S)
    assert door.people() == {"ada": True}


def test_after_weeks_away_a_door_catches_up_and_says_meanwhile_that_it_is_stale(
    house: House, opened: Opened
) -> None:
    door = opened(stale_days=7.0, stale="shut")
    assert (door.sharing.problems, door.sharing.shut) == ((), "gallery_shut")
    house.enrol("Ada", 0)
    house.enrol("Bob", 1)
    house.publish()
    door.take_over()
    assert (door.sharing.problems, door.sharing.shut) == ((), "")
    house.delete("ada")
    house.publish()
    house.enrol("Zoe", 2)
    house.delete("bob")
    house.publish()
    door.offset = timedelta(days=8)
    assert door.sharing.shut == "gallery_shut"
    # The broker was away as well, and holds nothing any more: whoever was known is known.
    door.arrive(door.topics.gallery, b"")
    door.work()
    assert set(door.people()) == {"ada", "bob"}
    door.offset = timedelta(0)
    door.begin()
    door.work()
    assert (door.people(), door.sharing.problems) == ({"zoe": True}, ())
    lax = opened("lax", stale="open").sharing
    assert (lax.problems, lax.shut) == (("gallery_stale",), "")


def test_a_power_cut_at_any_moment_leaves_the_old_gallery_or_the_new_one(
    house: House, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these is the last thing that a door's daemon does before it is gone."""

    class PowerCutError(BaseException):
        pass

    def cut(*_: object, **__: object) -> None:
        raise PowerCutError

    door = opened()
    house.enrol("Ada", 0)
    house.publish()
    door.take_over()
    for number, (owner, name) in enumerate(
        (
            *((Versions, "note"), (Audit, "append_all"), (Gallery, "replace")),
            *((Register, "erased"), (Gallery, "erase"), (sharing, "write_applied")),
        )
    ):
        had = door.people()
        house.people.clear()
        house.enrol(f"New {number}", 1)
        house.publish()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, cut)
            with pytest.raises(PowerCutError):
                door.take_over()
        assert set(door.people()) in (set(had), {f"new-{number}"})
        door.begin()
        door.work()
        assert (door.people(), door.sharing.problems) == ({f"new-{number}": True}, ())
    assert prove(door.config.audit_folder, {}).problem is None


def test_the_house_wins_over_who_is_enrolled_under_the_same_id_and_leaves_all_others(
    house: House, opened: Opened
) -> None:
    door = opened()
    with door.gallery() as gallery:
        for row, name in enumerate(("Ada", "Local")):
            gallery.enrol(name, template(row), MODEL, consent_at=BEGINNING, source="t")
    house.enrol("Ada", 2)
    house.publish()
    door.take_over()
    assert door.people() == {"ada": True, "local": False}
    house.delete("ada")
    house.publish()
    door.take_over()
    assert door.people() == {"local": False}


def test_what_was_changed_at_the_door_is_as_the_house_says_with_its_next_word(
    house: House, opened: Opened
) -> None:
    door = opened()
    house.enrol("Ada", 0)
    house.enrol("Zoe", 1)
    house.publish()
    door.take_over()
    with door.gallery() as gallery:
        gallery.delete("ada")
        gallery.edit("zoe", name="Eve")
    door.take_over()
    with door.gallery() as gallery:
        assert [person.name for person in gallery.list_people()] == ["Ada", "Zoe"]


def test_templates_of_another_model_are_refused_whole(house: House, opened: Opened) -> None:
    door = opened(model="another-2")
    house.enrol("Ada", 0)
    house.publish()
    door.take_over()
    assert door.people() == {}
    assert "sharing_model" in door.sharing.problems
    house.enrol("Zoe", 1, model="other-1")
    with pytest.raises(GalleryError, match="several models: other-1, test-1"):
        house.ready()


def test_who_has_expired_is_not_told_on_and_a_deleted_ones_badge_goes(
    house: House, opened: Opened
) -> None:
    door = opened()
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    house.enrol("Guest", 0, expires_at=soon)
    house.enrol("Ada", 1)
    house.publish()
    door.take_over()
    assert set(door.people()) == {"ada", "guest"}
    with door.gallery() as gallery:
        since = gallery.show("ada").created_at
    key = load_key(door.config.gallery.key_file)
    with changing(door.config.credentials_file, key) as held:
        held[0] = held[0].with_badge("ada", since, "A1")
    house.delete("ada")
    while datetime.now(UTC) < soon:
        pass
    house.publish()
    door.take_over()
    assert door.people() == {}
    assert read_credentials(door.config.credentials_file, key).entries == {}


def test_a_part_that_the_house_itself_made_wrong_is_taken_by_no_door(house: House) -> None:
    """A signature says who it is from, not that it is right: a door checks what it stores."""
    house.enrol("Ada", 0)
    ((record, rows),) = house.people.values()
    good = write_part([(record, rows)])
    # The template's date is the one of its consent.
    dates = (record.person.created_at, record.person.consent_at)
    here = lambda person_id: person_id == "ada"  # noqa: E731
    ((known, stored),) = read_part(good, MODEL, SIZE, here)
    assert (known.person.shared, known.person.name) == (True, "Ada")
    assert (stored == rows).all()
    for wrong in (
        b"",
        b"{}\n",
        good[:-4],
        good + bytes(4),
        write_part([(record, rows * np.float32(2))]),
        write_part([(record, rows), (record, rows)]),
        good.replace(b'"id":"ada"', b'"id":"../a"'),
        good.replace(b'"name":"Ada"', b'"name":"A\\u0000"'),
        good.replace(MODEL.encode(), b"test-2"),
        good.replace(b'"size":8', b'"size":4'),
        good.replace(b'"size":8', b'"size":Infinity'),
        *(good.replace(to_text(date).encode(), TOO_EARLY) for date in dates),
        good.replace(b'"expires_at":null', b'"expires_at":"' + TOO_EARLY + b'"'),
    ):
        assert wrong != good
        with pytest.raises(GalleryError):
            read_part(wrong, MODEL, SIZE, here)
    with pytest.raises(GalleryError, match="belong"):
        read_part(good, MODEL, SIZE, lambda _person_id: False)
