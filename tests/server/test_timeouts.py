"""Which clock runs out when, on a clock that is turned by hand."""

import pytest

from sanicish.config import Timeouts
from sanicish.exchange import DEFAULT_RULES, Rules
from sanicish.server.timeouts import ConnectionWatch, Due, ExchangeWatch, interval
from sanicish.wire import Phase

TIMEOUTS = Timeouts(
    head=10,
    body_idle=10,
    response=10,
    write=10,
    stream_idle=10,
    keep_alive=10,
    linger=10,
    close=10,
    body_rate=100,
    linger_total=60,
)
OFF = Timeouts(*[None] * len(TIMEOUTS))


class Body:
    def __init__(self):
        self.received = self.unread = 0
        self.waiting = self.whole = False


class Exchange:
    def __init__(self):
        self.body = Body()
        self.rules = DEFAULT_RULES
        self.started = False
        self.outcome = None
        self.bytes_sent = 0


class Scene:
    """A connection as a watch sees it, and the clock."""

    def __init__(self, phase=Phase.EXCHANGE, timeouts=TIMEOUTS):
        self.serial = 1
        self.phase = phase
        self.exchange = Exchange() if phase is Phase.EXCHANGE else None
        self.transport = self
        self.unsent = 0
        self.head_size = 0
        self.to_drain = 1_000_000
        self.taken = 0
        self.timeouts = timeouts
        self.now = 1000.0
        self.watch = ConnectionWatch()
        self.exchange_watch = ExchangeWatch(self.now)
        self.look()

    def get_write_buffer_size(self):
        return self.unsent

    def look(self):
        taken = lambda: (self.taken,)  # noqa: E731
        if self.exchange is None:
            return self.watch.look(self, self.timeouts, self.now, taken)
        return self.exchange_watch.look(self.exchange, self.unsent, self.timeouts, self.now, taken)

    def after(self, seconds):
        """Turn the clock and look."""
        self.now += seconds
        return self.look()


IN_PHASES = [
    (Phase.IDLE, Due.IDLE),
    (Phase.HEAD, Due.HEAD),
    (Phase.DRAIN, Due.END),
    (Phase.LINGER, Due.END),
    (Phase.CLOSING, Due.CLOSE),
]


@pytest.mark.parametrize(("phase", "due"), IN_PHASES)
def test_each_phase_has_its_clock(phase, due):
    scene = Scene(phase)
    assert scene.after(9.9) is None
    assert scene.after(0.1) is due


@pytest.mark.parametrize("phase", list(Phase))
def test_a_clock_that_is_off_never_runs_out(phase):
    scene = Scene(phase, OFF)
    scene.unsent = 1
    if scene.exchange:
        scene.exchange.body.waiting = scene.exchange.body.whole = True
    assert scene.after(1e9) is None


@pytest.mark.parametrize(("phase", "due"), IN_PHASES)
def test_a_connection_that_goes_on_starts_its_clocks_again(phase, due):
    scene = Scene(phase)
    scene.after(9)
    scene.serial += 1
    assert scene.after(9) is None
    assert scene.after(9.9) is None
    assert scene.after(0.1) is due


@pytest.mark.parametrize("phase", [Phase.DRAIN, Phase.LINGER])
def test_a_peer_that_goes_on_sending_is_given_longer_but_not_for_ever(phase):
    scene = Scene(phase)
    found = []
    for _ in range(12):
        scene.to_drain -= 1
        found.append(scene.after(5))
    assert found == [None] * 11 + [Due.END]


def test_a_peer_that_falls_silent_while_it_is_lingered_for_is_not_waited_for_longer():
    scene = Scene(Phase.LINGER)
    scene.to_drain -= 1
    assert scene.after(5) is None
    assert scene.after(9.9) is None
    assert scene.after(0.1) is Due.END


def test_the_clock_of_a_head_is_absolute():
    """Bytes that drip do not turn it back: nothing the watch can see moves while a head comes in."""
    scene = Scene(Phase.HEAD)
    assert [scene.after(1) for _ in range(10)][-1] is Due.HEAD


def test_a_head_that_begins_has_its_own_clock():
    scene = Scene(Phase.IDLE)
    scene.after(9)
    scene.phase = Phase.HEAD
    assert scene.after(9) is None
    assert scene.after(10) is Due.HEAD


# The response


def test_an_answer_must_begin():
    scene = Scene()
    assert scene.after(9.9) is None
    assert scene.after(0.1) is Due.RESPONSE


def test_an_answer_that_has_begun_may_take_its_time():
    scene = Scene(timeouts=TIMEOUTS._replace(stream_idle=None))
    scene.exchange.started = True
    assert scene.after(1e6) is None


