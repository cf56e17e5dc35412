// An HTML document with nothing outside it.

#include "ReportPage.h"

#include "ReportChart.h"

namespace peer::runtime {
namespace {

// Both colour schemes are spelled out: a report is also printed and mailed. The palette keeps its hues apart for
// colour-blind readers (after Okabe and Ito).
constexpr const char *kStyle = R"css(
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#5b6470;--grid:#e4e7eb;--axis:#9aa3ad;--c0:#0b6fb8;--c1:#d1570a;--c2:#5b6470;--c3:#0a8a63;--c4:#b0498e;--c5:#a07800;--c6:#7a3db8;--c7:#c0263b;--c8:#00838f}
@media (prefers-color-scheme:dark){:root{--bg:#121417;--card:#1b1e23;--ink:#e7eaee;--soft:#a0a9b4;--grid:#2c3138;--axis:#5d6670;--c0:#5cb3f0;--c1:#f59252;--c2:#a0a9b4;--c3:#3fcf9f;--c4:#e58cc4;--c5:#e3bf4a;--c6:#b48cf0;--c7:#f27d8b;--c8:#4fc3d1}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;line-height:1.25;margin:0 0 18px;overflow-wrap:anywhere}h2{font-size:17px;margin:34px 0 12px}
.headline{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0 0 16px}
.headline div{background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:12px 16px}
.headline b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums}.headline span{color:var(--soft);font-size:13px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:16px;align-items:start}
.card{margin:0;background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:14px 16px;min-width:0}
.wide{grid-column:1/-1}
figcaption{font-weight:600;overflow-wrap:anywhere}.card p{margin:2px 0 10px;color:var(--soft);font-size:13px}
.legend{display:flex;flex-wrap:wrap;gap:2px 18px;margin:4px 0 6px;color:var(--soft);font-size:13px}.legend span{display:inline-flex;align-items:center;gap:7px}
svg.key{width:26px;height:10px}svg.chart,svg.scale{display:block;width:100%;height:auto}svg.scale{max-width:430px;margin:10px auto 0}
.grid{stroke:var(--grid)}.axis{stroke:var(--axis)}text{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}text.label{font-size:12.5px}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.noise{fill:none;stroke-width:1;opacity:.35}.level{stroke-width:1.6;stroke-dasharray:6 5}
.dot{stroke:var(--card);stroke-width:1}
polyline.c0,line.c0{stroke:var(--c0)}polyline.c1,line.c1{stroke:var(--c1)}polyline.c2,line.c2{stroke:var(--c2)}polyline.c3,line.c3{stroke:var(--c3)}polyline.c4,line.c4{stroke:var(--c4)}polyline.c5,line.c5{stroke:var(--c5)}polyline.c6,line.c6{stroke:var(--c6)}polyline.c7,line.c7{stroke:var(--c7)}polyline.c8,line.c8{stroke:var(--c8)}
circle.c0{fill:var(--c0)}circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}circle.c3{fill:var(--c3)}circle.c4{fill:var(--c4)}circle.c5{fill:var(--c5)}circle.c6{fill:var(--c6)}circle.c7{fill:var(--c7)}circle.c8{fill:var(--c8)}
.area{opacity:.16}polygon.c0{fill:var(--c0)}polygon.c1{fill:var(--c1)}polygon.c2{fill:var(--c2)}polygon.c3{fill:var(--c3)}polygon.c4{fill:var(--c4)}polygon.c5{fill:var(--c5)}polygon.c6{fill:var(--c6)}polygon.c7{fill:var(--c7)}polygon.c8{fill:var(--c8)}
.gridbox{display:grid;grid-template-columns:auto minmax(0,384px);gap:4px 8px;justify-content:center;color:var(--soft);font-size:12px}
.rows{display:flex;justify-content:space-between;text-align:right;writing-mode:vertical-rl;transform:rotate(180deg)}
.columns{grid-column:2;display:flex;justify-content:space-between}
img.usage{display:block;width:100%;aspect-ratio:1;object-fit:fill;image-rendering:pixelated;border:1px solid var(--axis)}
table{border-collapse:collapse;width:100%;font-size:14px}td,th{text-align:left;vertical-align:top;padding:5px 10px 5px 0;border-bottom:1px solid var(--grid);overflow-wrap:anywhere}
td:first-child{color:var(--soft);width:42%}th{color:var(--soft);font-weight:500}tr:last-child td{border-bottom:0}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;width:auto}
@media print{body{background:#fff}.card{break-inside:avoid}}
)css";

} // namespace

std::string renderPage(std::string_view title, const std::string &body) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><title>" +
         escapeHtml(title) + "</title><style>" + kStyle + "</style></head>\n<body><main><h1>" + escapeHtml(title) +
         "</h1>\n" + body + "</main></body></html>\n";
}

} // namespace peer::runtime
