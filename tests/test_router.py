"""Paths to routes and back: parameters of both eras, hosts, slashes, methods, ``url_for``."""

import re
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.exceptions import MethodNotAllowed, NotFound, URLBuildError
from sanicish.router import Parameter, Route, RouteOptions, Router


def handler(request):
    """Never called here."""


def routes(*patterns: str, method: str = "GET", **options) -> Router:
    """A router with a route of its own handler for each pattern."""
    router = Router()
    for pattern in patterns:
        router.add(Route(pattern, method, lambda request: None, name=pattern, **options))
    return router


def match(router: Router, path: str, method: str = "GET", host: str | None = None):
    """The pattern that was found and its values."""
    route, values = router.match(method, path, host)
    return route.uri, values


def values(pattern: str, path: str, **options):
    return routes(pattern, **options).match("GET", path, None)[1]


def misses(router: Router, path: str) -> bool:
    try:
        router.match("GET", path, None)
    except NotFound:
        return True
    return False


# Parameters


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/<x>", "/abc", "abc"),
        ("/<x:string>", "/a-b.c", "a-b.c"),
        ("/<x:str>", "/abc", "abc"),
        ("/<x:int>", "/42", 42),
        ("/<x:int>", "/-42", -42),
        ("/<x:int>", "/007", 7),
        ("/<x:number>", "/1", 1.0),
        ("/<x:number>", "/1.5", 1.5),
        ("/<x:number>", "/-.5", -0.5),
        ("/<x:number>", "/2.", 2.0),
        ("/<x:float>", "/2.25", 2.25),
        ("/<x:alpha>", "/Abc", "Abc"),
        ("/<x:slug>", "/a-slug-2", "a-slug-2"),
        ("/<x:[A-z]+>", "/Name", "Name"),
        ("/<x:[a-z]{3}>", "/abc", "abc"),
        ("/<x:a|b>", "/b", "b"),
        ("/<x:(?:north|south)(?:east|west)?>", "/northwest", "northwest"),
        ("/<x:path>", "/a/b/c.txt", "a/b/c.txt"),
        ("/<x:path>", "/a", "a"),
        ("/<x:ymd>", "/2024-02-29", date(2024, 2, 29)),
        ("/<x:uuid>", "/123e4567-e89b-12d3-a456-426655440000", UUID("123e4567-e89b-12d3-a456-426655440000")),
        ("/<x:uuid>", "/123E4567-E89B-12D3-A456-426655440000", UUID("123e4567-e89b-12d3-a456-426655440000")),
        ("/<x:strorempty>", "/", ""),
    ],
)
def test_parameter_is_converted(pattern, path, expected):
    found = values(pattern, path)["x"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/<x>", "/"),
        ("/<x>", "/a/b"),
        ("/<x:int>", "/"),
        ("/<x:int>", "/a"),
        ("/<x:int>", "/1.0"),
        ("/<x:int>", "/+1"),
        ("/<x:int>", "/--1"),
        ("/<x:int>", "/1_000"),
        ("/<x:number>", "/"),
        ("/<x:number>", "/-"),
        ("/<x:number>", "/."),
        ("/<x:number>", "/1e5"),
        ("/<x:number>", "/nan"),
        ("/<x:number>", "/inf"),
        ("/<x:alpha>", "/abc1"),
        ("/<x:slug>", "/-a"),
        ("/<x:[A-z]+>", "/ab1"),
        ("/<x:[a-z]{3}>", "/abcd"),
        ("/<x:a|b>", "/c"),
        ("/<x:path>", "/"),
        ("/<x:path>", "//etc/passwd"),
        ("/<x:ymd>", "/2023-02-29"),
        ("/<x:ymd>", "/2023-13-01"),
        ("/<x:uuid>", "/123e4567-e89b-12d3-a456-42665544000"),
        ("/<x:uuid>", "/123e4567e89b12d3a456426655440000"),
        ("/<x:uuid>", "/g23e4567-e89b-12d3-a456-426655440000"),
    ],
)
def test_value_of_another_kind_is_not_found(pattern, path):
    assert misses(routes(pattern), path)


def test_int_may_be_larger_than_a_machine_word():
    assert values("/<x:int>", "/123456789012345678901234567890") == {"x": 123456789012345678901234567890}


