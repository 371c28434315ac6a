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

  // What all pictures have in common.
  function frame(top) {
    const ink = style("--guerdon-ink"), rule = style("--guerdon-rule");
    return {
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      animation: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      animationDuration: 300,
      legend: { top: 0, left: 0, itemGap: 16, itemWidth: 14, itemHeight: 8, textStyle: { color: ink } },
      grid: { left: 4, right: 4, top, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      tooltip: {
        trigger: "axis", renderMode: "richText", confine: true, valueFormatter: group,
        backgroundColor: style("--guerdon-card"), borderColor: rule, textStyle: { color: style("--guerdon-ink-strong") },
      },
    };
  }

  const categories = (names) => ({
    type: "category", data: names, axisTick: { show: false },
    axisLine: { lineStyle: { color: style("--guerdon-rule") } },
    axisLabel: { color: style("--guerdon-ink"), hideOverlap: true },
  });

  function flowOptions(data) {
    const ink = style("--guerdon-ink"), rule = style("--guerdon-rule");
    const axis = { type: "value", axisLabel: { color: ink, formatter: short }, splitNumber: 4 };
    return {
      ...frame(60),
      xAxis: categories(data.months),
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

  // The rules in force beside a draft: by month upright, by anything else sideways, where names have room.
  function pairOptions(data) {
    const unit = 10 ** data.decimals;
    const side = (side, color) => ({
      ...bars(side.name, side.points.map((points) => points / unit), color),
      itemStyle: { color, borderRadius: data.sideways ? [0, 3, 3, 0] : [3, 3, 0, 0] },
    });
    const values = {
      type: "value", splitNumber: 4, axisLabel: { color: style("--guerdon-ink"), formatter: short, hideOverlap: true },
      splitLine: { lineStyle: { color: style("--guerdon-rule") } },
    };
    const names = categories(data.names);
    const sideways = {
      ...names, inverse: true, axisLabel: { ...names.axisLabel, width: 120, overflow: "break" },
    };
    return {
      ...frame(36),
      xAxis: data.sideways ? values : names,
      yAxis: data.sideways ? sideways : values,
      series: [side(data.live, style("--guerdon-live")), side(data.draft, style("--guerdon-earned"))],
    };
  }

  // A price over time: it stays what it is until it is another.
  function priceOptions(data) {
    const ink = style("--guerdon-ink"), rule = style("--guerdon-rule"), unit = 10 ** data.decimals;
    const colors = ["--guerdon-outstanding", "--guerdon-earned", "--guerdon-redeemed", "--guerdon-live"].map(style);
    const language = document.documentElement.lang || "en";
    const month = new Intl.DateTimeFormat(language, { month: "short", timeZone: "UTC" });
    const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
    const common = frame(36);
    return {
      ...common,
      useUTC: true,
      tooltip: {
        ...common.tooltip,
        formatter: (lines) =>
          [day.format(lines[0].value[0]), ...lines.map((line) => `${line.seriesName} ${group(line.value[1])}`)].join("\n"),
      },
      xAxis: {
        type: "time", min: "dataMin", max: "dataMax", axisTick: { show: false }, splitLine: { show: false },
        axisLine: { lineStyle: { color: rule } },
        axisLabel: { color: ink, hideOverlap: true, formatter: (at) => month.format(at) },
        minInterval: 28 * 24 * 3600 * 1000,
      },
      yAxis: {
        type: "value", scale: true, splitNumber: 3, axisLabel: { color: ink, formatter: short },
        splitLine: { lineStyle: { color: rule } },
      },
      series: data.series.map((one, place) => ({
        name: one.name, type: "line", step: "end", showSymbol: false,
        data: data.moments.map((at, index) => [at, one.points[index] === null ? null : one.points[index] / unit]),
        lineStyle: { width: 2.5 }, itemStyle: { color: colors[place % colors.length] },
      })),
    };
  }

  function drawCharts() {
    const draw = (element, options) => {
      const chart = echarts.getInstanceByDom(element) || echarts.init(element);
      chart.setOption(options, true);
    };
    for (const element of document.querySelectorAll("[data-flow-chart]")) {
      draw(element, flowOptions(JSON.parse(element.dataset.flowChart)));
    }
    for (const element of document.querySelectorAll("[data-price-chart]")) {
      draw(element, priceOptions(JSON.parse(element.dataset.priceChart)));
    }
    for (const element of document.querySelectorAll("[data-pair-chart]")) {
      const data = JSON.parse(element.dataset.pairChart);
      // As high as its bars need.
      if (data.sideways) element.style.height = `${70 + data.names.length * 48}px`;
      draw(element, pairOptions(data));
    }
  }

  // A code is copied by its button, which is there where the browser can.
  function offerCopies(within) {
    if (!navigator.clipboard) return;
    for (const button of within.querySelectorAll("[data-copy]")) button.hidden = false;
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      return;
    }
    button.textContent = button.dataset.copied;
  });
  document.addEventListener("DOMContentLoaded", () => offerCopies(document));
  document.addEventListener("htmx:load", (event) => offerCopies(event.target));

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
      for (const element of document.querySelectorAll(".chart")) {
        echarts.getInstanceByDom(element)?.resize();
      }
    });
    dark.addEventListener("change", () => {
      applyTheme();
      drawCharts();
    });
  });
})();
