# SPDX-License-Identifier: Apache-2.0
"""The hosts that demo, molecule and tests run on: systemd machines in containers.

An inventory describes them; see spec.py for the variables that count.
"""