def test_int_with_more_digits_than_python_converts_is_not_found():
    assert misses(routes("/<x:int>"), "/" + "9" * 5000)


def test_int_takes_ascii_digits_only():
    assert misses(routes("/<x:int>"), "/٣")


def test_several_parameters_in_one_segment():
    assert values("/<name>.<kind:[a-z]+>", "/report.v2.csv") == {"name": "report.v2", "kind": "csv"}


def test_parameter_between_literals():
    assert values("/u/<name>/posts/<id:int>", "/u/bob/posts/7") == {"name": "bob", "id": 7}


def test_literal_dot_in_a_pattern_matches_a_dot_only():
    assert misses(routes("/<x:int>.txt"), "/1atxt")


def test_expression_with_a_slash_reaches_over_segments():
    assert values("/f/<x:[a-z]+/[0-9]+>", "/f/abc/123") == {"x": "abc/123"}


def test_expression_that_takes_anything_reaches_over_segments():
    assert values("/f/<x:.*>/end", "/f/a/b/c/end") == {"x": "a/b/c"}


def test_expression_may_hold_groups_and_alternatives():
    assert values("/<x:(a|b)+c>", "/abac") == {"x": "abac"}


def test_path_in_the_middle_is_followed_by_its_literal():
    assert values("/f/<p:path>/edit", "/f/a/edit/b/edit") == {"p": "a/edit/b"}


def test_path_keeps_its_slash_at_the_end():
    assert values("/f/<p:path>", "/f/dir/") == {"p": "dir/"}


def test_path_with_a_slash_of_the_pattern_behind_it_leaves_that_one_out():
    assert values("/f/<p:path>/", "/f/dir/") == {"p": "dir"}


def test_first_of_two_paths_takes_as_little_as_it_can():
    assert values("/<a:path>/<b:path>", "/1/2/3") == {"a": "1", "b": "2/3"}


def test_values_stay_percent_encoded():
    assert values("/<x>", "/a%20b%2Fc") == {"x": "a%20b%2Fc"}


def test_values_are_decoded_when_the_route_asks_for_it():
    options = RouteOptions(unquote=True)
    assert values("/<x>", "/caf%C3%A9%20a%2Fb", options=options) == {"x": "café a/b"}


def test_decoding_leaves_converted_values_alone():
    assert values("/<x:int>/<y>", "/5/%41", options=RouteOptions(unquote=True)) == {"x": 5, "y": "A"}


def test_percent_encoded_line_break_does_not_end_a_match():
    assert misses(routes("/<x:[a-z]+>"), "/abc%0A")


@pytest.mark.parametrize("text", ["<1x>", "<>", "<a b>", "<x-y>", "<:int>"])
def test_parameter_needs_a_name_that_can_be_an_argument(text):
    with pytest.raises(ValueError, match="cannot name a parameter"):
        Route(f"/{text}", "GET", handler)


def test_parameter_may_not_be_named_twice():
    with pytest.raises(ValueError, match="names the parameter x twice"):
        Route("/<x>/<x:int>", "GET", handler)


@pytest.mark.parametrize("text", ["<x:[a-z>", "<x:(a>", "<x:*>", "<x:(?i)a>", "<x:(?P<x>a)>"])
def test_broken_expression_is_refused_with_its_text(text):
    with pytest.raises(ValueError, match=re.escape(text.partition(":")[0])):
        Route(f"/{text}", "GET", handler)


def test_empty_type_is_refused():
    with pytest.raises(ValueError, match="no type and no pattern"):
        Route("/<x:>", "GET", handler)


@pytest.mark.filterwarnings(
    "ignore:Possible (nested set|set difference|set union|set intersection|set symmetric difference):FutureWarning"
)
@given(st.text("abz09.-_/[]()\\dwW^|+*?{,}~!@:", max_size=12), st.text("ab/z0.", min_size=1, max_size=8))
def test_an_expression_that_is_said_to_stay_in_a_segment_never_matches_a_slash(expression, text):
    try:
        re.compile(expression)
    except (re.error, OverflowError):
        return
    if Parameter("x", expression, str).in_segment and re.fullmatch(expression, text):
        assert "/" not in text


# Which route


def test_path_without_parameters_comes_before_a_pattern():
    assert match(routes("/<x>", "/a"), "/a") == ("/a", {})


