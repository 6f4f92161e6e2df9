/* Says so when the server refuses or cannot be reached, and when a dropped file is too large to send. Other scripts tell
   things in the same place, by window.detour.notice. */
(function () {
  "use strict";
  const send = window.fetch;
  let offline = false;

  /* color is one of Bootstrap's; link, if there is one, has a text and a function that follows it. */
  function notice(text, color, link) {
    const place = document.getElementById("notices");
    if (!place) return;
    const box = document.createElement("div");
    box.className = "alert alert-" + (color || "danger") + " alert-dismissible shadow-sm mb-2";
    box.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn-close";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => box.remove());
    box.appendChild(close);
    while (place.childElementCount >= 3) place.firstElementChild.remove();
    if (link) box.append(" ", followed(link, box));
    place.appendChild(box);
    window.setTimeout(() => box.remove(), 15000);
  }

  function followed(link, box) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-link alert-link p-0 align-baseline";
    button.textContent = link.text;
    button.addEventListener("click", () => {
      box.remove();
      link.follow();
    });
    return button;
  }

  async function explain(answer) {
    try {
      return (await answer.clone().json()).error;
    } catch (other) {
      return null;
    }
  }

  window.detour = Object.assign(window.detour || {}, { notice });

  window.fetch = async function (...request) {
    let answer;
    try {
      answer = await send.apply(this, request);
    } catch (error) {
      if (!offline && error.name !== "AbortError") notice("The server does not answer. Is it still running?");
      offline = error.name !== "AbortError";
      throw error;
    }
    offline = false;
    if (answer.status >= 400) {
      notice((await explain(answer)) || "The server answered with error " + answer.status + ".");
    }
    return answer;
  };

  function checkFiles(event) {
    const zone = event.target.closest && event.target.closest("[data-max-bytes]");
    if (!zone) return;
    const limit = Number(zone.dataset.maxBytes);
    const files = event.dataTransfer ? event.dataTransfer.files : event.target.files;
    if (files && files.length && files[0].size > limit) {
      const megabytes = (size) => (size / 2 ** 20).toFixed(1).replace(".0", "") + " MB";
      notice("This file has " + megabytes(files[0].size) + "; at most " + megabytes(limit) + " are accepted. Send a smaller one.");
      event.stopPropagation();
      event.preventDefault();
    }
  }
  document.addEventListener("drop", checkFiles, true);
  document.addEventListener("change", checkFiles, true);
})();
