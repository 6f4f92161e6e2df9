/* The selection lives in the URL. A page's controls are gathered into a query string, which is pushed to the history; the
   string goes to the server as it is and is checked there. What a control changes is changed in the page's own selection
   ("current" below), never in the address: pressing back and forward fast, the two differ for a moment. */
(function () {
  "use strict";
  const noUpdate = () => window.dash_clientside.no_update;
  let lastPush = { field: null, time: 0 };

  function triggeredIds() {
    return window.dash_clientside.callback_context.triggered.map((one) => one.prop_id);
  }

  /* Sets or removes fields of a query; fields of other pages stay as they are. */
  function withFields(current, fields) {
    const query = new URLSearchParams(current);
    for (const [name, value] of Object.entries(fields)) {
      if (value === null || value === undefined) query.delete(name);
      else query.set(name, String(value).trim());
    }
    const text = query.toString();
    return text ? "?" + text : "";
  }

  /* Dash's own location component listens to this event. What a control changed is announced once the page remembers it
     as shown ("shown" below), however long the server keeps that waiting: told earlier, it would lay the page out anew. */
  function announce() {
    window.setTimeout(() => window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")), 30);
  }

  function push(search, field) {
    const now = Date.now();
    const dragging = field !== null && field === lastPush.field && now - lastPush.time < 1000;
    const address = window.location.pathname + search;
    if (dragging) window.history.replaceState(null, "", address);
    else window.history.pushState(null, "", address);
    lastPush = { field: field, time: now };
  }

  /* What the page itself put into a control is no choice of the visitor: it is not written into the URL, and a field that is
     wrong there (its control is empty) stays as it is until it is corrected. */
  function withoutRendered(current, fields, rendered, wrong) {
    const query = new URLSearchParams(current);
    const chosen = {};
    for (const [name, value] of Object.entries(fields)) {
      const text = value === null || value === undefined ? "" : String(value).trim();
      const same = text === rendered[name];
      if (same && (!query.has(name) || wrong.includes(name))) continue;
      chosen[name] = value;
    }
    return chosen;
  }

  function commit(current, fields) {
    const search = withFields(current, fields);
    if (search === withFields(current, {})) return noUpdate();
    const triggered = triggeredIds();
    push(search, triggered.length === 1 ? triggered[0] : null);
    return search;
  }

  /* All settings of the attack as a query has them, the usual ones included, as one text. */
  function settingsIn(search, facts) {
    const query = new URLSearchParams(search);
    const name = (setting) => (setting === "epsilon" ? setting : "set." + setting);
    const settings = Object.entries(facts.defaults).map(([setting, usual]) => [setting, query.get(name(setting)) ?? usual]);
    return JSON.stringify(settings);
  }

  /* What is set of an attack; a setting that has its usual value is left out of the address. */
  function attackFields(epsilon, seed, target, settings, ids, facts) {
    const fields = { seed, target, epsilon: facts.has_epsilon ? epsilon : null };
    ids.forEach((id, index) => {
      const usual = String(facts.defaults[id.name]);
      const wrong = facts.rendered["set." + id.name] === "";
      const given = settings[index] === null || settings[index] === undefined ? "" : String(settings[index]);
      if (!(wrong && given === "")) fields["set." + id.name] = given === usual ? null : given;
    });
    return fields;
  }

  /* Another method has other scores: its threshold starts where 5 % of the normal images are flagged. */
  function lookedAt(by, look, current, click, method, against, threshold) {
    if (by("detect-matrix-graph.") && click) {
      const cell = click.points[0].customdata;
      if (!cell || !cell[0]) return {};
      const other = cell[0] === look.method ? {} : { threshold: null };
      return { method: cell[0], against: cell[1], ...other };
    }
    if (by("detect-method.") && method && method !== look.method) return { method, threshold: null };
    if (by("detect-against.") && against && against !== look.against) return { against };
    const named = new URLSearchParams(current).get("method");
    const answered = named === null || named === look.method; // else the slider is still that of another method
    if (by("detect-threshold.") && threshold !== null && answered) {
      return { threshold: Number(threshold) === look.usual ? null : threshold };
    }
    return {};
  }

  /* The two classes of a cell of their matrix: a number in each cell would be most of what is sent of a thousand classes. */
  function classesOf(cell) {
    const { x, y } = document.querySelector("#classes-matrix-graph .js-plotly-plot").data[0];
    return [y.indexOf(cell.y), x.indexOf(cell.x)].map(String);
  }

  /* Another model or attack has other images, classes and settings: the page is laid out anew for it. */
  function commitAndReload(current, fields) {
    push(withFields(current, fields), null);
    announce();
    return noUpdate();
  }

  function dropSettings(current, fields) {
    for (const name of new URLSearchParams(current).keys()) {
      if (name.startsWith("set.")) fields[name] = null;
    }
    return fields;
  }

  /* Back and forward always lay the page out anew: pressed fast, the view that is still remembered as shown is on its way out. */
  window.addEventListener("popstate", () => window.dash_clientside.set_props("shown-selection", { data: null }));

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.selection = {
    inspect: function (image, epsilon, seed, rank, theta, target, pin, edges, units, unit, settings, ids, facts, current) {
      const fields = { image, rank, theta, edges, units, ...attackFields(epsilon, seed, target, settings, ids, facts) };
      fields.pin = pin || null;
      fields.unit = unit || null;
      const chosen = withoutRendered(current, fields, facts.rendered, facts.wrong);
      if (chosen.target === "any") chosen.target = null;
      return commit(current, chosen);
    },
    model: function (model, facts, current) {
      if (!model || model === facts.model) return noUpdate();
      const same = facts.datasets[model] === facts.datasets[facts.model];
      const fields = { model };
      const ofModel =
        "target pair study method against threshold detector sensitivity route layer unit picked others harden comparison " +
        "phases beside";
      for (const name of ofModel.split(" ")) fields[name] = null;
      if (!same) Object.assign(fields, { image: null, pin: null });
      return commitAndReload(current, fields);
    },
    attack: function (attack, facts, current) {
      if (!attack || attack === facts.attack) return noUpdate();
      const fields = { attack, epsilon: null };
      if (facts.untargeted.includes(attack)) fields.target = null;
      return commitAndReload(current, dropSettings(current, fields));
    },
    preset: function (preset, facts, current) {
      const settings = preset && facts.presets[preset];
      if (!settings) return noUpdate();
      const fields = { ...dropSettings(current, { epsilon: null }), ...settings };
      const same = settingsIn(withFields(current, fields), facts) === settingsIn(current, facts);
      return same ? noUpdate() : commitAndReload(current, fields);
    },
    /* The list of presets shows the one that the settings are. */
    presetShown: function (search, facts) {
      const now = settingsIn(search, facts);
      const found = Object.entries(facts.presets).find(([, fields]) => settingsIn(withFields("", fields), facts) === now);
      return found ? found[0] : "";
    },
    detector: function (detector, facts, current) {
      if (!detector || detector === facts.detector) return noUpdate();
      return commitAndReload(current, { detector: detector === "none" ? null : detector });
    },
    /* Two classes are chosen in the lists or by a click on the matrix. Until then the lists name the pair that the server
       shows ("shown"), which is no choice of the visitor. The last answer is what is wrong with the pair. */
    classes: function (theta, click, first, second, submitted, phased, shown, facts, current) {
      const chosen = new URLSearchParams(current).has("pair");
      const rendered = Object.assign({}, facts.rendered, chosen || !shown ? {} : { pair: shown });
      let pair = [first, second];
      const clicked = triggeredIds().some((id) => id.endsWith(".clickData")) && click;
      if (clicked) pair = classesOf(click.points[0]);
      const both = pair.every((one) => one !== null && one !== undefined && one !== "");
      const same = both && pair[0] === pair[1];
      const fields = { theta, phased };
      if (!same) fields.pair = both ? pair.join("-") : null;
      const fresh = submitted && triggeredIds().some((id) => id.startsWith("classes-phases-submitted."));
      const choice = withoutRendered(current, fields, rendered, facts.wrong);
      const search = commit(current, fresh ? { ...choice, phases: submitted.job } : choice);
      const note = same ? "Choose two different classes." : "";
      return clicked && !same ? [search, pair[0], pair[1], note] : [search, noUpdate(), noUpdate(), note];
    },
    /* The form of a study, and what of its outcome is looked at closely ("look" says what the server shows). */
    detect: function (
      theta, settings, attacks, detectors, baselines, sweeps, submitted, click, method, against, threshold, ids, look, facts, current
    ) {
      const ticked = { attacks, detectors, baselines, sweeps };
      const fields = { theta };
      ids.forEach((id, index) => (fields[id.name] = settings[index]));
      for (const [name, values] of Object.entries(ticked)) {
        fields[name] = facts.order[name].filter((one) => (values || []).includes(one)).join(",");
      }
      const chosen = withoutRendered(current, fields, facts.rendered, facts.wrong);
      const by = (part) => triggeredIds().some((id) => id.startsWith(part));
      if (by("detect-submitted.") && submitted) {
        Object.assign(chosen, { study: submitted.job, method: null, against: null, threshold: null });
      } else if (look) {
        Object.assign(chosen, lookedAt(by, look, current, click, method, against, threshold));
      }
      return commit(current, chosen);
    },
    /* A page that studies units: its attack, the form of its study, and what of the outcome is looked at closely. Several
       controls go by the names of their fields; "shown" is what the server put into those that look at an outcome. */
    units: function (
      epsilon, seed, target, settings, form, look, submitted, settingIds, formIds, lookIds, shown, facts, current
    ) {
      const fields = attackFields(epsilon, seed, target, settings, settingIds, facts);
      const ticked = (name, values) => (facts.order[name] || values).filter((one) => values.includes(one)).join(",") || null;
      formIds.forEach((id, index) => {
        fields[id.name] = Array.isArray(form[index]) ? ticked(id.name, form[index]) : form[index];
      });
      lookIds.forEach((id, index) => (fields[id.name] = ["", "none"].includes(look[index]) ? null : look[index]));
      const chosen = withoutRendered(current, fields, { ...facts.rendered, ...shown }, facts.wrong);
      if (chosen.target === "any") chosen.target = null;
      const layer = new URLSearchParams(current).get("layer") ?? (shown || {}).layer;
      if (chosen.layer && chosen.layer !== layer) chosen.unit = null; // another layer has other units
      if (submitted && triggeredIds().some((id) => id.startsWith(facts.submitted + "."))) chosen[facts.job] = submitted.job;
      return commit(current, chosen);
    },
    /* The form of a hardening, whose controls go by the names of their fields; an empty one stands for what is usual. "shown"
       is what the server ticked among the models to compare with, and in which order they stand. Another start has other
       usual values: the page is laid out anew. */
    harden: function (form, submitted, formIds, submittedIds, shown, look, facts, current) {
      const fields = {};
      const order = (shown || facts).order;
      formIds.forEach((id, index) => {
        const value = form[index];
        if (Array.isArray(value)) fields[id.name] = order.filter((one) => value.includes(one)).join(",") || null;
        else fields[id.name] = ["", "usual"].includes(value) ? null : value;
      });
      const rendered = { ...facts.rendered, ...(shown ? { beside: shown.beside } : {}), ...(look ? { layer: look.layer } : {}) };
      const chosen = withoutRendered(current, fields, rendered, facts.wrong);
      const query = new URLSearchParams(current);
      if ("start" in chosen && chosen.start !== query.get("start")) return commitAndReload(current, chosen);
      const parts = triggeredIds().filter((one) => one.startsWith("{")).map((one) => one.slice(0, one.lastIndexOf(".")));
      const fresh = parts.map((one) => JSON.parse(one)).filter((one) => one.type === "harden-submitted");
      submittedIds.forEach((id, index) => {
        if (!submitted[index] || !fresh.some((one) => one.name === id.name)) return;
        chosen[id.name] = submitted[index].job;
        const another = id.name === "harden" && submitted[index].job !== query.get("harden");
        if (another) Object.assign(chosen, { comparison: null, beside: null }); // it was about another model
      });
      return commit(current, chosen);
    },
    way: function (way, facts, current) {
      if (!way || way === facts.way) return noUpdate();
      const fields = { way };
      for (const name of new URLSearchParams(current).keys()) {
        if (name.startsWith("with.")) fields[name] = null;
      }
      return commitAndReload(current, fields);
    },
    /* Remembers what the controls now show, so that only a foreign change of the URL lays the page out anew. */
    shown: function (search) {
      announce();
      return { path: window.location.pathname, search: search || "" };
    },
    links: function (shown, ids) {
      if (!shown) return [ids.map(noUpdate), ids.map(noUpdate)];
      const search = shown.search || "";
      const active = (id) => (shown.path === id.path ? "rail-link active" : "rail-link");
      return [ids.map((id) => id.path + search), ids.map(active)];
    },
    copy: function (clicks) {
      if (!clicks) return noUpdate();
      const address = window.location.href;
      if (navigator.clipboard) {
        const fade = () => window.setTimeout(() => window.dash_clientside.set_props("copy-link-note", { children: "" }), 4000);
        return navigator.clipboard.writeText(address).then(() => (fade(), "Link copied"), () => address);
      }
      return address;
    },
    /* The image is set by its number, by chance, from the strip or by an upload. */
    image: function (number, clicks, uploaded, thumbs, previous, next, current, facts) {
      const triggered = triggeredIds();
      const id = triggered.length ? triggered[0] : "";
      const last = facts.images - 1;
      const index = current && current.startsWith("test:") ? Number(current.slice(5)) : 0;
      let chosen = current;
      if (id.includes("-random.") && clicks) chosen = "test:" + Math.floor(Math.random() * facts.images);
      else if (id.includes("-previous.") && previous) chosen = "test:" + Math.max(0, index - 1);
      else if (id.includes("-next.") && next) chosen = "test:" + Math.min(last, index + 1);
      else if (id.startsWith("inspect-uploaded") && uploaded) chosen = uploaded;
      else if (id.includes("-number.")) chosen = "test:" + (number === null ? "" : String(number).trim());
      else if (id.startsWith("{") && window.dash_clientside.callback_context.triggered[0].value) {
        chosen = "test:" + JSON.parse(id.slice(0, id.lastIndexOf("."))).index;
      }
      if (chosen === current) return [noUpdate(), noUpdate()];
      return [chosen, chosen && chosen.startsWith("test:") ? chosen.slice(5) : ""];
    },
    /* The same on a page without a strip and uploads. */
    numbered: function (number, clicks, previous, next, current, facts) {
      return window.dash_clientside.selection.image(number, clicks, null, [], previous, next, current, facts);
    },
    /* The strip stays as it is while its images do; which of them is chosen changes alone, so that the focus stays. */
    pressed: function (image, strip, ids) {
      return ids.map((id) => String(image === "test:" + id.index));
    },
    text: function (value) {
      return String(value);
    },
    /* The slider and the field beside it are one control. */
    strength: function (slider, text) {
      const fromSlider = triggeredIds().some((id) => id.includes("-epsilon-slider."));
      return fromSlider ? [noUpdate(), String(slider)] : [Number(text), noUpdate()];
    },
    /* A unit is pinned by a click on its dot in the graph; a click on a bundle or on the input is none. */
    unit: function (click, close, current) {
      const id = triggeredIds()[0] || "";
      if (id.startsWith("inspect-unit-close") && close) return null;
      const data = id.startsWith("inspect-graph-graph") && click && click.points[0].customdata;
      if (!data || data.length !== 5 || data[0] === "input") return noUpdate();
      const unit = data[0] + ":" + data[1];
      return unit === current ? noUpdate() : unit;
    },
    pin: function (pinClicks, unpinClicks, image) {
      const id = triggeredIds()[0] || "";
      if (id.startsWith("inspect-pin-set") && pinClicks) return image;
      if (id.startsWith("inspect-pin-clear") && unpinClicks) return null;
      return noUpdate();
    },
  };
})();
