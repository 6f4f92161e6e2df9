/* The component that takes dropped files renders its file input without a name; screen readers need one. */
(function () {
  "use strict";
  function label() {
    for (const input of document.querySelectorAll(".upload input[type=file]:not([aria-label])")) {
      input.setAttribute("aria-label", "Image to upload");
    }
  }
  new MutationObserver(label).observe(document.documentElement, { childList: true, subtree: true });
})();
