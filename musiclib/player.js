// The player's behaviour. It takes the still picture and the plain audio element that the page has anyway and makes
// them one widget, as a custom element: defined once in a page, it also wakes players that come later.
// PLAYER_NAME and PLAYER_CSS are filled in by listen.py.
(() => {
if (customElements.get("PLAYER_NAME")) return;

const dark = matchMedia("(prefers-color-scheme: dark)");
const VIEW = `<style>PLAYER_CSS</style><div class="card"><div class="name"></div><div class="picture">
<div class="plot" role="slider" tabindex="0" aria-valuemin="0"><div class="loop"></div><div class="head"></div></div>
</div><div class="bar">
<button class="play" title="Space plays and pauses; arrows move by 1 s, with shift by 0.1 s; Home, End"></button>
<span class="time"></span>
<button class="looping" aria-pressed="false" title="Loop (L): shift-drag over the picture, or drag along the seconds,
to choose a region; [ and ] set its ends; Escape clears it">loop</button></div></div>`;

customElements.define("PLAYER_NAME", class extends HTMLElement {
  connectedCallback() {
    // the page is being read, what is inside comes next
    if (!this.shadowRoot && !this.querySelector("audio")) {
      return addEventListener("DOMContentLoaded", () => this.connectedCallback(), { once: true });
    }
    if (!this.shadowRoot) this.build();
    document.addEventListener("play", this.hush, true);
    dark.addEventListener("change", this.theme);
    [document.documentElement, document.body].map(e => this.watcher.observe(e, { attributes: true }));
    this.theme();
  }

  disconnectedCallback() {
    document.removeEventListener("play", this.hush, true);
    dark.removeEventListener("change", this.theme);
    this.watcher?.disconnect();
  }

  build() {
    const still = this.querySelector("img"), audio = this.audio = this.querySelector("audio");
    this.seconds = +this.dataset.seconds;
    const view = document.createElement("template");
    view.innerHTML = VIEW;
    const svg = Uint8Array.from(atob(still.src.split(",")[1]), c => c.charCodeAt());
    const find = name => view.content.querySelector(name);
    find(".picture").insertAdjacentHTML("afterbegin", new TextDecoder().decode(svg));
    const name = find(".name").textContent = this.querySelector("figcaption").textContent;
    for (const part of ["plot", "head", "loop", "play", "time", "looping"]) this[part] = find("." + part);
    find("svg").setAttribute("role", "img");
    find("svg").setAttribute("aria-label", still.alt);
    this.plot.style.top = this.dataset.top + "px";
    this.plot.setAttribute("aria-label", "position in " + name);
    this.plot.setAttribute("aria-valuemax", this.seconds);
    const card = find(".card");
    card.role = "group";
    card.ariaLabel = "player: " + name;
    card.onkeydown = e => this.key(e);
    this.play.onclick = () => this.toggle();
    this.looping.onclick = () => this.setLoop(this.region || [0, this.seconds], !this.isLooping);
    this.plot.onpointerdown = e => this.press(e);
    this.plot.ondblclick = () => this.setLoop(null);
    for (const event of ["play", "pause", "seeked", "timeupdate"]) audio.addEventListener(event, this.tick);
    audio.addEventListener("ended", () => this.isLooping && audio.play());
    // a notebook's theme loads its colours
    this.watcher = new MutationObserver(() => setTimeout(this.theme, 300));
    // JupyterLab: our keys are ours
    this.dataset.lmSuppressShortcuts = "true";
    this.setLoop(null);
    // last: until here the still picture is there
    this.attachShadow({ mode: "open" }).append(view.content);
  }

  // As dark as what is behind it, where that has a colour; else as the reader prefers.
  theme = () => {
    let isDark = dark.matches;
    for (let e = this; e; e = e.parentElement || e.getRootNode().host) {
      const colour = getComputedStyle(e).backgroundColor;
      const [r, g, b, alpha = 1] = colour.match(/[\d.]+/g) || [];
      if (!colour.startsWith("rgb") || alpha < 0.5) continue;
      isDark = 2 * r + 5 * g + +b < 1020;
      break;
    }
    this.style.colorScheme = isDark ? "dark" : "light";
  };

  hush = e => e.target !== this.audio && this.audio.pause();

  toggle() { this.audio.paused ? this.audio.play() : this.audio.pause(); }

  seek(t) {
    this.audio.currentTime = Math.max(0, Math.min(this.seconds, t));
    this.show();
  }

  setLoop(region, on = !!region) {
    this.region = region && [Math.min(...region), Math.max(...region)];
    this.isLooping = on;
    const [a, b] = this.region || [0, 0];
    this.loop.hidden = !region;
    this.loop.style.display = region ? "" : "none";
    this.loop.style.left = 100 * a / this.seconds + "%";
    this.loop.style.width = 100 * (b - a) / this.seconds + "%";
    this.loop.classList.toggle("off", !on);
    this.looping.ariaPressed = on;
    this.tick();
  }

  tick = () => {
    cancelAnimationFrame(this.frame);
    const { audio, region } = this, t = audio.currentTime;
    if (!audio.paused) {
      if (this.isLooping && (t >= region[1] || audio.ended)) audio.currentTime = region[0];
      this.frame = requestAnimationFrame(this.tick);
    }
    this.show();
  };

  show() {
    const t = Math.min(this.audio.currentTime, this.seconds), text = `${t.toFixed(1)} / ${this.seconds.toFixed(1)} s`;
    this.head.style.left = 100 * t / this.seconds + "%";
    this.play.classList.toggle("on", !this.audio.paused);
    this.play.ariaLabel = this.audio.paused ? "play" : "pause";
    if (this.time.textContent === text) return;
    this.time.textContent = this.plot.ariaValueText = text;
    this.plot.ariaValueNow = t.toFixed(1);
  }

  press(e) {
    if (e.button) return;
    const { plot } = this, box = plot.getBoundingClientRect();
    const at = e => this.seconds * Math.max(0, Math.min(1, (e.clientX - box.left) / box.width));
    const start = at(e), choosing = e.shiftKey || e.clientY > box.bottom - 20;
    plot.setPointerCapture(e.pointerId);
    if (!choosing) this.seek(start);
    plot.onpointermove = e => {
      if (!choosing) this.seek(at(e));
      else if (Math.abs(at(e) - start) * box.width > 4 * this.seconds) this.setLoop([start, at(e)]);
    };
    plot.onpointerup = plot.onpointercancel = e => {
      if (choosing && Math.abs(at(e) - start) * box.width <= 4 * this.seconds) this.seek(start);
      plot.onpointermove = plot.onpointerup = plot.onpointercancel = null;
    };
  }

  key(e) {
    const t = this.audio.currentTime, step = e.shiftKey ? 0.1 : 1, [a, b] = this.region || [0, this.seconds];
    const keys = {
      " ": () => this.toggle(), Home: () => this.seek(0), End: () => this.seek(this.seconds),
      ArrowLeft: () => this.seek(t - step), ArrowRight: () => this.seek(t + step),
      l: () => this.looping.click(), Escape: () => this.setLoop(null),
      "[": () => this.setLoop([t, b > t ? b : this.seconds]), "]": () => this.setLoop([a < t ? a : 0, t]),
    };
    const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
    e.stopPropagation();
    // it presses the button
    if (e.key === " " && e.target.tagName === "BUTTON") return;
    e.preventDefault();
    act();
  }
});
})();
