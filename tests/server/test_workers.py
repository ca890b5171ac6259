"""Which workers there should be, told with hand-given times."""

import pytest

from sanicish.server.workers import WorkerPool


class Scene:
    """A pool, and what it asked for."""

    def __init__(self, size=2, start_limit=None, silence=None, impossible=False):
        self.started, self.left, self.killed, self.late = [], [], [], []
        self.impossible = impossible  # to start anything
        self.tries = 0
        self.pool = WorkerPool(size, self._start, self.left.append, self._kill, 20.0, start_limit, silence)
        self.pool.begin(0.0)

    def _start(self, worker):
        self.tries += 1
        if not self.impossible:
            self.started.append(worker)
        return not self.impossible

    def _kill(self, worker, late):
        self.killed.append(worker)
        self.late.append(late)

    def all_ready(self, now=1.0):
        for worker in list(self.started):
            if not worker.ready and worker in self.pool.living:
                self.pool.ready(worker, now)


@pytest.fixture
def scene():
    found = Scene()
    found.all_ready()
    return found


def test_everybody_is_started_and_serves_when_ready():
    scene = Scene(3)
    assert len(scene.started) == 3 and not scene.pool.serving
    scene.all_ready()
    assert scene.pool.serving


def test_one_that_dies_is_started_again_at_once(scene):
    scene.pool.gone(scene.started[0], 100.0)
    assert len(scene.started) == 3 and scene.started[2].slot == 0


def test_one_that_dies_again_and_again_is_started_later_each_time(scene):
    delays, now = [], 100.0
    for _ in range(9):
        worker = [one for one in scene.started if one.slot == 0][-1]
        scene.pool.gone(worker, now)
        due = scene.pool.due()
        delays.append(0.0 if due is None else due - now)
        now += delays[-1]
        scene.pool.tick(now)
    assert delays == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10])


def test_if_the_first_does_not_start_nothing_does():
    scene = Scene()
    scene.pool.gone(scene.started[0], 1.0)
    assert scene.pool.failed and scene.pool.stopping
    assert scene.left == [scene.started[1]]


def test_renewal_goes_one_by_one_and_the_old_leaves_when_the_new_is_ready(scene):
    first, second = scene.started
    scene.pool.renew(10.0)
    assert len(scene.started) == 3 and scene.left == []
    scene.pool.ready(scene.started[2], 11.0)
    assert scene.left == [first] and len(scene.started) == 4
    scene.pool.ready(scene.started[3], 12.0)
    assert scene.left == [first, second] and len(scene.started) == 4


def test_what_does_not_start_leaves_the_old_in_place(scene):
    scene.pool.renew(10.0)
    scene.pool.gone(scene.started[2], 11.0)
    assert scene.left == [] and scene.pool.serving and len(scene.started) == 3
    scene.pool.renew(20.0)
    assert len(scene.started) == 4, "asked again, it tries again"


def test_one_that_is_spent_is_replaced(scene):
    scene.pool.spent(scene.started[1], 10.0)
    scene.pool.ready(scene.started[2], 11.0)
    assert scene.left == [scene.started[1]] and scene.started[2].slot == 1


def test_one_that_does_not_leave_in_time_is_killed(scene):
    scene.pool.stop(10.0)
    assert sorted(worker.slot for worker in scene.left) == [0, 1]
    scene.pool.gone(scene.started[0], 11.0)
    scene.pool.tick(29.9)
    assert scene.killed == []
    scene.pool.tick(30.0)
    assert scene.killed == [scene.started[1]] and scene.late == ["end"]
    scene.pool.gone(scene.started[1], 30.1)
    assert scene.pool.done


def test_one_that_never_becomes_ready_is_killed_and_the_old_one_stays():
    scene = Scene(start_limit=30.0)
    scene.all_ready()
    scene.pool.renew(10.0)
    coming = scene.started[2]
    assert scene.pool.due() == 40.0
    scene.pool.tick(39.9)
    assert scene.killed == []
    scene.pool.tick(40.0)
    scene.pool.tick(41.0)
    assert scene.killed == [coming] and scene.late == ["become ready"] and scene.pool.due() is None
    scene.pool.gone(coming, 41.0)
    assert scene.left == [] and scene.pool.serving
    scene.pool.renew(50.0)
    assert len(scene.started) == 4, "the next renewal is not blocked"


def test_one_that_is_ready_in_time_is_not_killed():
    scene = Scene(start_limit=30.0)
    scene.all_ready()
    scene.pool.tick(1000.0)
    assert scene.killed == []


