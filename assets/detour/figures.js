/* Pictures of figures are made in the browser; nothing leaves the machine. */
(function () {
  "use strict";
  function download(id, format) {
    const figure = document.querySelector("#" + CSS.escape(id) + " .js-plotly-plot");
    if (!figure || !window.Plotly) return window.dash_clientside.no_update;
    const box = figure.getBoundingClientRect();
    const size = { width: Math.round(box.width), height: Math.round(box.height) };
    window.Plotly.downloadImage(figure, { format, filename: id.replace(/-graph$/, ""), scale: format === "png" ? 2 : 1, ...size });
    return window.dash_clientside.no_update;
  }
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.figures = {
    png: (clicks, id) => (clicks ? download(id, "png") : window.dash_clientside.no_update),
    svg: (clicks, id) => (clicks ? download(id, "svg") : window.dash_clientside.no_update),
    open: (clicks) => Boolean(clicks),
    grow: (figure, style) => {
      const height = figure && figure.layout && figure.layout.height;
      const wanted = height && height + "px";
      return wanted && wanted !== style.height ? { ...style, height: wanted } : window.dash_clientside.no_update;
    },
  };
})();