def test_literal_first_segment_comes_before_a_parameter():
    assert match(routes("/<x>/<y>", "/a/<y>"), "/a/1") == ("/a/<y>", {"y": "1"})


def test_earlier_of_two_patterns_wins():
    assert match(routes("/<x:int>", "/<y>"), "/5") == ("/<x:int>", {"x": 5})
    assert match(routes("/<x:int>", "/<y>"), "/five") == ("/<y>", {"y": "five"})


def test_expression_of_your_own_wins_over_a_later_parameter():
    assert match(routes("/<x:[0-9]+>", "/<y>"), "/5") == ("/<x:[0-9]+>", {"x": "5"})


def test_path_parameter_comes_last():
    assert match(routes("/<p:path>", "/a/<y>"), "/a/1") == ("/a/<y>", {"y": "1"})
    assert match(routes("/<p:path>", "/a/<y>"), "/b/1") == ("/<p:path>", {"p": "b/1"})


def test_pattern_without_the_method_gives_way_to_one_that_has_it():
    router = routes("/<x:int>", method="POST")
    router.add(Route("/<y>", "GET", handler))
    assert match(router, "/5") == ("/<y>", {"y": "5"})


def test_two_methods_of_one_path_are_two_routes():
    router = routes("/a")
    router.add(Route("/a", "POST", handler, stream=True))
    assert not router.match("GET", "/a", None)[0].stream
    assert router.match("POST", "/a", None)[0].stream


def test_two_methods_of_one_pattern_are_two_routes():
    router = routes("/<x:int>")
    router.add(Route("/<x:int>", "POST", handler, stream=True))
    assert not router.match("GET", "/1", None)[0].stream
    assert router.match("POST", "/1", None)[0].stream


@pytest.mark.parametrize("pattern", ["/a", "/<x>"])
def test_second_handler_of_one_method_and_path_is_refused(pattern):
    with pytest.raises(ValueError, match=f"a route for GET {pattern} is registered already"):
        routes(pattern, pattern)


def test_same_handler_may_be_registered_twice():
    router = Router()
    for _ in range(2):
        router.add(Route("/a", "GET", handler))
    assert match(router, "/a") == ("/a", {})


def test_unknown_path_is_not_found():
    with pytest.raises(NotFound, match="Requested URL /b not found"):
        routes("/a").match("GET", "/b", None)


def test_path_is_case_sensitive():
    assert misses(routes("/a"), "/A")


# Slashes


def test_slash_at_the_end_may_be_there_or_not():
    for pattern in ("/a", "/a/", "/<x>", "/<x>/"):
        router = routes(pattern)
        assert match(router, "/a")[0] == match(router, "/a/")[0] == pattern


def test_only_one_slash_at_the_end_may_be_there():
    assert misses(routes("/a"), "/a//")
    assert misses(routes("/<x>"), "/a//")


def test_strict_route_wants_exactly_its_slash():
    assert misses(routes("/a", strict=True), "/a/")
    assert misses(routes("/a/", strict=True), "/a")
    assert misses(routes("/<x>", strict=True), "/a/")
    assert misses(routes("/<x>/", strict=True), "/a")


def test_strict_routes_with_and_without_slash_live_together():
    router = routes("/a", "/a/", strict=True)
    assert match(router, "/a") == ("/a", {})
    assert match(router, "/a/") == ("/a/", {})


def test_root():
    assert match(routes("/"), "/") == ("/", {})
    assert misses(routes("/"), "//")


# Percent-encoding of the path


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/café", "/caf%C3%A9"),
        ("/café", "/caf%c3%a9"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/~user", "/%7Euser"),
        ("/plain", "/%70lain"),
        ("/café/<x>", "/caf%c3%a9/1"),
        ("/a b/<x>", "/a%20b/1"),
        ("/a:b@c,d;e=f", "/a:b@c,d;e=f"),
    ],
)
def test_path_is_found_however_it_is_encoded(pattern, path):
    assert match(routes(pattern), path)[0] == pattern


def test_encoded_slash_is_no_slash():
    assert misses(routes("/a/b"), "/a%2Fb")


def test_double_encoding_is_undone_once_at_most():
    assert misses(routes("/a"), "/%2561")


# Methods


