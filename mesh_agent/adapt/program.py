# SPDX-License-Identifier: Apache-2.0
"""The program of Envoy's Lua filter that takes what callers say of themselves. Pure.

It makes of their metadata one label for each workload. With a label for each instance Envoy would
fill with statistics: names of pods are new ones all the time. So it is decoded here, not at the
scrape, once for each new caller. A caller may send anything: what is too long or no Struct is as
good as nothing, and what no label of Kubernetes can hold is left out. It leaves the label in the
metadata of `mesh_agent.adapt.exchange`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from mesh_agent.adapt import words


def program(answer: Iterable[tuple[str, str]] = ()) -> str:
    """Return the program; ``answer``: headers that tell callers who this host is."""
    names = ", ".join(map(json.dumps, (words.METADATA, words.PEER_HEADER, words.PEER_ID_HEADER)))
    lines = [
        f"  headers:replace({json.dumps(name)}, {json.dumps(value)})\n" for name, value in answer
    ]
    answering = [_ANSWER, *lines, "end\n"] if lines else []
    return "".join([f"local METADATA, PEER, PEER_ID = {names}\n", _TAKE, *answering])


_TAKE: Final = """\
local LONGEST, MOST = 2048, 50
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local six = {}
for i = 1, 64 do six[ALPHABET:byte(i)] = i - 1 end

local function decoded(text)
  local out, held, bits = {}, 0, 0
  for i = 1, #text do
    local value = six[text:byte(i)]
    if not value then break end
    held, bits = held * 64 + value, bits + 6
    if bits >= 8 then
      bits = bits - 8
      out[#out + 1] = string.char(math.floor(held / 2 ^ bits))
      held = held % 2 ^ bits
    end
  end
  return table.concat(out)
end

local function varint(text, at)
  local value, scale, byte = 0, 1, nil
  repeat
    byte = text:byte(at)
    value, scale, at = value + byte % 128 * scale, scale * 128, at + 1
  until byte < 128
  return value, at
end

local function each(text, found)
  local at = 1
  while at <= #text do
    local tag, size
    tag, at = varint(text, at)
    if tag % 8 == 2 then
      size, at = varint(text, at)
      if at + size > #text + 1 then error("cut off") end
      found((tag - 2) / 8, text:sub(at, at + size - 1))
      at = at + size
    elseif tag % 8 == 0 then
      size, at = varint(text, at)
    elseif tag % 8 == 1 then
      at = at + 8
    else
      error("not a Struct")
    end
  end
end

local function struct(text)
  local fields = {}
  each(text, function(_, entry)
    local key
    each(entry, function(number, piece)
      if number == 1 then
        key = piece
      elseif key then
        each(piece, function(kind, value)
          if kind == 3 or kind == 5 then fields[key] = value end
        end)
      end
    end)
  end)
  return fields
end

local function name(text)
  return text and #text <= 63 and text:match("^[%w._:/@-]+$") or ""
end

local function described(text)
  local host = struct(decoded(text))
  local labels = struct(host.LABELS or "")
  return table.concat({
    name(host.WORKLOAD_NAME), name(host.NAMESPACE),
    name(labels["service.istio.io/canonical-name"]),
    name(labels["service.istio.io/canonical-revision"]),
    name(host.CLUSTER_ID),
    name(labels["app.kubernetes.io/name"] or labels.app),
    name(labels["app.kubernetes.io/version"] or labels.version),
  }, ";")
end

local known, count = {}, 0

local function peer(text)
  local found = known[text]
  if not found then
    local fine
    if #text <= LONGEST then fine, found = pcall(described, text) end
    if not fine then return "" end
    if count == MOST then known, count = {}, 0 end
    known[text], count = found, count + 1
  end
  return found
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local text = headers:get(PEER)
  if text then
    handle:streamInfo():dynamicMetadata():set(METADATA, "peer", peer(text))
    headers:remove(PEER)
  end
  headers:remove(PEER_ID)
end
"""
_ANSWER: Final = """
function envoy_on_response(handle)
  if not handle:streamInfo():dynamicMetadata():get(METADATA) then return end
  local headers = handle:headers()
"""
