"""The look of the page, light and dark; everything is inline so that the file can be mailed and opened
anywhere."""

CSS = """
:root { color-scheme: light dark;
  --page: #f6f6f3; --card: #ffffff; --ink: #16181d; --soft: #5b606b; --faint: #8b909b; --line: #e4e4df; --grid:
  #ecece8;
  --bar: #2f6fde; --good: #1a7f4b; --good-back: #e3f4ea; --warn: #8a5a00; --warn-back: #fdf1d8; --bad: #b3261e;
  --bad-back: #fce8e6;
  --ok-fill: #2f6fde; --dropped-fill: #e0a100; --failed-fill: #d3453b; --flight-fill: #a9adb6;
  --c1: #2f6fde; --c2: #e38a1d; --c3: #17a07c; --c4: #c8468b; --c5: #7a5bd0; --c6: #8aa51f; --c7: #a9adb6; }
@media (prefers-color-scheme: dark) { :root {
  --page: #121317; --card: #1b1d22; --ink: #eceef2; --soft: #a7acb8; --faint: #7d828e; --line: #2c2f37; --grid:
  #282b32;
  --bar: #5b94f5; --good: #6fd39c; --good-back: #143424; --warn: #f0c268; --warn-back: #3a2d10; --bad: #ff9a92;
  --bad-back: #431b19;
  --ok-fill: #5b94f5; --dropped-fill: #d9a52b; --failed-fill: #e5675e; --flight-fill: #646975;
  --c1: #5b94f5; --c2: #e89a43; --c3: #35b392; --c4: #dd6ba5; --c5: #9b82e6; --c6: #a3bd45; --c7: #646975; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { font-size: 27px; line-height: 1.2; letter-spacing: -.015em; margin: 0; font-weight: 650; }
h2 { font-size: 17px; margin: 44px 0 12px; font-weight: 650; }
h3 { font-size: 13px; margin: 0 0 8px; font-weight: 600; color: var(--soft); }
.top { display: flex; flex-wrap: wrap; gap: 10px 16px; align-items: center; }
.pill { font-size: 13px; font-weight: 600; border-radius: 99px; padding: 3px 12px; }
.good { color: var(--good); background: var(--good-back); } .warn { color: var(--warn); background:
  var(--warn-back); }
.bad { color: var(--bad); background: var(--bad-back); }
.about { color: var(--soft); margin: 8px 0 0; font-size: 14px; }
code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.command { display: block; margin-top: 14px; padding: 9px 14px; border: 1px solid var(--line); border-radius:
  8px; background: var(--card); color: var(--soft); }
.command::before { content: "$ "; color: var(--faint); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(138px, 1fr)); gap: 12px; margin-top:
  24px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.tile b { display: block; font-size: 25px; line-height: 1.25; font-weight: 620; letter-spacing: -.02em; }
.tile span { color: var(--soft); font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px;
  margin-bottom: 16px; }
.scroll { overflow-x: auto; padding: 4px 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: right; color: var(--soft); font-weight: 550; font-size: 12.5px; padding: 8px 9px;
  border-bottom: 1px solid var(--line); vertical-align: bottom; }
td { text-align: right; padding: 8px 9px; border-bottom: 1px solid var(--grid); vertical-align: top;
  white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { padding-left: 20px; } th:last-child, td:last-child { padding-right: 20px; }
.stream th:first-child, .stream td:first-child { padding-left: 0; }
.text { text-align: left; } td.text { white-space: normal; overflow-wrap: anywhere; min-width: 110px; }
td small { display: block; color: var(--soft); font-size: 12.5px; }
.share { display: flex; gap: 2px; width: 110px; height: 10px; margin-top: 6px; border-radius: 5px; overflow:
  hidden; background: var(--grid); }
.share i { display: block; min-width: 2px; }
.share .ok { background: var(--ok-fill); } .share .dropped { background: var(--dropped-fill); }
.share .failed { background: var(--failed-fill); } .share .flight { background: var(--flight-fill); }
details.stream > summary { cursor: pointer; list-style-position: outside; margin-left: 18px; font-size: 16px;
  font-weight: 620; overflow-wrap: anywhere; }
details.stream > summary span { font-weight: 400; font-size: 14px; color: var(--soft); margin-left: 8px; }
details.stream > summary ~ * { margin-top: 18px; }
.note { border-radius: 8px; padding: 8px 14px; margin: 12px 0; font-size: 14px; overflow-wrap: anywhere; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 28px; }
@media (max-width: 720px) { .two { grid-template-columns: 1fr; } main { padding: 24px 14px; } }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft); margin: 0 0 4px;
  padding: 0; list-style: none; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
svg { display: block; width: 100%; height: auto; }
.plot { overflow-x: auto; } .plot svg { min-width: 700px; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric:
  tabular-nums; }
.tick { fill: var(--faint); } .name { fill: var(--soft); } .value { fill: var(--ink); }
.grid { stroke: var(--grid); } .axis { stroke: var(--faint); }
.bar { fill: var(--bar); } .band { stroke: var(--card); stroke-width: .6; stroke-linejoin: round; }
.hit { fill: transparent; } .hit:hover { fill: var(--ink); fill-opacity: .1; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); } .c5 { --c:
  var(--c5); }
.c6 { --c: var(--c6); } .c7 { --c: var(--c7); } path.band { fill: var(--c); } .legend i { background: var(--c);
  }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(225px, 1fr)); gap: 14px; }
figure { margin: 0; } figure img { display: block; width: 100%; border-radius: 8px; background: var(--grid); }
figcaption { font-size: 13px; color: var(--soft); margin-top: 5px; } figcaption b { color: var(--ink);
  font-weight: 600; }
.empty { color: var(--soft); margin: 0; }
footer { color: var(--faint); font-size: 13px; margin-top: 36px; }
"""
