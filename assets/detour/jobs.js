/* The clock of the job tray, its buttons, and what is told of jobs that end while the page is open. */
(function () {
  "use strict";
  const IDLE_MS = 5000;
  const noUpdate = () => window.dash_clientside.no_update;
  const triggered = () => window.dash_clientside.callback_context.triggered;
  const told = new Set();
  let looked = 0;

  function go(address) {
    window.history.pushState(null, "", address);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  }

  /* The tray makes way for what one of its links opens. */
  document.addEventListener("click", (event) => {
    if (event.target.closest("#job-tray a")) window.dash_clientside.set_props("job-tray", { is_open: false });
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.jobs = {
    /* The list is read each second while a job is active or the tray is open, else every few seconds; at once when somebody
       has asked for something; and not at all while nobody can see it. */
    tick: function (ticks, asked, open, followed) {
      const urgent = triggered().some((one) => !one.prop_id.startsWith("jobs-clock.") && one.value);
      const busy = open || (followed && followed.active.length > 0);
      const due = busy || Date.now() - looked >= IDLE_MS - 100;
      if (!urgent && (document.hidden || !due)) return noUpdate();
      looked = Date.now();
      return looked;
    },
    /* Buttons that are drawn anew call this too, but nobody has pressed them. */
    order: function () {
      const pressed = triggered().find((one) => one.value);
      if (!pressed) return noUpdate();
      const id = JSON.parse(pressed.prop_id.slice(0, pressed.prop_id.lastIndexOf(".")));
      const question = "Remove this job with its log and its result? That cannot be undone.";
      if (id.do === "remove" && !window.confirm(question)) return noUpdate();
      return { do: id.do, job: id.job, time: Date.now() };
    },
    notify: function (notices) {
      for (const one of notices || []) {
        if (told.has(one.key)) continue;
        told.add(one.key);
        window.detour.notice(one.text, one.color, { text: one.link, follow: () => go(one.href) });
      }
    },
    /* A job that was removed is not named by the address any more. */
    leave: function (asked) {
      const query = new URLSearchParams(window.location.search);
      if (!asked || asked.do !== "remove") return;
      const fields = "job study detector sensitivity route harden comparison phases".split(" ");
      const named = fields.filter((name) => (query.get(name) || "").startsWith(asked.job));
      if (!named.length) return;
      named.forEach((name) => query.delete(name));
      const text = query.toString();
      go(window.location.pathname + (text ? "?" + text : ""));
    },
    /* A log stays at its end, unless somebody has scrolled back in it. */
    follow: function (lines) {
      const log = document.getElementById("jobs-log");
      if (!log || lines === undefined) return;
      const before = log.dataset.height ? Number(log.dataset.height) : null;
      if (before === null || log.scrollTop + log.clientHeight >= before - 20) log.scrollTop = log.scrollHeight;
      log.dataset.height = String(log.scrollHeight);
    },
  };
})();
