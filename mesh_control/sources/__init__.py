# SPDX-License-Identifier: Apache-2.0
"""Where API objects come from: today a directory of YAML."""