def test_known_path_with_another_method_names_those_that_are_allowed():
    router = routes("/a")
    router.add(Route("/a", "POST", handler))
    with pytest.raises(MethodNotAllowed, match="Method PUT not allowed for URL /a") as caught:
        router.match("PUT", "/a", None)
    assert caught.value.headers == {"Allow": "GET, HEAD, POST"}


def test_allowed_methods_of_all_patterns_that_fit_are_named():
    router = routes("/<x:int>", method="POST")
    router.add(Route("/<y>", "DELETE", handler))
    with pytest.raises(MethodNotAllowed) as caught:
        router.match("PUT", "/5", None)
    assert caught.value.allowed_methods == ("DELETE", "POST")


def test_head_is_not_allowed_where_get_is_not():
    with pytest.raises(MethodNotAllowed) as caught:
        routes("/a", method="POST").match("HEAD", "/a", None)
    assert caught.value.headers == {"Allow": "POST"}


def test_head_finds_the_route_of_get():
    assert routes("/a").match("HEAD", "/a", None)[0].method == "GET"


def test_head_finds_its_own_route_first():
    router = routes("/a")
    router.add(Route("/a", "HEAD", handler))
    assert router.match("HEAD", "/a", None)[0].method == "HEAD"


# Hosts


@pytest.fixture
def hosts() -> Router:
    router = routes("/a")
    for host in ("one.test", "two.test:8080", "[::1]"):
        router.add(Route("/a", "GET", lambda request: None, host=host, name=host))
    router.add(Route("/only", "GET", handler, host="one.test"))
    return router


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("one.test", "one.test"),
        ("ONE.Test", "one.test"),
        ("one.test:8000", "one.test"),
        ("two.test:8080", "two.test:8080"),
        ("two.test", None),
        ("two.test:9", None),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("other", None),
        ("", None),
        (None, None),
    ],
)
def test_route_of_the_host_comes_before_the_route_of_all(hosts, host, found):
    assert hosts.match("GET", "/a", host)[0].host == found


def test_route_of_one_host_is_not_found_on_another(hosts):
    with pytest.raises(NotFound):
        hosts.match("GET", "/only", "two.test")


def test_route_of_all_hosts_is_found_on_a_host_that_has_others():
    router = routes("/all")
    router.add(Route("/own", "GET", handler, host="one.test"))
    assert match(router, "/all", host="one.test") == ("/all", {})


def test_allowed_methods_of_host_and_all_are_named():
    router = routes("/a", method="POST")
    router.add(Route("/a", "DELETE", handler, host="one.test"))
    with pytest.raises(MethodNotAllowed) as caught:
        router.match("PUT", "/a", "one.test")
    assert caught.value.allowed_methods == ("DELETE", "POST")


def test_router_knows_whether_hosts_matter(hosts):
    assert hosts.has_hosts
    assert not routes("/a").has_hosts


# url_for


def url(pattern: str, server_name: str | None = None, /, host: str | None = None, **given) -> str:
    router = Router()
    router.add(Route(pattern, "GET", handler, name="it", host=host))
    return router.url_for("it", given, server_name)


@pytest.mark.parametrize(
    ("pattern", "given", "expected"),
    [
        ("/", {}, "/"),
        ("/a/b", {}, "/a/b"),
        ("/a/", {}, "/a/"),
        ("/<x>", {"x": "abc"}, "/abc"),
        ("/<x:int>", {"x": 5}, "/5"),
        ("/<x:int>", {"x": "5"}, "/5"),
        ("/<x:number>", {"x": -1.5}, "/-1.5"),
        ("/<x:ymd>", {"x": date(2024, 2, 29)}, "/2024-02-29"),
        ("/<x:uuid>", {"x": UUID(int=5)}, "/00000000-0000-0000-0000-000000000005"),
        ("/<x>", {"x": "a b?c#d%"}, "/a%20b%3Fc%23d%25"),
        ("/<x>", {"x": "a@b:c,d"}, "/a@b:c,d"),
        ("/<x>", {"x": "café"}, "/caf%C3%A9"),
        ("/<p:path>", {"p": "a/b c"}, "/a/b%20c"),
        ("/<p:[a-z/]+>", {"p": "a/b"}, "/a/b"),
        ("/<a>.<b>", {"a": "x", "b": "y"}, "/x.y"),
        ("/café/<x>", {"x": 1}, "/caf%C3%A9/1"),
        ("/café", {}, "/caf%C3%A9"),
        ("/a", {"q": "x y", "n": 1}, "/a?q=x+y&n=1"),
        ("/a", {"q": ["1", "2"]}, "/a?q=1&q=2"),
        ("/<x>", {"x": "v", "q": "&="}, "/v?q=%26%3D"),
        ("/a", {"_anchor": "part two"}, "/a#part%20two"),
        ("/a", {"q": 1, "_anchor": "top"}, "/a?q=1#top"),
        ("/a", {"_external": True, "_server": "x.test"}, "http://x.test/a"),
        ("/a", {"_external": True, "_server": "x.test:81", "_scheme": "https"}, "https://x.test:81/a"),
        ("/a", {"_external": True, "_server": "https://x.test"}, "https://x.test/a"),
        ("/a", {"_external": True, "_server": "https://x.test", "_scheme": "ftp"}, "ftp://x.test/a"),
        ("/a", {"_method": "GET"}, "/a"),
    ],
)
def test_address_of_a_route(pattern, given, expected):
    assert url(pattern, **given) == expected


