from __future__ import annotations

from mesh_control.ads.exchange import Exchange, Outcome, Request, Response
from mesh_control.ads.rejections import Rejection, guilty
from mesh_control.ads.resources import Configuration, Pool
from mesh_core.wire import types

CDS, EDS, LDS, RDS, NDS = (
    types.CLUSTER,
    types.ENDPOINT,
    types.LISTENER,
    types.ROUTE,
    types.NAME_TABLE,
)
SHORT = {CDS: "cds", EDS: "eds", LDS: "lds", RDS: "rds", NDS: "nds"}


def configuration(version: str, **bodies: dict[str, str]) -> Configuration:
    """``cds={"a": "1"}``: a cluster ``a`` whose content is ``1``."""
    urls = {short: url for url, short in SHORT.items()}
    return Configuration(
        version,
        Pool().resources(
            {
                urls[short]: {name: body.encode() for name, body in by_name.items()}
                for short, by_name in bodies.items()
            }
        ),
    )


def seen(responses: list[Response]) -> list[str]:
    """``cds+a,b-c``: clusters a and b sent, c removed."""
    return [
        SHORT[r.type_url]
        + "".join(f"+{resource.name}" for resource in r.resources)
        + "".join(f"-{name}" for name in r.removed)
        for r in responses
    ]


class Client:
    """Speaks with an exchange as Envoy does: acknowledges everything."""

    def __init__(self, *, incremental: bool = True) -> None:
        self.exchange = Exchange(incremental=incremental)
        self.wanted: dict[str, tuple[str, ...]] = {}

    def ask(self, type_url: str, *names: str, **more: dict[str, str]) -> None:
        self.wanted[type_url] = names
        initial = more.get("initial", {})
        self.exchange.receive(Request(type_url, names, initial_versions=initial))

    def push(self, given: Configuration) -> list[str]:
        responses = list(self.exchange.answers(given))
        for response in responses:
            names = () if self.exchange._incremental else self.wanted[response.type_url]
            outcome = self.exchange.receive(Request(response.type_url, names, nonce=response.nonce))
            assert outcome == Outcome(accepted=True)
        assert list(self.exchange.answers(given)) == []
        return seen(responses)


def test_what_others_refer_to_goes_first_and_is_removed_last() -> None:
    client = Client()
    for type_url, names in (
        (RDS, ("r", "r2")),
        (NDS, ()),
        (LDS, ()),
        (EDS, ("c", "c2")),
        (CDS, ()),
    ):
        client.ask(type_url, *names)
    first = configuration(
        "1", nds={"n": "1"}, rds={"r": "1"}, lds={"l": "1"}, eds={"c": "1"}, cds={"c": "1"}
    )
    assert client.push(first) == ["cds+c", "eds+c-c2", "lds+l", "rds+r-r2", "nds+n"]
    second = configuration(
        "2", nds={"n": "2"}, rds={"r2": "1"}, lds={"l2": "1"}, eds={"c2": "1"}, cds={"c2": "1"}
    )
    assert client.push(second) == [
        "cds+c2", "eds+c2", "lds+l2", "rds+r2", "nds+n", "rds-r", "lds-l", "eds-c", "cds-c",
    ]  # fmt: skip


def test_endpoints_follow_a_changed_cluster_though_they_are_the_same() -> None:
    client = Client()
    client.ask(CDS)
    client.ask(EDS, "a", "b")
    client.push(configuration("1", cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "1"}))
    assert client.push(configuration("2", cds={"a": "2", "b": "1"}, eds={"a": "1", "b": "1"})) == [
        "cds+a",
        "eds+a",
    ]


def test_endpoints_follow_clusters_that_changed_while_the_client_was_away() -> None:
    old = configuration("1", cds={"a": "1", "b": "1"}, eds={"a": "1", "b": "1"})
    new = configuration("2", cds={"a": "2", "b": "1"}, eds={"a": "1", "b": "1"})
    client = Client()
    client.ask(CDS, initial={n: r.version for n, r in old.resources[CDS].items()})
    assert client.push(new) == ["cds+a"]
    client.ask(EDS, "a", "b", initial={n: r.version for n, r in old.resources[EDS].items()})
    assert client.push(new) == ["eds+a"]


def test_a_cluster_that_is_gone_owes_nothing() -> None:
    client = Client()
    client.ask(CDS)
    client.push(configuration("1", cds={"a": "1"}, eds={"a": "1"}))
    client.push(configuration("2", cds={}, eds={}))
    back = configuration("3", cds={}, eds={"a": "1"})
    client.ask(EDS, "a", initial={"a": back.resources[EDS]["a"].version})
    assert client.push(back) == []


def test_state_of_the_world_first_adds_then_takes_away() -> None:
    client = Client(incremental=False)
    client.ask(CDS)
    client.ask(EDS, "a", "b")
    client.ask(LDS)
    client.push(configuration("1", cds={"a": "1"}, lds={"x": "1"}, eds={"a": "1"}))
    assert client.push(configuration("2", cds={"b": "1"}, lds={"y": "1"}, eds={"b": "1"})) == [
        "cds+a+b", "eds+b", "lds+x+y", "lds+y", "cds+b",
    ]  # fmt: skip