def test_a_renewal_replaces_what_an_earlier_one_has_started_and_is_not_ready(scene):
    scene.pool.renew(10.0)
    stale = scene.started[2]
    scene.pool.renew(11.0)
    assert scene.left == [stale] and len(scene.started) == 4, "what has changed meanwhile may be good"
    scene.pool.tick(15.9)
    assert scene.killed == []
    scene.pool.tick(16.0)
    assert scene.killed == [stale], "it does not have the patience for one that serves"
    scene.pool.gone(stale, 16.1)
    scene.pool.ready(scene.started[3], 17.0)
    assert scene.left == [stale, scene.started[0]]


def test_a_renewal_replaces_what_is_not_ready_since_the_first_start():
    scene = Scene(1)
    first = scene.started[0]
    scene.pool.renew(10.0)
    assert scene.left == [first] and len(scene.started) == 2
    scene.pool.gone(first, 11.0)
    assert not scene.pool.failed
    scene.pool.ready(scene.started[1], 12.0)
    assert scene.pool.serving


def test_a_renewal_starts_at_once_what_has_died_again_and_again(scene):
    for now in (100.0, 100.1, 100.2):
        scene.pool.tick(now)
        scene.pool.gone([one for one in scene.started if one.slot == 0][-1], now)
    assert scene.pool.due() > 100.2
    count = len(scene.started)
    scene.pool.renew(100.21)
    assert [one.slot for one in scene.started[count:]] == [0, 1]


# Starts that cannot be


def test_if_nothing_can_be_started_at_first_it_fails():
    scene = Scene(impossible=True)
    assert scene.pool.failed and scene.pool.done and scene.tries == 1


def test_a_start_that_cannot_be_is_tried_again_later_each_time(scene):
    scene.impossible = True
    scene.pool.gone(scene.started[0], 100.0)
    delays, now = [], 100.0
    for _ in range(9):
        delays.append(scene.pool.due() - now)
        now += delays[-1]
        scene.pool.tick(now)
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])
    assert scene.tries == 12 and not scene.pool.stopping
    scene.impossible = False
    now = scene.pool.due()
    scene.pool.tick(now)
    assert scene.started[-1].slot == 0
    scene.pool.ready(scene.started[-1], now)
    assert scene.pool.serving and scene.pool.due() is None


def test_all_that_died_are_started_when_it_can_be_again(scene):
    scene.impossible = True
    for worker in list(scene.started):
        scene.pool.gone(worker, 100.0)
    assert scene.tries == 3, "the second waits as long as the first"
    scene.impossible = False
    scene.pool.tick(scene.pool.due())
    assert sorted(worker.slot for worker in scene.started[2:]) == [0, 1]


def test_a_renewal_that_cannot_be_is_tried_again_and_the_old_go_on(scene):
    scene.impossible = True
    scene.pool.renew(100.0)
    assert scene.pool.serving and scene.left == []
    for expected in (100.1, 100.3, 100.7):
        assert scene.pool.due() == pytest.approx(expected)
        scene.pool.tick(scene.pool.due())
    scene.impossible = False
    scene.pool.tick(scene.pool.due())
    scene.pool.ready(scene.started[2], 102.0)
    assert scene.left == [scene.started[0]] and len(scene.started) == 4


def test_what_stops_starts_nothing_more(scene):
    scene.impossible = True
    scene.pool.gone(scene.started[0], 100.0)
    scene.pool.renew(100.0)
    scene.pool.stop(100.0)
    scene.pool.gone(scene.started[1], 100.01)
    assert scene.pool.done and scene.pool.due() is None


# Signs of life


def test_one_that_gives_no_sign_of_life_is_killed_and_replaced():
    scene = Scene(silence=30.0)
    scene.all_ready()
    assert scene.pool.due() == 31.0
    scene.pool.heard(scene.started[0], 25.0)
    scene.pool.tick(31.0)
    assert scene.killed == [scene.started[1]] and scene.late == ["respond"]
    assert scene.pool.due() == 55.0
    scene.pool.gone(scene.started[1], 31.1)
    assert scene.started[2].slot == 1


def test_one_that_starts_need_not_give_signs_of_life():
    scene = Scene(silence=30.0)
    scene.pool.tick(1000.0)
    assert scene.killed == []


def test_one_that_leaves_must_give_signs_of_life_if_it_has_more_time_for_that():
    scene = Scene(1, silence=5.0)
    scene.all_ready()
    scene.pool.heard(scene.started[0], 100.0)
    scene.pool.stop(100.0)
    scene.pool.tick(105.0)
    assert scene.killed == [scene.started[0]] and scene.late == ["respond"]


def test_whoever_is_told_twice_has_little_time_left(scene):
    scene.pool.stop(100.0)
    scene.pool.stop(101.0)
    assert scene.pool.due() == 104.0
    assert len(scene.left) == 4