def test_whole_address_takes_the_server_name_of_the_settings():
    assert url("/a", "https://set.test", _external=True) == "https://set.test/a"


def test_whole_address_of_a_host_route_takes_its_host():
    assert url("/a", "set.test", host="own.test", _external=True) == "http://own.test/a"


def test_whole_address_without_any_server_is_refused():
    with pytest.raises(URLBuildError, match="needs _server"):
        url("/a", _external=True)


def test_unknown_name_cannot_be_built():
    with pytest.raises(URLBuildError, match="Endpoint with name `nope` was not found"):
        Router().url_for("nope", {})


def test_missing_value_cannot_be_built():
    with pytest.raises(URLBuildError, match="needs a value for x"):
        url("/<x>")


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("/<x:int>", "a"),
        ("/<x>", "a/b"),
        ("/<x>", ""),
        ("/<x:[a-z]+>", "A"),
        ("/<x:path>", "/etc"),
        ("/<x:int>", "1\n"),
    ],
)
def test_value_that_does_not_fit_cannot_be_built(pattern, value):
    with pytest.raises(URLBuildError, match="does not fit"):
        url(pattern, x=value)


def test_scheme_is_for_whole_addresses():
    with pytest.raises(ValueError, match="_external"):
        url("/a", _scheme="https")


def test_method_that_the_route_has_not_cannot_be_built():
    with pytest.raises(URLBuildError, match="has no method PUT"):
        url("/a", _method="PUT")


def test_first_route_of_a_name_is_the_one_that_is_built():
    router = Router()
    router.add(Route("/one", "GET", handler, name="it"))
    router.add(Route("/two", "GET", handler, name="it"))
    assert router.url_for("it", {}) == "/one"


@given(st.text(min_size=1).filter(lambda text: "/" not in text and text.isprintable()))
def test_what_is_built_is_found_again(text):
    router = routes("/x/<name>", options=RouteOptions(unquote=True))
    path = router.url_for("/x/<name>", {"name": text})
    assert router.match("GET", path, None)[1] == {"name": text}


# Routes


def test_context_of_a_route_is_read_by_attribute():
    assert Route("/a", "GET", handler, options=RouteOptions(ctx={"level": 3})).ctx.level == 3


def test_unset_clocks_leave_the_settings_alone():
    assert RouteOptions().timeouts() == {}


def test_clock_that_is_none_is_set():
    assert RouteOptions(timeout=None, idle_timeout=2, write_timeout=3).timeouts() == {
        "response": None,
        "stream_idle": 2,
        "write": 3,
    }


def test_route_shows_itself():
    assert repr(Route("/a", "GET", handler, name="it")) == "<Route GET /a it>"
    assert Route("/a", "GET", handler).path == "/a"


# Paths that come again


def test_a_path_that_comes_again_gives_the_same_values_in_a_dict_of_its_own():
    router = routes("/items/<id:int>")
    first, again = (router.match("GET", "/items/7", None)[1] for _ in range(2))
    first["id"] = 8
    assert again == {"id": 7}


