# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Tokens from the API server, tried before anybody relies on them."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import tokens
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    NotAllowedError,
    NotFoundError,
    Reader,
)


class Issuer:
    """Issues tokens for ``audience`` that live ``seconds``.

    ``accepted`` are the audiences that istiod takes. ``unchecked`` says why tokens could not be
    tried; it is empty as long as they could.
    """

    def __init__(
        self, reader: Reader, audience: str, seconds: int, accepted: t.Sequence[str]
    ) -> None:
        if seconds < tokens.SHORTEST_SECONDS:
            raise BootstrapError(
                f"token_lifetime_seconds: expected at least {tokens.SHORTEST_SECONDS}, the least "
                f"that the API server gives, found {seconds}"
            )
        self._reader = reader
        self._audience = audience
        self._seconds = seconds
        self._accepted = tuple(accepted)
        self.unchecked = ""

    def issue(self, namespace: str, account: str) -> str:
        """A token that istiod accepts. Raises BootstrapError."""
        try:
            answer = self._reader.create(
                tokens.request_path(namespace, account),
                tokens.request(self._audience, self._seconds),
                f"token of ServiceAccount {namespace}/{account}",
            )
        except NotFoundError as error:
            raise NotFoundError(
                f"ServiceAccount {namespace}/{account} does not exist: create it (kubectl create "
                f"serviceaccount {account} --namespace {namespace}), or name the right one"
            ) from error
        token = str((answer.get("status") or {}).get("token") or "")
        tokens.claims(token)
        self._try(token)
        return token

    def _try(self, token: str) -> None:
        """Ask what istiod will ask."""
        try:
            answer = self._reader.create(
                tokens.REVIEW_PATH, tokens.review(token, self._accepted), "TokenReview"
            )
        except NotAllowedError as error:
            self.unchecked = f"tokens were not tried: {error}"
            known = set(self._accepted) & set(tokens.claims(token).get("aud") or [])
            refusal = "" if known else "none of its audiences is istiod's"
        else:
            refusal = tokens.refusal(answer)
        if refusal:
            raise BootstrapError(
                f"istiod would refuse the token: expected the audience "
                f"{' or '.join(self._accepted)}, found {self._audience}: {refusal}"
            )
