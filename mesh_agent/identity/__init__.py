# SPDX-License-Identifier: Apache-2.0
"""The host's certificate: asked for, kept, renewed by its own timer.

A certificate's walk: service (timer, first boot) -> worker (key and request) -> client
(CreateCertificate) -> store (versioned set) -> whoever subscribed (SDS, relay).
"""
