// The page: the walk, and below it sliders that move one thing at a time.

/** The bytes that stand in the page as text, in pieces: some browsers take long over one large one. */
function embeddedBytes(kind) {
  const pieces = [...document.querySelectorAll(`script.${kind}`)].map((each) => atob(each.textContent));
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) for (let i = 0; i < piece.length; i++) bytes[at++] = piece.charCodeAt(i);
  return bytes;
}

class Page extends Walk {
  /** Build everything, and show what the address says. */
  open() {
    const known = new Set([...(this.chart ? this.chart.names() : []), ...this.data.latents.map((each) => each.name)]);
    const follow = () => {
      this.state.take(location.hash.slice(1), Object.keys(this.ways), Object.keys(this.sets), known);
      this.showChoices();
      this.makeSliders();
      this.drawWalk();
      this.drawLive();
    };
    this.makeGallery();
    this.kinds = this.makeChoices(find("kinds"), "way", this.ways, () => this.drawWalk());
    this.setChoices = this.makeChoices(find("sets"), "set", this.sets, () => {
      this.makeSliders();
      this.drawLive();
    });
    this.makeStrip();
    this.connect();
    if (this.data.encoder) this.takePhotos();
    addEventListener("hashchange", () => location.hash.slice(1) !== this.state.toString() && follow());
    document.querySelector("main").hidden = false;
    follow();
  }

  connect() {
    const on = (id, action) => find(id).addEventListener("click", action);
    find("frame").addEventListener("input", () => this.goTo(Number(find("frame").value)));
    on("swap", () => this.setPair(this.state.b, this.state.a));
    on("random-pair", () => {
      const count = this.data.pictures.length;
      let a, b;
      do { // another pair than the one on the screen: with few pictures the same comes often
        a = Math.floor(Math.random() * count);
        b = (a + 1 + Math.floor(Math.random() * (count - 1))) % count;
      } while (a === this.state.a && b === this.state.b && count > 1);
      this.setPair(a, b);
    });
    find("even").addEventListener("change", () => {
      this.state.even = Number(find("even").checked);
      this.drawWalk();
      this.keep();
    });
    on("play", () => this.play());
    on("save-png", () => this.saveStrip());
    on("save-film", () => this.saveFilm());
    find("save-film").hidden = typeof MediaRecorder === "undefined" || !find("view").captureStream;
    on("take", () => this.begin("frame"));
    on("from-a", () => this.begin("a"));
    on("from-mean", () => this.begin("mean"));
    on("from-sample", () => this.begin("sample", this.state.seed + 1));
    find("from-sample").hidden = !this.chart;
    on("reset", () => this.change(() => { this.state.moved = {}; }));
    on("undo", () => this.undo());
    on("save-live", () => this.saveCanvas(find("live"), "live.png"));
  }

  showChoices() {
    find("even").checked = Boolean(this.state.even);
    for (const input of this.kinds) input.checked = input.value === this.state.way;
    for (const input of this.setChoices) input.checked = input.value === this.state.set;
  }

