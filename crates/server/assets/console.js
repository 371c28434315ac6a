// The console's own script: light or dark, the menu, and the pictures. Loaded in the head, so that the page never flashes.
"use strict";

(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const applyTheme = () => {
    document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light";
  };
  applyTheme();

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const group = (value) => value.toLocaleString(document.documentElement.lang || "en");

  // 1,200,000 becomes 1.2M: an axis has little room.
  const short = (value) =>
    value.toLocaleString(document.documentElement.lang || "en", { notation: "compact", maximumFractionDigits: 1 });

  const bars = (name, data, color) => ({
    name, data, type: "bar", barMaxWidth: 18, barGap: "15%",
    itemStyle: { color, borderRadius: [3, 3, 0, 0] },
  });

  function flowOptions(data) {
    const ink = style("--guerdon-ink"), rule = style("--guerdon-rule");
    const axis = { type: "value", axisLabel: { color: ink, formatter: short }, splitNumber: 4 };
    return {
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      animation: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      animationDuration: 300,
      legend: { top: 0, left: 0, itemGap: 16, itemWidth: 14, itemHeight: 8, textStyle: { color: ink } },
      grid: { left: 4, right: 4, top: 60, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      tooltip: {
        trigger: "axis", renderMode: "richText", confine: true, valueFormatter: group,
        backgroundColor: style("--guerdon-card"), borderColor: rule, textStyle: { color: style("--guerdon-ink-strong") },
      },
      xAxis: {
        type: "category", data: data.months, axisTick: { show: false },
        axisLine: { lineStyle: { color: rule } }, axisLabel: { color: ink, hideOverlap: true },
      },
      yAxis: [
        { ...axis, name: data.moved, nameTextStyle: { color: ink, align: "left" },
          splitLine: { lineStyle: { color: rule } } },
        { ...axis, name: data.outstanding.name, nameTextStyle: { color: ink, align: "right" },
          splitLine: { show: false } },
      ],
      series: [
        bars(data.earned.name, data.earned.points, style("--guerdon-earned")),
        bars(data.redeemed.name, data.redeemed.points, style("--guerdon-redeemed")),
        {
          name: data.outstanding.name, data: data.outstanding.points, type: "line", yAxisIndex: 1,
          showSymbol: data.months.length < 3, symbolSize: 6, lineStyle: { width: 2.5 },
          itemStyle: { color: style("--guerdon-outstanding") },
        },
      ],
    };
  }

  function drawCharts() {
    for (const element of document.querySelectorAll("[data-flow-chart]")) {
      const chart = echarts.getInstanceByDom(element) || echarts.init(element);
      chart.setOption(flowOptions(JSON.parse(element.dataset.flowChart)), true);
    }
  }

  // An open menu closes with Escape, or when something else is clicked.
  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu.contains(except)) continue;
      if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      menu.open = false;
    }
  }
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMenus(null);
  });

  // A page that can be printed has a button for it.
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
  });

  document.addEventListener("DOMContentLoaded", () => {
    drawCharts();
    window.addEventListener("resize", () => {
      for (const element of document.querySelectorAll("[data-flow-chart]")) {
        echarts.getInstanceByDom(element)?.resize();
      }
    });
    dark.addEventListener("change", () => {
      applyTheme();
      drawCharts();
    });
  });
})();