def test_a_stale_request_of_the_state_of_the_world_changes_nothing() -> None:
    exchange = Exchange(incremental=False)
    given = configuration("1", eds={"a": "1", "b": "1"})
    exchange.receive(Request(EDS, ("a",)))
    [first] = exchange.answers(given)
    exchange.receive(Request(EDS, ("a", "b"), nonce=first.nonce))
    [second] = exchange.answers(given)
    assert seen([second]) == ["eds+b"]
    exchange.receive(Request(EDS, ("a",), nonce=first.nonce))
    assert not list(exchange.answers(given))
    exchange.receive(Request(EDS, ("a", "b"), nonce=second.nonce))
    assert not list(exchange.answers(given))


def test_a_nonce_of_an_earlier_stream_does_not_keep_the_answer_back() -> None:
    exchange = Exchange(incremental=False)
    exchange.receive(Request(LDS, nonce="77"))
    assert seen(list(exchange.answers(configuration("1", lds={"l": "1"})))) == ["lds+l"]


def test_a_request_between_two_answers_is_answered_too() -> None:
    exchange = Exchange(incremental=True)
    exchange.receive(Request(CDS))
    exchange.receive(Request(LDS))
    given = configuration("1", cds={"a": "1"}, eds={"a": "1"}, lds={"l": "1"})
    answers = exchange.answers(given)
    sent = [next(answers)]
    exchange.receive(Request(EDS, ("a",)))
    sent += answers
    sent += exchange.answers(given)
    assert seen(sent) == ["cds+a", "lds+l", "eds+a"]


def test_a_refusal_names_its_resource_and_stands_until_something_better_is_accepted() -> None:
    exchange = Exchange(incremental=True)
    exchange.receive(Request(LDS))
    [bad] = exchange.answers(configuration("1", lds={"0.0.0.0_80": "1", "0.0.0.0_8080": "1"}))
    message = "Error adding/updating listener(s) 0.0.0.0_80: no such filter"
    refused = Rejection("0.0.0.0_80", message)
    assert exchange.receive(Request(LDS, nonce=bad.nonce, error=message)) == Outcome(
        refused=(refused,)
    )
    known = exchange.acknowledgements[LDS]
    assert known.acked == ""
    # It is not sent again as it is.
    [other] = exchange.answers(configuration("2", lds={"0.0.0.0_80": "1", "0.0.0.0_8080": "2"}))
    assert seen([other]) == ["lds+0.0.0.0_8080"]
    exchange.receive(Request(LDS, nonce=other.nonce))
    assert (known.acked, list(known.refused.values())) == ("2", [refused])
    [good] = exchange.answers(configuration("3", lds={"0.0.0.0_80": "3", "0.0.0.0_8080": "2"}))
    exchange.receive(Request(LDS, nonce=good.nonce))
    assert (known.acked, known.refused) == ("3", {})


def test_a_refusal_that_names_nothing_stands_until_the_next_accepted_answer() -> None:
    exchange = Exchange(incremental=True)
    exchange.receive(Request(LDS))
    [bad] = exchange.answers(configuration("1", lds={"a": "1", "b": "1"}))
    exchange.receive(Request(LDS, nonce=bad.nonce, error="no"))
    assert exchange.acknowledgements[LDS].refused == {"": Rejection("", "no")}
    [good] = exchange.answers(configuration("2", lds={"a": "1", "b": "2"}))
    exchange.receive(Request(LDS, nonce=good.nonce))
    assert exchange.acknowledgements[LDS].refused == {}


def test_a_refused_resource_that_is_no_more_wanted_is_forgotten() -> None:
    exchange = Exchange(incremental=True)
    exchange.receive(Request(RDS, ("80",)))
    [bad] = exchange.answers(configuration("1", rds={"80": "1"}))
    exchange.receive(Request(RDS, nonce=bad.nonce, error="no"))
    exchange.receive(Request(RDS, unsubscribe=("80",)))
    assert exchange.acknowledgements[RDS].refused == {}


def test_an_ack_of_nothing_is_no_ack() -> None:
    exchange = Exchange(incremental=True)
    exchange.receive(Request(CDS))
    assert exchange.receive(Request(CDS, nonce="9")) == Outcome()


def test_resources_are_found_in_messages_as_whole_names() -> None:
    names = ["outbound|80||a.b", "outbound|80||a.b.c", "0.0.0.0_80", "x"]
    assert guilty(names, "Error: outbound|80||a.b.c: bad, 0.0.0.0_8080: bad") == [
        "outbound|80||a.b.c"
    ]
    assert guilty(names, "listener 0.0.0.0_80.") == ["0.0.0.0_80"]
    assert guilty(names, "nothing of them") == []
    assert guilty(["only"], "whatever") == ["only"]
