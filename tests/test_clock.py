"""A clock says how long the rest takes at the speed so far, and every five minutes that it does."""

from itertools import repeat

from tools.clock import Clock


def test_the_time_left_is_that_of_the_speed_so_far():
    time = iter([100.0, 110.0, 110.0, 110.0, 110.0])
    clock = Clock(500_000, now=lambda: next(time))
    assert clock.rate(1000) == 100
    assert clock.left(1000) == "about 1 h 23 min left"
    clock.leave(480_000)
    assert clock.left(1000) == "about 0 h 3 min left"
    assert clock.left(19_000) == "less than a minute left"


def test_work_that_is_more_than_was_thought_leaves_no_time_below_zero():
    time = iter([0.0, 10.0])
    assert Clock(3, now=lambda: next(time)).left(4) == "less than a minute left"


def test_a_clock_that_stands_still_divides_by_nothing():
    time = repeat(5.0)
    assert Clock(3, now=lambda: next(time)).left(1) == "less than a minute left"


def test_every_five_minutes_it_is_time_to_say_something():
    now = 0.0
    clock = Clock(1, now=lambda: now)
    said = []
    for now in range(0, 1000, 50):
        if clock.due():
            said.append(now)
    assert said == [300, 600, 900]