def test_a_route_that_is_added_later_is_found_though_its_path_was_asked_for_before():
    router = routes("/<x>/<y>")
    assert match(router, "/a/b") == ("/<x>/<y>", {"x": "a", "y": "b"})
    router.add(Route("/a/<y>", "GET", lambda request: None))
    assert match(router, "/a/b") == ("/a/<y>", {"y": "b"})


# Leaves: patterns whose only parameter is the last segment are found by what stands before it

SEGMENTS = [
    *(
        "a",
        "b",
        "a b",
        "<{}>",
        "<{}:int>",
        "<{}:number>",
        "<{}:slug>",
        "<{}:alpha>",
        "<{}:path>",
        "<{}:strorempty>",
        "<{}:ymd>",
    ),
    *("<{}:[a-c]+>", "<{}:a|b>", "<{}:uuid>", "<{}>.json", "x<{}>", ""),
]
VALUES = [
    *(
        "a",
        "b",
        "c",
        "a%20b",
        "%61",
        "%C3%A9",
        "1",
        "-5",
        "007",
        "1.5",
        "a-b",
        "2020-02-30",
        "2020-01-01",
        "a.json",
        "xa",
        "",
        "a/",
    ),
    *("9" * 18, "9" * 19, "9" * 5_000, "\u0661", "a\n", "0b1e6b0c-7d6e-4b5c-9d5e-0123456789ab"),
]


@st.composite
def tables(draw):
    """Routes that can stand in one router, each with its own handler."""
    made = []
    for number in range(draw(st.integers(1, 6))):
        before = draw(st.sampled_from(["/", "/a/", "/a/", "/a/", "/a/b/", "/a/<before>/", "/<before>/"]))
        uri = before + draw(st.sampled_from(SEGMENTS)).format("x") + draw(st.sampled_from(["", "", "/"]))
        options = RouteOptions(unquote=draw(st.booleans()))
        made.append(
            (uri, draw(st.sampled_from(["GET", "GET", "POST", "HEAD"])), draw(st.booleans()), options, str(number))
        )
    return made


def outcome(router, method, path):
    try:
        route, values = router.match(method, path, None)
    except (NotFound, MethodNotAllowed) as error:
        return type(error), str(error), getattr(error, "headers", None)
    return route.name, [(name, type(value), value) for name, value in values.items()]


@given(
    table=tables(),
    paths=st.lists(
        st.tuples(st.sampled_from(["/", "/a/", "/a/", "/a/", "/a/b/", "/a/c/", "/a/b/c/"]), st.sampled_from(VALUES)),
        min_size=10,
        max_size=20,
    ).map(lambda pairs: ["".join(pair) for pair in pairs]),
    methods=st.lists(st.sampled_from(["GET", "POST", "HEAD", "PUT"]), min_size=1, max_size=2),
)
def test_leaves_change_nothing(table, paths, methods):
    quick, careful = Router(), Router()
    careful.add(Route("/", "GET", handler, host="elsewhere.example"))  # with hosts, no leaf is looked at
    for uri, method, strict, options, name in table:
        try:
            quick.add(Route(uri, method, lambda request: None, name=name, strict=strict, options=options))
        except ValueError:  # there already
            continue
        careful.add(Route(uri, method, lambda request: None, name=name, strict=strict, options=options))
    for path in paths:
        for method in methods:
            assert outcome(quick, method, path) == outcome(careful, method, path)


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["/a/<x>", "/a/<x:int>"], "/a/1", "/a/<x>"),
        (["/a/<x:int>", "/a/<x>"], "/a/1", "/a/<x:int>"),
        (["/a/<x:int>", "/a/<x>"], "/a/b", "/a/<x>"),
        (["/a/<x>.json", "/a/<x>"], "/a/b.json", "/a/<x>.json"),
        (["/a/<x>", "/a/<x>.json"], "/a/b.json", "/a/<x>"),
        (["/<x>/b", "/a/<x>"], "/a/b", "/a/<x>"),
        (["/<x:path>", "/<x>"], "/a", "/<x>"),
    ],
)
def test_the_first_pattern_that_fits_wins(patterns, path, expected):
    assert match(routes(*patterns), path)[0] == expected


def test_the_values_of_a_path_belong_to_one_request():
    router = routes("/items/<id:int>")
    assert router.match("GET", "/items/1", None)[1] is not router.match("GET", "/items/1", None)[1]
