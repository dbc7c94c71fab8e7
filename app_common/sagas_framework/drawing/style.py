"""How every SVG looks: its style sheet and its icons.

Every colour stands in a variable, one set for light and one for dark. No meaning hangs on colour alone: each tone comes
with a word and a shape.
"""

STYLE = """
:root.sagas-diagram { color-scheme: light dark; }
.sagas-diagram {
  --sd-surface: #ffffff; --sd-ink: #1c2126; --sd-quiet: #59626b; --sd-line: #8b949c; --sd-frame: #f6f5f1;
  --sd-frame-line: #d8d4ca;
  --sd-good: #17693f; --sd-good-soft: #e2f3e8; --sd-bad: #a6261d; --sd-bad-soft: #fbe8e5;
  --sd-busy: #1456a8; --sd-busy-soft: #e4eefb; --sd-undo: #7a4f00; --sd-undo-soft: #faeed3;
  --sd-alert: #ffffff; --sd-alert-soft: #9b2c0c; --sd-idle: #59626b; --sd-idle-soft: #edebe5;
  fill: var(--sd-ink);
  font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  .sagas-diagram {
    --sd-surface: #1c2024; --sd-ink: #e8e9e6; --sd-quiet: #a2abb3; --sd-line: #7b858e; --sd-frame: #171b1e;
    --sd-frame-line: #3a4148;
    --sd-good: #7fd6a0; --sd-good-soft: #173425; --sd-bad: #f5a097; --sd-bad-soft: #42201d;
    --sd-busy: #94c2fb; --sd-busy-soft: #1a2f4a; --sd-undo: #eec878; --sd-undo-soft: #3a2e14;
    --sd-alert: #2b0d02; --sd-alert-soft: #ff9a70; --sd-idle: #a2abb3; --sd-idle-soft: #292f34;
  }
}
.sd-name { font-weight: 600; }
.sd-fact, .sd-mark { font-size: 11px; }
.sd-fact { fill: var(--sd-quiet); }
.sd-strong { fill: var(--sd-ink); font-weight: 600; }
.sd-middle { text-anchor: middle; }
.sd-box, .sd-gate { fill: var(--sd-surface); }
.sd-inner { fill: none; }
.sd-box, .sd-gate, .sd-inner { stroke: var(--sd-tone, var(--sd-line)); stroke-width: 1.25; }
.sd-pivot .sd-box { stroke-width: 3; }
.sd-fold .sd-box { stroke-dasharray: 5 4; }
.sd-frame { fill: var(--sd-frame); stroke: var(--sd-frame-line); }
.sd-edge { fill: none; stroke: var(--sd-line); stroke-width: 1.5; }
.sd-taken { stroke: var(--sd-ink); stroke-width: 2.25; }
.sd-untaken { stroke-dasharray: 4 4; }
.sd-head { fill: var(--sd-line); }
.sd-dot { fill: var(--sd-line); }
.sd-ring { fill: none; stroke: var(--sd-line); stroke-width: 1.5; }
.sd-icon { fill: none; stroke: var(--sd-quiet); stroke-width: 1.5; stroke-linecap: round; }
.sd-icon { stroke-linejoin: round; }
.sd-mark .sd-pill { fill: var(--sd-soft, var(--sd-idle-soft)); }
.sd-mark text { fill: var(--sd-tone-ink, var(--sd-tone)); font-weight: 600; }
.sd-mark .sd-icon { stroke: var(--sd-tone-ink, var(--sd-tone)); }
.sd-why { fill: var(--sd-bad); font-size: 11px; }
.sd-good { --sd-tone: var(--sd-good); --sd-soft: var(--sd-good-soft); }
.sd-bad { --sd-tone: var(--sd-bad); --sd-soft: var(--sd-bad-soft); }
.sd-busy { --sd-tone: var(--sd-busy); --sd-soft: var(--sd-busy-soft); }
.sd-undo { --sd-tone: var(--sd-undo); --sd-soft: var(--sd-undo-soft); }
.sd-alert { --sd-tone: var(--sd-alert-soft); --sd-soft: var(--sd-alert-soft); --sd-tone-ink: var(--sd-alert); }
.sd-idle, .sd-skipped { --sd-tone: var(--sd-idle); --sd-soft: var(--sd-idle-soft); }
.sd-skipped .sd-box { stroke-dasharray: 4 4; }
.sd-skipped .sd-name, .sd-skipped .sd-strong { fill: var(--sd-quiet); font-weight: 400; }
.sd-label { fill: var(--sd-surface); stroke: var(--sd-line); }
.sd-chosen { stroke: var(--sd-ink); stroke-width: 2; }
"""

ICONS = {
    # what a step takes
    "command": "M2 4h12v8.5H2zM2 4.5l6 4.7 6-4.7",
    "dispatch": "M14 2 1.8 7.3l4.7 2.2 2.2 4.7zM14 2 6.5 9.5",
    "local": "M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5",
    "nothing": "M6.5 3 3 6.5 6.5 10M3 6.5h6a4 4 0 0 1 0 8H7",
    "signal": "M2.8 11.8C4.6 10.5 4 8 4.5 6.3a3.6 3.6 0 0 1 7 0c.5 1.7-.1 4.2 1.7 5.5zM6.8 14.2h2.4",
    "sleep": "M8 2a6 6 0 1 0 .01 0zM8 4.8V8l2.3 1.8",
    "child": "M2 2h12v12H2zM5.5 5.5h5v5h-5z",
    # who speaks to whom
    "queue": "M1.5 4.5h13v7h-13zM5.8 4.5v7M10.2 4.5v7",
    "service": "M2 2.5h12v4.6H2zM2 9h12v4.6H2zM4.8 4.8v.1M4.8 11.3v.1",
    # how far it is
    "check": "M3 8.5 6.5 12 13 4.5",
    "cross": "M4 4l8 8M12 4l-8 8",
    "progress": "M13.5 8A5.5 5.5 0 1 1 8 2.5",
    "ring": "M8 3.5a4.5 4.5 0 1 0 .01 0z",
    "skip": "M8 2.5a5.5 5.5 0 1 0 .01 0zM4.2 11.8l7.6-7.6",
    "undo": "M6.5 3 3 6.5 6.5 10M3 6.5h6a4 4 0 0 1 0 8H7",
    "undone": "M5.5 2.5 2.5 5.5l3 3M2.5 5.5H9a4 4 0 0 1 4 4M7 12.5l1.8 1.8 3.7-3.7",
    "warning": "M8 2 14.5 13.5h-13zM8 6.5v3M8 11.6v.1",
}
