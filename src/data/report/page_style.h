#pragma once

#include <string_view>

namespace tigerbot::data::html {

/// The report's style sheet: system fonts, one measure, colours that hold in light and dark.
inline constexpr std::string_view kPageStyle = R"css(
:root{color-scheme:light dark;--page:#f7f8fa;--card:#fff;--ink:#1c2330;--quiet:#667085;--line:#e3e7ee;
--soft:#eef1f6;--c1:#2f6fde;--c2:#e0902b;--c3:#1f9e78;--c4:#8a5cd1;--c5:#c2487e;--c6:#2a9db0;--c7:#5a8f29;
--other:#a3abba;--bad:#b3382c;--good:#1b7f5c;--badsoft:#fdf1ef;--goodsoft:#eef8f4}
@media(prefers-color-scheme:dark){:root{--page:#12151b;--card:#1a1f28;--ink:#e4e8ef;--quiet:#98a2b3;
--line:#2b323e;--soft:#232a35;--c1:#6b9df5;--c2:#eda94f;--c3:#48c39d;--c4:#b08df0;--c5:#e27ba9;--c6:#57c4d6;
--c7:#8fc257;--other:#6f7888;--bad:#f08a7d;--good:#5fcda4;--badsoft:#2b1f20;--goodsoft:#1a2a26}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
"Noto Sans","Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 24px 60px}
header h1{margin:0;font-size:28px;letter-spacing:-.01em}
header p{margin:2px 0 0;color:var(--quiet)}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:14px 0 0;font-size:14px}
nav a{color:var(--c1);text-decoration:none}nav a:hover{text-decoration:underline}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 22px 20px;margin:18px 0 0}
h2{margin:0 0 12px;font-size:19px}h3{margin:20px 0 8px;font-size:15px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:18px 0 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.tile b{display:block;font-size:23px;font-weight:650;letter-spacing:-.01em;line-height:1.25}
.tile span{color:var(--quiet);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;
font-variant-numeric:tabular-nums}
th{color:var(--quiet);font-weight:600}
th:first-child,td:first-child,.left{text-align:left!important}
tr.sum td{font-weight:650;border-bottom:0}td.wrap{white-space:normal;overflow-wrap:anywhere}
.rings{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:18px;margin:18px 0 4px}
.ring{display:flex;align-items:center;gap:20px}.ring svg{width:170px;flex:none}
.ring text{text-anchor:middle;fill:var(--quiet);font-size:13px}.ring text.big{fill:var(--ink);font-size:23px;font-weight:650}
.legend{list-style:none;margin:0;padding:0;font-size:14px}.legend li{display:flex;align-items:center;gap:8px;padding:1px 0}
.legend.flat,.bars+.legend{display:flex;gap:16px;font-size:13px}
section>.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin-bottom:10px}
.key{width:11px;height:11px;border-radius:3px;flex:none}.note{color:var(--quiet);font-variant-numeric:tabular-nums}
.bars{display:grid;grid-template-columns:minmax(130px,max-content) 1fr max-content;gap:6px 14px;align-items:center;font-size:14px}
.track{background:var(--soft);border-radius:4px;height:16px;overflow:hidden}.bar{background:var(--c1);height:100%;border-radius:4px}
.stack{display:flex}.stack .bar{border-radius:0;border-right:1px solid var(--card)}
figure{margin:0}figure svg{max-width:560px}figcaption{font-size:14px;font-weight:600;margin-bottom:4px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:22px}
svg .grid{stroke:var(--line)}svg .axis{fill:var(--quiet);font-size:10.5px;text-anchor:middle}svg .end{text-anchor:end}
details{border-top:1px solid var(--line);padding:9px 0}details[open]{padding-bottom:14px}
summary{cursor:pointer;font-weight:600}summary .note{font-weight:400;margin-left:10px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:12px;margin:12px 0 0}
@media(max-width:760px){.pair{grid-template-columns:1fr}}
.text{border:1px solid var(--line);border-radius:8px;overflow:hidden;font-size:13.5px;min-width:0}
.text div{padding:6px 11px;background:var(--soft);color:var(--quiet);font-size:12.5px;overflow-wrap:anywhere}
.text div b{color:var(--ink)}.text.drop div:first-child{background:var(--badsoft)}.text.drop b{color:var(--bad)}
.text.keep div:first-child{background:var(--goodsoft)}.text.keep b{color:var(--good)}
.text pre{margin:0;padding:9px 11px;max-height:210px;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}
pre.code{background:var(--soft);border-radius:8px;padding:12px 14px;overflow:auto;font:13px/1.5 ui-monospace,Menlo,Consolas,monospace}
.quiet{color:var(--quiet)}.warn{color:var(--bad)}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}
)css";

}  // namespace tigerbot::data::html
