/* Light or dark: what the visitor chose last, else what the system prefers. Set before the first paint of the pages. */
(function () {
  "use strict";
  const KEY = "detour-theme";
  function stored() {
    try {
      return window.localStorage.getItem(KEY);
    } catch (refused) {
      return null;
    }
  }
  function apply(theme) {
    document.documentElement.setAttribute("data-bs-theme", theme);
    return theme;
  }
  const preferred = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const known = stored();
  apply(known === "dark" || known === "light" ? known : preferred);
  document.documentElement.setAttribute("lang", "en");

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.theme = {
    toggle: function (clicks) {
      const now = document.documentElement.getAttribute("data-bs-theme");
      if (!clicks) return now;
      const next = now === "dark" ? "light" : "dark";
      try {
        window.localStorage.setItem(KEY, next);
      } catch (refused) {
        /* a browser that keeps nothing still switches */
      }
      return apply(next);
    },
  };
})();
