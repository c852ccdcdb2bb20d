// An extra: the figures under the pointer. The page says everything without it.
(() => {
  const outcome = JSON.parse(document.getElementById("outcome").textContent);
  const whole = outcome.duration_s || 1;
  const f = (value) => (value === null || value === undefined ? "–" : (Math.round(value * 100) / 100).toString());
  const words = {
    delay: (p) => (p.delay ? `delay ${f(p.delay[1])} ms (${f(p.delay[0])} to ${f(p.delay[2])} ms)` : "nothing real heard") +
      (p.network ? `, network ${f(p.network[0])} ms (most ${f(p.network[1])} ms)` : ", no packets"),
    gaps: (p) => `made up ${f(p.concealed)} %, silent ${f(p.silent)} %`,
    cushion: (p) => `held ${f(p.depth)} ms, aimed at ${f(p.target)} ms`,
    drift: (p) => `${f(p.drift)} ppm`,
    work: (p) => (p.up ? "plays" : "does not play") + `, ${p.restarts} restarts so far`,
  };
  document.documentElement.classList.add("js");
  for (const figure of document.querySelectorAll("figure[data-way]")) {
    const series = (outcome[figure.dataset.way] || {}).series || [];
    const read = figure.querySelector(".read");
    const plots = [...figure.querySelectorAll("svg.plot")];
    const clear = () => {
      read.textContent = "";
      plots.forEach((plot) => (plot.querySelector(".cursor").style.visibility = "hidden"));
    };
    for (const plot of plots) {
      plot.addEventListener("pointerleave", clear);
      plot.addEventListener("pointermove", (event) => {
        const box = plot.getBoundingClientRect();
        const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
        const point = series.find((p) => p.t >= share * whole) || series[series.length - 1];
        if (!point) return;
        for (const each of plots) {
          const cursor = each.querySelector(".cursor");
          cursor.setAttribute("x1", `${share * 100}%`);
          cursor.setAttribute("x2", `${share * 100}%`);
          cursor.setAttribute("y2", each.getAttribute("height") - 22);
          cursor.style.visibility = "visible";
        }
        read.textContent = `At ${f(point.t)} s: ${words[figure.dataset.what](point)}`;
      });
    }
  }
})();