def test_a_handler_that_waits_for_its_client_is_not_late():
    scene = Scene(timeouts=TIMEOUTS._replace(body_idle=None))
    scene.exchange.body.waiting = True
    assert scene.after(1e6) is None
    scene.exchange.body.waiting = False
    assert scene.after(9.9) is None
    assert scene.after(0.2) is Due.RESPONSE


def test_a_steady_slow_upload_is_never_cut():
    scene = Scene()
    body = scene.exchange.body
    for _ in range(1000):
        body.waiting = not body.waiting
        body.received += 1
        assert scene.after(9) is None


def test_a_handler_that_works_off_what_came_is_not_late():
    scene = Scene()
    body = scene.exchange.body
    body.received = body.unread = 1000
    for _ in range(100):
        body.unread -= 10
        assert scene.after(9) is None
    assert scene.after(10) is Due.RESPONSE


def test_an_answer_that_was_given_without_a_start_is_not_late():
    scene = Scene()
    scene.exchange.outcome = "any"
    assert scene.after(1e6) is None


# The body


def test_a_body_that_is_waited_for_must_move():
    scene = Scene()
    scene.exchange.body.waiting = True
    assert scene.after(9.9) is None
    assert scene.after(0.1) is Due.BODY


def test_a_body_that_nobody_waits_for_need_not_move():
    scene = Scene()
    scene.exchange.started = True
    scene.exchange.bytes_sent = 1
    for _ in range(100):
        scene.exchange.bytes_sent += 1
        assert scene.after(9) is None


def test_the_clock_of_a_body_starts_when_somebody_waits():
    scene = Scene()
    scene.after(9)
    scene.exchange.body.waiting = True
    scene.look()
    assert scene.after(9.9) is None


def test_a_body_that_creeps_is_cut_where_all_of_it_is_waited_for():
    scene = Scene()
    body = scene.exchange.body
    body.waiting = body.whole = True
    for _ in range(4):
        body.received += 99
        assert scene.after(1) is None
    body.received += 99
    assert scene.after(1) is Due.BODY


def test_a_streamed_body_may_creep_unless_a_least_rate_is_set():
    for least, due in ((None, None), (100, Due.BODY)):
        scene = Scene(timeouts=TIMEOUTS._replace(stream_body_rate=least))
        body = scene.exchange.body
        body.waiting = True
        found = []
        for _ in range(5):
            body.received += 99
            found.append(scene.after(1))
        assert found == [None] * 4 + [due]


def test_a_body_that_is_just_fast_enough_is_not_cut():
    scene = Scene()
    body = scene.exchange.body
    body.waiting = body.whole = True
    for _ in range(1000):
        body.received += 100
        assert scene.after(1) is None


def test_a_stream_may_creep():
    scene = Scene()
    body = scene.exchange.body
    body.waiting = True
    for _ in range(100):
        body.received += 1
        assert scene.after(9) is None


def test_a_body_is_not_blamed_for_the_time_its_reader_took():
    scene = Scene()
    body = scene.exchange.body
    body.whole = scene.exchange.started = True
    scene.exchange.bytes_sent = 1
    scene.after(9)
    body.waiting = True
    scene.look()
    assert scene.after(4.9) is None


# Writing


def test_a_client_must_take_what_is_written():
    scene = Scene()
    scene.exchange.started = True
    scene.unsent = 100
    scene.look()
    assert scene.after(9.9) is None
    assert scene.after(0.1) is Due.WRITE


def test_a_steady_slow_download_is_never_cut():
    scene = Scene()
    scene.exchange.started = True
    scene.unsent = 10_000
    for _ in range(1000):
        scene.taken += 1
        assert scene.after(9) is None


def test_a_client_that_takes_nothing_is_cut_however_much_is_written():
    scene = Scene()
    scene.exchange.started = True
    scene.unsent = 100
    scene.look()
    for _ in range(9):
        scene.unsent += 1000
        scene.exchange.bytes_sent += 1000
        assert scene.after(1) is None
    assert scene.after(1) is Due.WRITE


def test_an_answer_that_was_taken_altogether_starts_the_clock_again():
    scene = Scene()
    scene.exchange.started = True
    for _ in range(5):
        scene.unsent = 100
        assert scene.after(9) is None
        scene.unsent = 0
        assert scene.after(9) is None


def test_the_last_bytes_of_an_answer_must_be_taken_too():
    scene = Scene()
    scene.exchange.started = True
    scene.exchange.outcome = "any"
    scene.unsent = 100
    scene.look()
    assert scene.after(10) is Due.WRITE


@pytest.mark.parametrize("phase", [Phase.CLOSING, Phase.LINGER])
def test_a_connection_that_closes_has_a_clock_for_its_last_bytes(phase):
    scene = Scene(phase, TIMEOUTS._replace(close=5, linger=1))
    scene.unsent = 100
    scene.look()
    assert scene.after(4.9) is None
    assert scene.after(0.1) is Due.WRITE


