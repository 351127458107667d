# SPDX-License-Identifier: Apache-2.0
"""Who is in the mesh: registrations, health, services, addresses; a snapshot of it all."""
