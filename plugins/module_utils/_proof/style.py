# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The style sheet of verify.html, for light and dark screens and for paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f6f6f3; --card: #ffffff; --ink: #1b1f24; --soft: #5f6872; --faint: #8b939c;
  --rule: #e2e2dc; --field: #f3f4f1; --node: #ffffff; --edge: #c9ccc8;
  --allowed: #0b7a5b; --forbidden: #a85a00; --refused: #6a4bb0; --other: #5f6872;
  --failed: #c2162c; --failed-field: #fdecec; --shadow: 0 1px 2px #0000000d, 0 6px 24px #0000000a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121517; --card: #1a1e21; --ink: #e9ebed; --soft: #a3abb3; --faint: #79828b;
    --rule: #2c3236; --field: #15191b; --node: #22272b; --edge: #434a50;
    --allowed: #43cda2; --forbidden: #f0a64b; --refused: #b8a1f5; --other: #a3abb3;
    --failed: #ff7a7f; --failed-field: #3a1c20; --shadow: none;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans",
    "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1320px; margin: 0 auto; padding: 40px 32px 56px; }
code, .mono {
  font-family: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas,
    "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: .84em;
}
header { display: flex; flex-wrap: wrap; gap: 20px 48px; align-items: flex-end;
  justify-content: space-between; margin-bottom: 26px; }
header p { margin: 0; color: var(--soft); }
h1 { margin: 2px 0 4px; font-size: 30px; line-height: 1.2; font-weight: 650;
  letter-spacing: -.015em; }
h1 .verdict { display: inline-block; width: 30px; height: 30px; margin-right: 12px;
  vertical-align: -5px; border-radius: 50%; background: var(--allowed); }
h1 .verdict path { fill: none; stroke: var(--card); stroke-width: 2.6; stroke-linecap: round;
  stroke-linejoin: round; }
h1.failed { color: var(--failed); }
h1.failed .verdict { background: var(--failed); }
.facts { display: flex; flex-wrap: wrap; gap: 10px 34px; margin: 0; }
.facts div { display: flex; flex-direction: column-reverse; }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; font-size: 21px; font-weight: 600; line-height: 1.25; }
.facts .allowed { color: var(--allowed); } .facts .forbidden { color: var(--forbidden); }
.facts .refused { color: var(--refused); } .facts .failed { color: var(--failed); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 14px;
  box-shadow: var(--shadow); margin: 0 0 24px; }
figure.card { padding: 22px 22px 14px; }
.wide { overflow-x: auto; }
svg.picture { display: block; width: 100%; height: auto; margin: 0 auto; }
figcaption { display: flex; flex-wrap: wrap; gap: 6px 26px; justify-content: center;
  margin-top: 16px; color: var(--soft); font-size: 13.5px; }
figcaption span { display: inline-flex; align-items: center; gap: 8px; }
figcaption svg { width: 40px; height: 14px; display: inline-block; }
figcaption svg.small { width: 12px; }

svg text { fill: var(--ink); font: 12px ui-sans-serif, system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", "Noto Sans", "Liberation Sans", sans-serif; }
.network rect { fill: var(--field); stroke: var(--rule); }
.network text { fill: var(--soft); font-size: 13px; font-weight: 600; letter-spacing: .02em; }
.node rect { fill: var(--node); stroke: var(--edge); }
.node .name { font-size: 15px; font-weight: 650; }
.node .line { fill: var(--soft); font-size: 11.5px; }
.node .icon { fill: none; stroke: var(--faint); stroke-width: 1.3; stroke-linecap: round;
  stroke-linejoin: round; }
.node.outsider rect, .node.elsewhere rect { stroke-dasharray: 5 4; fill: var(--field); }
.node.gateway rect { stroke: var(--ink); stroke-width: 1.4; }
.node.gateway .icon { stroke: var(--ink); }
.arrow { --tone: var(--other); }
.arrow.allowed { --tone: var(--allowed); } .arrow.forbidden { --tone: var(--forbidden); }
.arrow.refused { --tone: var(--refused); } .arrow.failed { --tone: var(--failed); }
.arrow .way { fill: none; stroke: var(--tone); stroke-width: 1.9; stroke-linecap: round; }
.arrow.forbidden .way { stroke-dasharray: 8 5; }
.arrow.refused .way { stroke-dasharray: 2 5; stroke-width: 2.2; }
.arrow.unreachable .way, .arrow.not-made .way, .arrow.error .way {
  stroke-dasharray: 12 4 2 4; }
.arrow.failed .way { stroke-width: 3; }
.arrow .mark path, .arrow .mark circle { fill: none; stroke: var(--tone); stroke-width: 2.1;
  stroke-linecap: round; }
.arrow .mark path.head { fill: var(--tone); stroke-width: 1; stroke-linejoin: round; }
.label rect { fill: var(--card); stroke: var(--tone); stroke-width: 1.1; }
.label text { fill: var(--tone); font-size: 11.5px; }
.label tspan { font-weight: 700; }
.label.failed rect { fill: var(--failed-field); }
.label .lock, figcaption .lock { stroke: var(--tone, var(--allowed)); stroke-width: 1.3;
  fill: none; }
.arrow { transition: opacity .12s; }
.label:hover rect, .label:focus rect { stroke-width: 2.2; }

table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { text-align: left; font-weight: 600; font-size: 12.5px; color: var(--soft);
  padding: 13px 14px 9px; white-space: nowrap; border-bottom: 1px solid var(--rule); }
td { padding: 9px 14px 10px; vertical-align: top; border-bottom: 1px solid var(--rule); }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { padding-left: 22px; text-align: right; color: var(--faint); }
td small { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.45; }
td.call { min-width: 240px; }
td.outcome { min-width: 190px; }
td.call b { font-weight: 600; }
.to { color: var(--faint); padding: 0 5px; font-weight: 400; }
a { color: inherit; text-underline-offset: 2px; text-decoration-color: var(--faint); }
td.nowrap { white-space: nowrap; }
td .peer { display: block; }
td .peer + .peer { margin-top: 5px; }
tbody tr:hover td { background: var(--field); }
tbody tr:target td { background: var(--field); }
tr.failed td { background: var(--failed-field); }
.none { color: var(--faint); }
.badge { display: inline-block; padding: 0 9px; border-radius: 99px; font-size: 12.5px;
  font-weight: 600; line-height: 20px; white-space: nowrap; color: var(--tone);
  border: 1px solid var(--tone); --tone: var(--other); }
.badge.allowed { --tone: var(--allowed); } .badge.forbidden { --tone: var(--forbidden); }
.badge.refused { --tone: var(--refused); }
.badge.failed { background: var(--failed); border-color: var(--failed); color: var(--card); }
.reason { color: var(--failed); }
td details { margin-top: 2px; font-size: 12.5px; color: var(--soft); }
summary { cursor: pointer; width: max-content; max-width: 100%; }
pre { margin: 6px 0 2px; padding: 8px 10px; border-radius: 8px; background: var(--field);
  white-space: pre-wrap; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0; padding: 18px 22px 0; }
.failures ol { margin: 8px 0 0; padding: 0 22px 18px 46px; }
.failures li { margin: 6px 0; }
footer { color: var(--soft); font-size: 13px; }
@media (max-width: 760px) { main { padding: 24px 14px; } h1 { font-size: 24px; } }
@media print {
  body { background: none; } .card { box-shadow: none; break-inside: avoid; }
  .wide { overflow: visible; } tr { break-inside: avoid; }
}
"""