def test_lingering_begins_when_everything_was_taken():
    scene = Scene(Phase.LINGER)
    scene.unsent = 100
    for _ in range(10):
        scene.taken += 1
        assert scene.after(9) is None
    scene.unsent = 0
    assert scene.after(9) is None
    assert scene.after(1) is Due.END


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.HEAD])
def test_a_client_that_takes_the_last_answer_is_not_idle(phase):
    scene = Scene(phase)
    scene.unsent = 100
    for _ in range(10):
        scene.taken += 1
        assert scene.after(9) is None
    scene.unsent = 0
    assert scene.after(9.9) is None
    assert scene.after(0.1) in (Due.IDLE, Due.HEAD)


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.HEAD])
def test_a_client_that_takes_nothing_of_the_last_answer_is_cut(phase):
    scene = Scene(phase, TIMEOUTS._replace(write=5, close=1))
    scene.unsent = 100
    scene.look()
    assert scene.after(4.9) is None
    assert scene.after(0.1) is Due.WRITE


# Streams that fall silent


def test_a_stream_that_writes_nothing_is_cut_if_that_was_asked_for():
    scene = Scene()
    scene.exchange.started = True
    scene.look()
    assert scene.after(9.9) is None
    assert scene.after(0.1) is Due.STREAM


def test_a_stream_that_writes_is_not_silent():
    scene = Scene()
    scene.exchange.started = True
    for _ in range(100):
        scene.exchange.bytes_sent += 1
        assert scene.after(9) is None


def test_a_stream_whose_client_is_slow_is_not_silent():
    scene = Scene(timeouts=TIMEOUTS._replace(write=None))
    scene.exchange.started = True
    scene.unsent = 100
    assert scene.after(100) is None
    scene.unsent = 0
    assert scene.after(9) is None


def test_a_stream_that_has_ended_is_not_silent():
    scene = Scene()
    scene.exchange.started = True
    scene.exchange.outcome = "any"
    assert scene.after(100) is None


# Whose timeouts


def test_an_exchange_may_have_clocks_of_its_own():
    scene = Scene()
    scene.exchange.rules = Rules({"response": 1})
    scene.look()
    assert scene.after(1) is Due.RESPONSE


def test_an_exchange_may_switch_a_clock_off():
    scene = Scene()
    scene.exchange.rules = Rules({"response": None})
    assert scene.after(1e6) is None


def test_a_clock_that_is_set_late_counts_from_then_on():
    scene = Scene()
    assert scene.after(1) is None
    scene.exchange.rules = Rules({"response": 1})
    assert scene.after(0.9) is None
    assert scene.after(0.9) is None
    assert scene.after(0.1) is Due.RESPONSE


# How often one looks


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [
        (TIMEOUTS, 0.5),
        (OFF, 0.5),
        (OFF._replace(head=2), 0.2),
        (OFF._replace(head=0.001), 0.02),
        (OFF._replace(keep_alive=0), 0.5),
        (OFF._replace(body_rate=0.001), 0.5),
    ],
)
def test_one_looks_ten_times_within_the_shortest_clock(timeouts, seconds):
    assert interval(timeouts) == pytest.approx(seconds)


# Rates


def test_a_head_that_creeps_is_due():
    scene = Scene(Phase.HEAD, OFF._replace(head_rate=100))
    scene.head_size = 10
    assert scene.after(4.9) is None
    scene.head_size = 600
    assert scene.after(0.2) is None, "fast enough so far"
    scene.head_size = 700
    assert scene.after(5.1) is Due.HEAD


def test_a_connection_that_says_nothing_has_no_rate():
    assert Scene(Phase.HEAD, OFF._replace(head_rate=100)).after(60) is None


def test_a_reader_that_creeps_is_due():
    scene = Scene(timeouts=OFF._replace(write_rate=100))
    scene.exchange.started, scene.unsent = True, 1_000
    scene.look()
    scene.taken = 600
    assert scene.after(5) is None
    scene.taken = 700
    assert scene.after(5) is Due.WRITE


def test_a_reader_is_measured_only_while_something_waits_for_it():
    scene = Scene(timeouts=OFF._replace(write_rate=100))
    scene.exchange.started, scene.unsent = True, 1_000
    scene.look()
    scene.unsent = 0
    assert scene.after(60) is None
    scene.unsent = 1_000
    assert scene.after(4) is None
    scene.taken = 600
    assert scene.after(5) is None


def test_a_steady_slow_reader_is_never_cut():
    scene = Scene(timeouts=OFF._replace(write_rate=100))
    scene.exchange.started, scene.unsent = True, 1_000
    for _ in range(1_000):
        scene.taken += 110
        assert scene.after(1) is None
