"""Which pictures make a batch, whoever is in the data."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.errors import ConfigError
from oneglance.training.faces.samplers import PairSampler, PeopleSampler

# How many pictures each person has: two people or more, one of them with two pictures or more.
COUNTS = st.lists(st.integers(1, 6), min_size=2, max_size=8).filter(lambda many: max(many) > 1)
PLACES = st.tuples(st.integers(0, 2**31), st.integers(1, 50), st.integers(0, 500))


def people_of(counts: list[int]) -> list[str]:
    """Pictures of named people, shuffled."""
    people = [f"person {n}" for n, count in enumerate(counts) for _ in range(count)]
    return [people[row] for row in np.random.default_rng(len(people)).permutation(len(people))]


@given(COUNTS, PLACES, st.integers(2, 12), st.sampled_from([0.25, 0.5, 0.75]))
def test_pairs_are_genuine_and_impostor_in_the_stated_share(
    counts: list[int], place: tuple[int, int, int], pairs: int, genuine: float
) -> None:
    people = people_of(counts)
    rows, same = PairSampler(people, pairs, genuine).draw(*place)
    assert rows.shape == (pairs, 2)
    assert same.sum() == round(genuine * pairs)
    for (a, b), alike in zip(rows, same, strict=True):
        assert a != b
        assert (people[a] == people[b]) == bool(alike)


@given(COUNTS, PLACES, st.integers(2, 4))
def test_a_batch_of_people_has_as_many_people_and_pictures_as_asked(
    counts: list[int], place: tuple[int, int, int], pictures: int
) -> None:
    people = people_of(counts)
    several = sum(count > 1 for count in counts)
    sampler = PeopleSampler(people, several, pictures)
    rows, numbers = sampler.draw(*place)
    assert sampler.alone == len(counts) - several
    assert Counter(Counter(numbers.tolist()).values()) == {pictures: several}
    for number in set(numbers.tolist()):
        mine = rows[numbers == number]
        names = {people[row] for row in mine}
        assert len(names) == 1
        has = people.count(names.pop())
        # Every picture once before any comes again.
        assert len(set(mine.tolist())) == min(has, pictures)


@given(COUNTS, PLACES)
def test_a_batch_hangs_on_seed_epoch_and_step_alone(
    counts: list[int], place: tuple[int, int, int]
) -> None:
    people = people_of(counts)
    used = PairSampler(people, 6)
    for step in range(3):
        used.draw(place[0], place[1] + 1, step)
    assert np.array_equal(used.draw(*place)[0], PairSampler(people, 6).draw(*place)[0])
    one = PeopleSampler(people, 1, 2)
    assert np.array_equal(one.draw(*place)[0], PeopleSampler(people, 1, 2).draw(*place)[0])


def test_another_seed_epoch_or_step_is_another_batch() -> None:
    sampler = PairSampler(people_of([5] * 40), 32)
    batches = [sampler.draw(*place)[0] for place in ((1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1))]
    for number, batch in enumerate(batches):
        for other in batches[:number]:
            assert not np.array_equal(batch, other)


def test_a_person_with_many_pictures_counts_no_more_than_another() -> None:
    people = ["star"] * 200 + [f"p{n}" for n in range(9) for _ in range(2)]
    sampler = PairSampler(people, 100, 0.5)
    shown = Counter(
        people[row] for step in range(20) for row in sampler.draw(3, 1, step)[0][:50, 0]
    )
    assert 0.05 < shown["star"] / 1000 < 0.16


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ([], "0 people"),
        (["a", "a", "a"], "1 people"),
        (["a", "b", "c"], "nobody has a second picture"),
    ],
)
def test_people_who_make_no_batch_are_refused_in_one_line(people: list[str], told: str) -> None:
    for make in (lambda: PairSampler(people, 4), lambda: PeopleSampler(people, 2, 2)):
        with pytest.raises(ConfigError, match=told) as caught:
            make()
        assert caught.value.fix


def test_a_batch_of_more_people_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="a batch of 3 people takes more than the 2"):
        PeopleSampler(["a", "a", "b", "b", "c"], 3, 2)
