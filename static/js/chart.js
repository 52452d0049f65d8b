/* Charts: a <figure data-chart> holds what is to be drawn as JSON, and a table with the same numbers follows it. Colours
   come from the page, so that both colour schemes fit; without scripts the table alone stands. */
"use strict";
(() => {
  const tones = ["--tea", "--citrus", "--sky", "--lost"];
  const yuan = new Intl.NumberFormat("zh-CN", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const whole = new Intl.NumberFormat("zh-CN");

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const words = (unit) => (value) => (unit === "fen" ? "¥" + yuan.format(value / 100) : whole.format(value));
  const short = (unit) => (value) => {
    const number = unit === "fen" ? value / 100 : value;
    if (Math.abs(number) < 10000) return whole.format(number);
    return document.documentElement.lang === "en" ? whole.format(number / 1000) + "k" : whole.format(number / 10000) + " 万";
  };

  function options(given) {
    const ink = colour("--ink-soft"), line = colour("--line");
    const axis = { axisLabel: { color: ink }, axisLine: { lineStyle: { color: line } }, splitLine: { lineStyle: { color: line } } };
    return {
      animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      aria: { enabled: true },
      color: tones.map(colour),
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      grid: { left: 8, right: 8, top: given.series.length > 1 ? 40 : 16, bottom: 8, containLabel: true },
      legend: given.series.length > 1 ? { top: 0, left: 0, textStyle: { color: ink } } : undefined,
      tooltip: {
        trigger: "axis", renderMode: "richText", valueFormatter: words(given.unit),
        backgroundColor: colour("--surface"), borderColor: colour("--line-strong"), textStyle: { color: colour("--ink") },
      },
      xAxis: { type: "category", data: given.labels, ...axis },
      yAxis: { type: "value", ...axis, axisLabel: { color: ink, formatter: short(given.unit) } },
      series: given.series.map((one) => ({
        name: one.name, type: given.kind, data: one.values, stack: given.stacked ? "all" : undefined, barMaxWidth: 36, smooth: false,
      })),
    };
  }

  function draw(figure) {
    const room = figure.querySelector(".chart-room");
    const given = JSON.parse(figure.dataset.chart);
    room.hidden = false;
    const chart = window.echarts.init(room, null, { renderer: "canvas" });
    chart.setOption(options(given));
    new ResizeObserver(() => chart.resize()).observe(room);
    const again = () => chart.setOption(options(given), true);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (window.echarts) document.querySelectorAll("figure[data-chart]").forEach(draw);
  });
})();
