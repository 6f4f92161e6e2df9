/* What screen readers and keyboards need, and the components do not offer themselves. */
(function () {
  "use strict";

  /* The file input of the place for dropped files, its one stop of the Tab key, has no name of its own. */
  function label() {
    for (const input of document.querySelectorAll(".upload input[type=file]:not([aria-label])")) {
      input.setAttribute("aria-label", "Image to upload");
    }
  }

  /* Fields are marked as wrong by a class; screen readers look at an attribute. */
  function markInvalid() {
    for (const field of document.querySelectorAll(".is-invalid:not([aria-invalid=true])")) {
      field.setAttribute("aria-invalid", "true");
    }
    for (const field of document.querySelectorAll("[aria-invalid=true]:not(.is-invalid)")) {
      field.removeAttribute("aria-invalid");
    }
  }

  /* When a page is laid out anew the focused element goes; the one that takes its place gets the focus. */
  let focused = null;
  function keepFocus() {
    if (!focused || focused.isConnected || document.activeElement !== document.body) return;
    const again = document.getElementById(focused.id);
    if (again) again.focus({ preventScroll: true });
  }
  document.addEventListener("focusin", (event) => (focused = event.target.id ? event.target : null));
  document.addEventListener("pointerdown", () => (focused = null), true);

  new MutationObserver(() => {
    label();
    markInvalid();
    keepFocus();
  }).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["class"] });
})();