  /** Let the reader choose a photo, or drop one. */
  takePhotos() {
    find("own").hidden = false;
    find("photo").addEventListener("change", () => this.takePhoto(find("photo").files[0]));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.takePhoto(event.dataTransfer.files[0]);
    });
  }

  /** A photo of one's own becomes A or B, whichever is due; the encoder is unpacked for the first one. */
  async takePhoto(file) {
    if (!file) return;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    } catch {
      find("status").textContent = `${file.name} cannot be opened: this browser does not know such a picture.`;
      return;
    }
    find("status").textContent = "";
    this.encoder ||= new Encoder(this.data.encoder, embeddedBytes("encoder"));
    const image = squareOf(bitmap, this.data.encoder);
    this.data.pictures.push({ name: file.name, code: [...this.encoder.code(image)], image });
    this.state.count = this.data.pictures.length;
    this.addThumb(this.data.pictures.length - 1);
    this.pick(this.data.pictures.length - 1);
  }

  /** The code that the sliders start from. */
  base() {
    const { start, seed } = this.state;
    if (start === "frame" && this.state.taken) return this.codes([this.state.taken.share], this.state.taken)[0];
    if (start === "mean") return this.data.mean;
    if (start === "sample" && this.chart) return this.chart.sample(randomNumbers(seed));
    return this.data.pictures[this.state.a].code;
  }

  begin(start, seed = this.state.seed) {
    this.change(() => {
      const { a, b, way, frame } = this.state;
      const taken = start === "frame" ? { a, b, way, share: this.shares[frame] } : this.state.taken;
      Object.assign(this.state, { start, taken, seed, moved: {} });
    });
    find("move-title").scrollIntoView({ block: "nearest" });
  }

  /** Keep what Undo goes back to. */
  remember() {
    this.before.push({ ...this.state, moved: { ...this.state.moved } });
  }

  /** Do something that can be undone. */
  change(action) {
    this.remember();
    action();
    this.drawLive();
    this.keep();
  }

  undo() {
    const last = this.before.pop();
    if (!last) return;
    const { start, seed, set, moved, taken } = last;
    const other = set !== this.state.set;
    const otherPair = start === "a" && last.a !== this.state.a;
    Object.assign(this.state, { start, taken, seed, set, moved }, otherPair ? { a: last.a, b: last.b } : {});
    if (otherPair) this.drawWalk();
    if (other) this.makeSliders();
    this.showChoices();
    this.drawLive();
    this.keep();
  }

  /** The sliders of the set that is chosen. */
  makeSliders() {
    this.rows.clear();
    const rows = this.state.set === "attributes" ? this.chart.table.map((each, k) => this.attributeRow(each, k)) : [];
    if (this.state.set === "latents") rows.push(...this.data.latents.map((each) => this.latentRow(each)));
    if (this.state.set === "attributes") rows.sort((p, q) => q.trust - p.trust);
    find("sliders").replaceChildren(...rows.map((row) => row.element));
    find("move-hint").textContent =
      this.state.set === "attributes"
        ? "Each slider moves what it is called, as was measured on held-out pictures; the most trusted stand first."
        : "The numbers of the code, strongest first. Most of them change several things at once.";
  }

  attributeRow(attribute, k) {
    const { name, unit, trust, trusted, seen } = attribute;
    const measured = trusted ? `trust ${trust.toFixed(2)}` : `not to be trusted (${trust.toFixed(2)})`;
    const note = unit ? `${unit} · ${measured}` : measured;
    const row = attribute.kind === "category" ? this.choiceRow(attribute, note, seen) : this.rangeRow(attribute, note);
    row.element.classList.toggle("untrusted", !trusted);
    row.element.querySelector(".trust").title = MEANINGS.trust;
    return { ...row, trust: trusted ? trust : trust - 1, place: k, name };
  }

  latentRow(latent) {
    const low = latent.mean - REACH * latent.spread;
    const high = latent.mean + REACH * latent.spread;
    const row = this.rangeRow({ name: latent.name, low, high }, `${latent.kl.toFixed(1)} nats`);
    row.element.querySelector(".trust").title = MEANINGS.nats;
    return row;
  }

  rangeRow({ name, low, high }, note) {
    const label = make("label", { class: "slider" });
    const title = make("span", { class: "name" }, name);
    title.append(make("span", { class: "trust" }, note));
    const input = make("input", { type: "range", min: low, max: high, step: (high - low) / 200, "aria-label": name });
    const output = make("output");
    label.append(title, input, output);
    let before = null;
    input.addEventListener("input", () => {
      if (before === null) {
        before = true;
        this.remember();
      }
      this.state.moved[name] = Number(input.value);
      this.drawLive();
      this.keep();
    });
    input.addEventListener("change", () => { before = null; });
    const digits = Math.max(0, 2 - Math.floor(Math.log10(high - low || 1)));
    const show = (value) => {
      input.value = value;
      output.textContent = value.toFixed(digits).replace(/^-(?=[0.]+$)/, "");
    };
    this.rows.set(name, show);
    return { element: label };
  }

  choiceRow({ name, choices }, note, seen) {
    const box = make("div", { class: "slider", role: "group", "aria-label": name });
    const title = make("span", { class: "name" }, name);
    title.append(make("span", { class: "trust" }, note));
    const field = make("fieldset", { class: "choices" });
    const inputs = seen.map((k) => {
      const input = make("input", { type: "radio", name: `choice ${name}`, value: k });
      const label = make("label", { class: "choice" });
      label.append(input, make("span", {}, choices[k]));
      input.addEventListener("change", () => this.change(() => { this.state.moved[name] = k; }));
      field.append(label);
      return input;
    });
    box.append(title, field);
    this.rows.set(name, (value) => inputs.forEach((input) => { input.checked = Number(input.value) === value; }));
    return { element: box };
  }

  /** The live code: the base with what was moved along the chart, then along latents. */
  liveCode() {
    const wanted = {};
    const latents = [];
    for (const [name, value] of Object.entries(this.state.moved)) {
      const k = this.chart ? this.chart.names().indexOf(name) : -1;
      if (k >= 0) wanted[k] = this.chart.table[k].kind === "category" ? Math.round(value) : value;
      else latents.push([this.data.latents.find((each) => each.name === name).latent, value]);
    }
    const base = this.base();
    const code = this.chart ? this.chart.move(base, wanted) : Float64Array.from(base);
    for (const [latent, value] of latents) code[latent] += value - base[latent];
    return code;
  }

  drawLive() {
    const code = this.liveCode();
    this.paint(find("live"), this.decoder.picture(code));
    const words = { a: `from A, ${shortName(this.data.pictures[this.state.a].name)}`, mean: "from the mean picture", frame: "from a frame" };
    find("live-name").textContent = `${words[this.state.start] || `random picture ${this.state.seed}`} · ${this.nearness(code)}`;
    const start = this.chart && this.state.set === "attributes" ? this.chart.read(this.base()) : [];
    for (const [name, show] of this.rows) {
      const k = this.chart ? this.chart.names().indexOf(name) : -1;
      const latent = this.data.latents.find((each) => each.name === name);
      const own = k >= 0 ? start[k] : this.base()[latent.latent];
      show(this.state.moved[name] ?? own);
    }
  }
}

/** Open the page; in words where it cannot. */
function openPage() {
  try {
    const data = readData(find("data").textContent, embeddedBytes("numbers"));
    const page = new Page(data, embeddedBytes("decoder"), new URLSearchParams(location.search).has("plain"));
    window.explorer = page;
    page.open();
    find("slow").hidden = page.decoder.fast;
    document.body.dataset.ready = page.decoder.fast ? "fast" : "plain";
  } catch (problem) {
    find("status").textContent = `This page cannot be shown: ${problem.message}. Try a newer browser.`;
  }
}

openPage();
