"""Which workers there should be, told with hand-given times."""

import pytest

from sanicish.server.workers import Crew


class Scene:
    """A crew, and what it asked for."""

    def __init__(self, size=2, start_limit=None):
        self.started, self.left, self.killed = [], [], []
        self.crew = Crew(size, self.started.append, self.left.append, self.killed.append, 20.0, start_limit)
        self.crew.begin(0.0)

    def all_ready(self, now=1.0):
        for worker in list(self.started):
            if not worker.ready and worker in self.crew.living:
                self.crew.ready(worker, now)


@pytest.fixture
def scene():
    found = Scene()
    found.all_ready()
    return found


def test_everybody_is_started_and_serves_when_ready():
    scene = Scene(3)
    assert len(scene.started) == 3 and not scene.crew.serving
    scene.all_ready()
    assert scene.crew.serving


def test_one_that_dies_is_started_again_at_once(scene):
    scene.crew.gone(scene.started[0], 100.0)
    assert len(scene.started) == 3 and scene.started[2].slot == 0


def test_one_that_dies_again_and_again_is_started_later_each_time(scene):
    delays, now = [], 100.0
    for _ in range(9):
        worker = [one for one in scene.started if one.slot == 0][-1]
        scene.crew.gone(worker, now)
        due = scene.crew.due()
        delays.append(0.0 if due is None else due - now)
        now += delays[-1]
        scene.crew.tick(now)
    assert delays == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10])


def test_if_the_first_does_not_start_nothing_does():
    scene = Scene()
    scene.crew.gone(scene.started[0], 1.0)
    assert scene.crew.failed and scene.crew.stopping
    assert scene.left == [scene.started[1]]


def test_renewal_goes_one_by_one_and_the_old_leaves_when_the_new_is_ready(scene):
    first, second = scene.started
    scene.crew.renew(10.0)
    assert len(scene.started) == 3 and scene.left == []
    scene.crew.ready(scene.started[2], 11.0)
    assert scene.left == [first] and len(scene.started) == 4
    scene.crew.ready(scene.started[3], 12.0)
    assert scene.left == [first, second] and len(scene.started) == 4


def test_what_does_not_start_leaves_the_old_in_place(scene):
    scene.crew.renew(10.0)
    scene.crew.gone(scene.started[2], 11.0)
    assert scene.left == [] and scene.crew.serving and len(scene.started) == 3
    scene.crew.renew(20.0)
    assert len(scene.started) == 4, "asked again, it tries again"


def test_one_that_is_spent_is_replaced(scene):
    scene.crew.spent(scene.started[1], 10.0)
    scene.crew.ready(scene.started[2], 11.0)
    assert scene.left == [scene.started[1]] and scene.started[2].slot == 1


def test_one_that_does_not_leave_in_time_is_killed(scene):
    scene.crew.stop(10.0)
    assert sorted(worker.slot for worker in scene.left) == [0, 1]
    scene.crew.gone(scene.started[0], 11.0)
    scene.crew.tick(29.9)
    assert scene.killed == []
    scene.crew.tick(30.0)
    assert scene.killed == [scene.started[1]]
    scene.crew.gone(scene.started[1], 30.1)
    assert scene.crew.done


def test_one_that_never_becomes_ready_is_killed_and_the_old_one_stays():
    scene = Scene(start_limit=30.0)
    scene.all_ready()
    scene.crew.renew(10.0)
    coming = scene.started[2]
    assert scene.crew.due() == 40.0
    scene.crew.tick(39.9)
    assert scene.killed == []
    scene.crew.tick(40.0)
    scene.crew.tick(41.0)
    assert scene.killed == [coming] and scene.crew.due() is None
    scene.crew.gone(coming, 41.0)
    assert scene.left == [] and scene.crew.serving
    scene.crew.renew(50.0)
    assert len(scene.started) == 4, "the next renewal is not blocked"


def test_one_that_is_ready_in_time_is_not_killed():
    scene = Scene(start_limit=30.0)
    scene.all_ready()
    scene.crew.tick(1000.0)
    assert scene.killed == []


def test_a_renewal_that_is_asked_for_while_another_fails_is_done(scene):
    scene.crew.renew(10.0)
    scene.crew.renew(11.0)
    scene.crew.gone(scene.started[2], 12.0)
    assert len(scene.started) == 4, "what has changed meanwhile may be good"
    scene.crew.ready(scene.started[3], 13.0)
    assert scene.left == [scene.started[0]]
