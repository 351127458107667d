# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs of calls."""

from __future__ import annotations

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.target import (
    Target,
    parse_target,
)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://api.shop/", Target("http", "api.shop", 80, "/")),
        ("http://api.shop", Target("http", "api.shop", 80, "/")),
        ("http://[fd31:1::11]:8080/a?b=c", Target("http", "fd31:1::11", 8080, "/a?b=c")),
        ("postgres://shop@db/orders", Target("postgres", "db", 5432, "/orders", "shop")),
        ("postgres://10.0.0.1:6432", Target("postgres", "10.0.0.1", 6432)),
        ("tcp://10.0.0.1:15443", Target("tcp", "10.0.0.1", 15443)),
    ],
)
def test_urls(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("api.shop", "scheme '', expected http, postgres or tcp"),
        ("https://api.shop/", "scheme 'https'"),
        ("http:///path", "names no host"),
        ("tcp://db", "names no port"),
        ("http://db:99999/", "not a URL"),
        ("http://[fd31::1/", "not a URL"),
        ("http://me@db/", "names a user"),
        ("postgres://me:secret@db/", "the URL of db holds a password"),
    ],
)
def test_what_is_wrong_is_named(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_target(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://api.shop.svc.cluster.local/", "api.shop"),
        ("http://api.shop.svc.cluster.local:8080/", "api.shop:8080"),
        ("http://example.org/", "example.org"),
        ("tcp://[fd31:1::2]:15443", "[fd31:1::2]:15443"),
    ],
)
def test_the_short_form(url: str, authority: str) -> None:
    assert parse_target(url).authority == authority
