/* The map of counties: colours by sales, words at the pointer. The table beside it says the same without scripts. */
(() => {
  "use strict";

  const PREFECTURES = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11"];
  const box = document.querySelector(".county-map");
  if (!box) return;
  const words = box.dataset;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const json = async (url) => {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(url);
    return answer.json();
  };
  const amount = new Intl.NumberFormat("zh-CN", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const yuan = (fen) => `¥${amount.format(fen / 100)}`;

  const optionOf = (names, figures) => {
    const data = Object.entries(figures).map(([code, one]) => ({ name: names.get(code) || one.name, value: one.sales_fen / 100, ...one }));
    return {
      animation: !calm.matches,
      textStyle: { fontFamily: "inherit", color: colour("--ink") },
      tooltip: {
        renderMode: "richText",
        backgroundColor: colour("--surface"),
        borderColor: colour("--line-strong"),
        textStyle: { color: colour("--ink") },
        formatter: ({ name, data: one }) =>
          one
            ? `${one.name}\n${words.sales} ${yuan(one.sales_fen)}\n${words.households} ${one.households ?? words.withheld}`
            : `${name}\n${words.none}`,
      },
      visualMap: {
        min: 0,
        max: Math.max(1, ...data.map((one) => one.value)),
        left: "center",
        bottom: 0,
        orient: "horizontal",
        itemWidth: 12,
        itemHeight: 120,
        calculable: false,
        text: [words.sales, "0"],
        textStyle: { color: colour("--ink-soft") },
        inRange: { color: [colour("--sunken"), colour("--tea")] },
      },
      series: [
        {
          type: "map",
          map: "jiangxi",
          top: 0,
          bottom: 56,
          nameProperty: "name",
          data,
          itemStyle: { areaColor: colour("--surface"), borderColor: colour("--line-strong") },
          emphasis: { label: { color: colour("--on-citrus") }, itemStyle: { areaColor: colour("--citrus") } },
          select: { disabled: true },
        },
      ],
    };
  };

  // The figures and outlines are fetched while the chart's own script is still loading.
  const fetched = Promise.all([json(words.source), ...PREFECTURES.map((part) => json(`${words.maps}/36${part}00.json`))]);
  const loaded = new Promise((go) => document.addEventListener("DOMContentLoaded", go, { once: true }));

  const draw = async () => {
    const [[figures, ...maps]] = await Promise.all([fetched, loaded]);
    const features = maps.flatMap((one) => one.features);
    window.echarts.registerMap("jiangxi", { type: "FeatureCollection", features });
    const names = new Map(features.map((one) => [String(one.properties.adcode), one.properties.name]));
    const chart = window.echarts.init(box, null, { renderer: "svg" });
    const show = () => chart.setOption(optionOf(names, figures), true);
    show();
    box.removeAttribute("aria-busy");
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    new ResizeObserver(() => chart.resize()).observe(box);
  };

  // Without the map the table is all there is to see.
  box.setAttribute("aria-busy", "true");
  draw().catch(() => box.closest(".card, section, figure").remove());
})();
