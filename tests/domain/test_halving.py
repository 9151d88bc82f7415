"""Successive halving: which points go on does not depend on who comes first."""

from __future__ import annotations

from itertools import permutations
from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from service.domain.halving import Halving, Rung, Standing, beaten, rungs

THIRDS = Halving(factor=3, first=1)
losses = st.one_of(st.floats(0.1, 9), st.just(nan), st.just(inf))


def test_the_rungs_of_nine_points() -> None:
    assert rungs(THIRDS, 9) == [Rung(1, 3), Rung(3, 1)]
    assert rungs(Halving(2, 4), 5) == [Rung(4, 2), Rung(8, 1)]
    assert rungs(THIRDS, 2) == [Rung(1, 1)]
    assert rungs(THIRDS, 1) == []


def test_a_point_goes_on_until_enough_others_were_better() -> None:
    # two have come to the first rung: of nine, three go on, so nothing is known yet
    two = [Standing(1, {1: 2.0}), Standing(2, {1: 1.0})]
    assert beaten(two, THIRDS, 9) == []
    four = [*two, Standing(3, {1: 1.5}), Standing(4, {1: 1.2})]
    [out] = beaten(four, THIRDS, 9)
    assert (out.number, out.rung, out.loss, out.place, out.reached) == (1, Rung(1, 3), 2.0, 4, 4)


def test_one_that_was_ahead_when_it_came_is_beaten_by_those_that_come_later() -> None:
    # it has gone on to the second rung, which counts no more
    standings = [Standing(1, {1: 2.0, 3: 0.1}), *(Standing(number, {1: 1.0}) for number in (2, 3, 4))]
    assert [one.number for one in beaten(standings, THIRDS, 9)] == [1]


def test_of_equal_losses_the_earlier_points_is_better_and_no_number_is_the_worst() -> None:
    alike = [Standing(number, {1: 1.0}) for number in (1, 2)]
    assert [one.number for one in beaten(alike, THIRDS, 2)] == [2]
    broken = [Standing(1, {1: nan}), Standing(2, {1: 8.0})]
    assert [one.number for one in beaten(broken, THIRDS, 2)] == [1]


@given(st.lists(st.tuples(losses, losses, losses), min_size=1, max_size=5), st.integers(2, 4))
def test_who_comes_through_does_not_depend_on_the_order(all_losses: list[tuple[float, ...]], factor: int) -> None:
    """Points are trained one after the other, each to its end or until it is beaten: in whatever order, the same one is
    never beaten."""
    halving, count = Halving(factor, 1), len(all_losses)
    at = [rung.evaluations for rung in rungs(halving, count)]
    whole = [Standing(number, dict(zip(at, told, strict=False))) for number, told in enumerate(all_losses, 1)]
    side_by_side = {one.number for one in beaten(whole, halving, count)}
    for order in permutations(range(count)):
        seen: dict[int, dict[int, float]] = {}
        for index in order:
            one = whole[index]
            for rung, loss in one.losses.items():
                seen.setdefault(one.number, {})[rung] = loss
                standings = [Standing(number, told) for number, told in seen.items()]
                if one.number in {out.number for out in beaten(standings, halving, count)}:
                    break
        standings = [Standing(number, told) for number, told in seen.items()]
        assert {out.number for out in beaten(standings, halving, count)} == side_by_side


@given(st.lists(losses, min_size=2, max_size=30), st.integers(2, 5))
def test_of_n_points_as_many_go_on_as_the_rung_says(told: list[float], factor: int) -> None:
    halving = Halving(factor, 1)
    standings = [Standing(number, {1: loss}) for number, loss in enumerate(told, 1)]
    out = beaten(standings, halving, len(told))
    assert len(told) - len(out) == rungs(halving, len(told))[0].goes_on
    kept = {one.number for one in standings} - {one.number for one in out}
    finite = [inf if loss != loss else loss for loss in told]
    assert all(finite[one - 1] <= finite[other.number - 1] for one in kept for other in out)
