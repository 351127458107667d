from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mesh_control.ca.caller import AuthenticationError, of_certificate
from mesh_control.ca.spent import SpentTokens
from mesh_control.ca.tokens import Claims, Tokens, open_key, read_key
from mesh_core.errors import MeshError
from mesh_core.identity import SpiffeId

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
API = SpiffeId("cluster.local", "shop", "api")


@dataclass
class Clock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def tokens(
    clock: Clock,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    audience: str = "istio-ca",
) -> Tokens:
    return Tokens(
        key or ec.generate_private_key(ec.SECP256R1()),
        audience=audience,
        trust_domain="cluster.local",
        lifetime=timedelta(minutes=10),
        clock=clock,
    )


def test_a_token_says_whose_it_is_until_when() -> None:
    issuer = tokens(Clock())
    token = issuer.issue("shop", "api")
    assert token.expires == NOW + timedelta(minutes=10)
    claims = issuer.verify(token.text)
    assert (claims.identity, claims.expires) == (API, token.expires)
    assert claims.id != issuer.verify(issuer.issue("shop", "api").text).id


def test_a_token_has_the_form_that_istiods_have() -> None:
    data = jwt.decode(
        tokens(Clock()).issue("shop", "api").text, options={"verify_signature": False}
    )
    assert data["sub"] == "system:serviceaccount:shop:api"
    assert (data["aud"], data["iss"]) == (["istio-ca"], "mesh-control")
    assert data["exp"] - data["iat"] == 600


def test_a_token_may_have_its_own_lifetime() -> None:
    assert tokens(Clock()).issue("shop", "api", timedelta(seconds=5)).expires == NOW + timedelta(
        seconds=5
    )


def test_a_token_ends_at_its_time_and_the_message_says_both_times() -> None:
    clock = Clock()
    issuer = tokens(clock)
    text = issuer.issue("shop", "api").text
    clock.time = NOW + timedelta(minutes=10, seconds=-1)
    issuer.verify(text)
    clock.time = NOW + timedelta(minutes=10)
    with pytest.raises(
        AuthenticationError,
        match="token expired at 2026-01-02T03:14:05Z, it is 2026-01-02T03:14:05Z here",
    ):
        issuer.verify(text)


def test_what_is_wrong_with_a_token_is_said() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    here = tokens(Clock(), key=key)
    elsewhere = tokens(Clock(), key=key, audience="vault").issue("shop", "api").text
    with pytest.raises(AuthenticationError, match="audience: expected istio-ca, found vault"):
        here.verify(elsewhere)
    with pytest.raises(AuthenticationError, match="signature: not made by this control plane"):
        here.verify(tokens(Clock()).issue("shop", "api").text)
    with pytest.raises(AuthenticationError, match="expected a JWT of mesh-control"):
        here.verify("nonsense")

    def signed(**claims: object) -> str:
        good = {
            "iss": "mesh-control",
            "aud": ["istio-ca"],
            "sub": "system:serviceaccount:shop:api",
            "exp": NOW + timedelta(minutes=1),
            "jti": "1",
        }
        return jwt.encode({k: v for k, v in {**good, **claims}.items() if v}, key, "ES256")

    assert here.verify(signed()).identity == API
    with pytest.raises(AuthenticationError, match="issuer: expected mesh-control, found someone"):
        here.verify(signed(iss="someone"))
    with pytest.raises(AuthenticationError, match='missing the "jti" claim'):
        here.verify(signed(jti=None))
    with pytest.raises(AuthenticationError, match='missing the "exp" claim'):
        here.verify(signed(exp=None))
    for subject in ("api", "system:serviceaccount:shop", "system:serviceaccount:a/b:c"):
        with pytest.raises(AuthenticationError, match="subject: expected system:serviceaccount"):
            here.verify(signed(sub=subject))


def test_a_token_without_signature_is_none() -> None:
    claims = {"iss": "mesh-control", "aud": ["istio-ca"], "sub": "x", "exp": 9999999999, "jti": "1"}
    with pytest.raises(AuthenticationError):
        tokens(Clock()).verify(jwt.encode(claims, None, algorithm="none"))


def test_a_token_for_no_name_is_not_made() -> None:
    with pytest.raises(MeshError, match=r"expected names .* found 'a/b' and 'c'"):
        tokens(Clock()).issue("a/b", "c")


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "tokens/key.pem"
    with pytest.raises(MeshError, match=r"key\.pem: is not there: the control plane makes it"):
        read_key(path)
    first = open_key(path)
    assert open_key(path).private_numbers() == first.private_numbers()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_text("nonsense")
    with pytest.raises(MeshError, match=r"key\.pem: expected a PEM private key"):
        open_key(path)


def claims(identifier: str, expires: datetime = NOW + timedelta(minutes=10)) -> Claims:
    return Claims(API, identifier, expires)


async def test_a_token_is_good_for_one_key_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tokens/used.jsonl"
    spent = SpentTokens.open(path, Clock())
    await spent.spend(claims("1"), "host-key")
    await spent.spend(claims("1"), "host-key")
    await spent.spend(claims("2"), "other-key")
    for again in (spent, SpentTokens.open(path, Clock())):
        await again.spend(claims("1"), "host-key")
        with pytest.raises(AuthenticationError, match="used already, for another key"):
            await again.spend(claims("1"), "other-key")
    assert len(path.read_text().splitlines()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_uses_are_forgotten_when_their_tokens_end(tmp_path: Path) -> None:
    path = tmp_path / "used.jsonl"
    clock = Clock()
    spent = SpentTokens.open(path, clock)
    for number in range(1001):
        await spent.spend(claims(str(number)), "key")
    clock.time += timedelta(minutes=10)
    await spent.spend(claims("late", clock.time + timedelta(minutes=10)), "key")
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(AuthenticationError):
        await spent.spend(claims("late"), "other")


async def test_a_line_cut_off_by_a_crash_loses_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "used.jsonl"
    await SpentTokens.open(path, Clock()).spend(claims("1"), "key")
    with path.open("ab") as stream:
        stream.write(b'{"id": "2", "exp')
    spent = SpentTokens.open(path, Clock())
    await spent.spend(claims("2"), "key")
    again = SpentTokens.open(path, Clock())
    for identifier in ("1", "2"):
        with pytest.raises(AuthenticationError):
            await again.spend(claims(identifier), "other")


async def test_a_use_that_cannot_be_recorded_is_none(tmp_path: Path) -> None:
    path = tmp_path / "used.jsonl"
    spent = SpentTokens.open(path, Clock())
    await spent.spend(claims("0"), "key")
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        await spent.spend(claims("1"), "key")
    path.rmdir()
    await spent.spend(claims("1"), "other")
    assert len(path.read_text().splitlines()) == 2


def test_the_identity_of_a_certificate() -> None:
    assert of_certificate([str(API)], "cluster.local") == API
    for uris, message in (
        ([], "no client certificate"),
        (["https://x"], "expected spiffe://"),
        ([str(API), str(API)], "expected one URI name"),
        (["spiffe://other/ns/shop/sa/api"], "expected trust domain cluster.local, found spiffe:"),
    ):
        with pytest.raises(AuthenticationError, match=message):
            of_certificate(uris, "cluster.local")
