"""The style sheet of the HTML report: light and dark, readable on a phone, printable."""

STYLE = """
:root{--bg:#fbfaf7;--card:#fff;--ink:#1d2330;--soft:#6a7283;--line:#e6e3da;--gain:#2a9d6f;--loss:#d1495b;
--s0:#2f5fd0;--s1:#e08a1e;--s2:#2a9d6f;--s3:#9b51c9;--s4:#d1495b;--s5:#6a7283;--warn:#fff5dc;
--warnline:#eed99b}
@media (prefers-color-scheme:dark){:root{--bg:#14171d;--card:#1c2029;--ink:#e7e9ee;--soft:#98a1b3;
--line:#2c323e;
--s0:#7fa2ff;--s1:#f0a955;--s2:#55c79a;--s3:#c08be6;--s4:#ee7a89;--gain:#55c79a;--loss:#ee7a89;
--warn:#2b2718;--warnline:#574c22}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,"Segoe UI",Helvetica,Arial,sans-serif}
main{max-width:1000px;margin:0 auto;padding:2.2rem 1.2rem 4rem}
h1{font-size:1.9rem;margin:0 0 .2rem;letter-spacing:-.01em}
h2{font-size:1.4rem;margin:3rem 0 .6rem;padding-top:1.2rem;border-top:2px solid var(--line)}
h3{font-size:1.02rem;margin:0 0 .5rem}
p.lead{color:var(--soft);margin:.2rem 0 1.2rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.2rem;
margin:1rem 0}
.card>p{color:var(--soft);font-size:.9rem;margin:.2rem 0 .6rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem;align-items:start}
.pair>.card{margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(135px,1fr));gap:.8rem;margin:1rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:.8rem 1rem}
.tile b{display:block;font-size:1.45rem;font-weight:650;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.tile>span{color:var(--soft);font-size:.82rem}
.up{color:var(--gain)}.down{color:var(--loss)}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{text-align:right;white-space:nowrap;padding:.35rem .5rem;
border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600}
th:first-child,td:first-child{text-align:left}
th.words,td.words{text-align:left;white-space:normal;min-width:14rem}
table.facts td{text-align:left;white-space:normal}
table.facts td:first-child{color:var(--soft);white-space:nowrap;
padding-right:1.2rem}
.scroll{overflow-x:auto}
.caveats{background:var(--warn);border:1px solid var(--warnline);border-radius:12px;padding:.8rem 1.2rem;
margin:1rem 0}
.caveats ul{margin:.3rem 0;padding-left:1.2rem}
.legend{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;font-size:.88rem;color:var(--soft)}
.legend i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;
vertical-align:middle}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font-size:12px}
svg .grid{stroke:var(--line)}svg .zero{stroke:var(--soft)}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .s0{stroke:var(--s0)}svg .s1{stroke:var(--s1)}svg .s2{stroke:var(--s2)}
svg .s3{stroke:var(--s3)}svg .s4{stroke:var(--s4)}svg .s5{stroke:var(--s5)}
svg .area{fill:var(--loss);fill-opacity:.22;stroke:var(--loss);stroke-width:1.2}
svg .diagonal{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
svg .whisker{stroke:var(--s0);stroke-width:1.6;opacity:.55}svg .dot{fill:var(--s0)}
svg .gain{fill:var(--gain)}svg .loss{fill:var(--loss)}
svg .count{fill:var(--s0);opacity:.7}svg .claimed{fill:var(--s0);opacity:.45}
svg .pale{opacity:.38}svg .span{stroke:var(--ink);stroke-width:1.4;opacity:.7}
p.verdict{font-size:1.12rem;font-weight:600;margin:.2rem 0 .8rem}
.unbroken{white-space:nowrap}
.tile b.long{font-size:1.12rem;line-height:1.95rem}
.tile small{display:block;color:var(--soft);font-size:.75rem}
details{margin-top:.6rem;font-size:.9rem}summary{color:var(--soft);cursor:pointer}
table.facts td:last-child{overflow-wrap:anywhere}
code{font-size:.82rem;word-break:break-all}
footer{color:var(--soft);font-size:.85rem;margin-top:3rem}
@media (max-width:720px){.pair{grid-template-columns:1fr}main{padding:1.2rem .7rem 3rem}.card{padding:.8rem}
.card>svg{min-width:520px}.card:has(>svg){overflow-x:auto}
table.facts td:first-child{white-space:normal;min-width:7rem}}
@media print{body{background:#fff}.card,.tile{break-inside:avoid}}
"""
