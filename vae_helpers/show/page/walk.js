// Two pictures, and the way between them frame by frame.

class Walk extends Screen {
  makeGallery() {
    this.thumbs = [];
    this.data.pictures.forEach((_, i) => this.addThumb(i));
  }

  /** A button that picks picture i. */
  addThumb(i) {
    const picture = this.data.pictures[i];
    const button = make("button", { type: "button", "aria-label": `picture ${i}, ${picture.name}`, title: picture.name });
    const thumb = picture.thumb ? make("img", { alt: "", src: `data:image/webp;base64,${picture.thumb}` }) : make("canvas");
    button.append(thumb, make("span", { class: "mark", hidden: "" }));
    button.addEventListener("click", () => this.pick(i));
    if (!picture.thumb) this.paint(thumb, picture.image || this.decoder.picture(picture.code));
    this.thumbs.push(button);
    find("gallery").append(button);
  }

  makeStrip() {
    this.cells = [];
    for (let i = 0; i < FRAMES; i += EVERY) {
      const button = make("button", { type: "button", "aria-label": `frame ${i}` });
      button.append(make("canvas"));
      button.addEventListener("click", () => this.goTo(i));
      this.cells.push(button);
    }
    find("strip").append(...this.cells);
  }

  /** Make a picture A or B, whichever is due. */
  pick(i) {
    if (this.turn === "a") this.setPair(i, this.state.b);
    else this.setPair(this.state.a, i);
    this.turn = this.turn === "a" ? "b" : "a";
    find("turn").textContent = this.turn.toUpperCase();
  }

  setPair(a, b) {
    if (this.state.start === "a" && a !== this.state.a) this.remember(); // the sliders move another picture then
    Object.assign(this.state, { a, b });
    this.drawWalk();
    if (this.state.start === "a") this.drawLive();
    this.keep();
  }

  /** Name A and B, and mark them in the gallery. */
  showPair() {
    for (const side of ["a", "b"]) {
      const picture = this.data.pictures[this.state[side]];
      find(`name-${side}`).textContent = `${side.toUpperCase()} · ${shortName(picture.name)}`;
    }
    this.thumbs.forEach((button, i) => {
      const marks = [this.state.a === i ? "A" : "", this.state.b === i ? "B" : ""].filter(Boolean);
      button.classList.toggle("is-a", this.state.a === i);
      button.classList.toggle("is-b", this.state.b === i && this.state.a !== i);
      const mark = button.querySelector(".mark");
      mark.hidden = !marks.length;
      mark.textContent = marks.join(" = ");
    });
  }

  /** The codes of the geodesic from A to B, or null where none was computed. */
  geodesic({ a, b } = this.state) {
    const same = this.data.geodesics.find((each) => each.a === a && each.b === b);
    const back = this.data.geodesics.find((each) => each.a === b && each.b === a);
    return same ? same.codes : back ? [...back.codes].reverse() : null;
  }

  /** The codes of the walk, or of another one, at shares of the way. */
  codes(shares = EVEN_SHARES, from = this.state) {
    const [a, b] = [from.a, from.b].map((i) => this.data.pictures[i].code);
    const { way } = from;
    const found = way === "geodesic" ? this.geodesic(from) : null;
    if (found) return shares.map((t) => along(found, t));
    if (way === "chart") return this.chart.path(a, b, shares);
    if (way === "arc") return shares.map((t) => arc(a, b, this.data.active, t));
    return shares.map((t) => straight(a, b, t));
  }

  /** What there is to say of the walk; empty where nothing is. */
  remark() {
    if (this.state.a === this.state.b) return "A and B are the same picture: pick another.";
    if (this.state.way !== "geodesic" || this.geodesic()) return "";
    const name = (i) => shortName(this.data.pictures[i].name);
    const pairs = this.data.geodesics.map(({ a, b }) => `${name(a)} and ${name(b)}`).join("; ");
    return `A geodesic takes long to find and was computed for these pairs only: ${pairs}. This one is shown straight.`;
  }

  /** Draw the walk frame by frame, that of the slider and the ends first, so that the page answers in between. */
  drawWalk() {
    find("status").textContent = this.remark();
    this.showPair();
    this.drawAt(EVEN_SHARES, () => {
      if (!this.state.even) return;
      // Where the picture changes fast there are more frames, found by the walk as it was drawn.
      this.drawAt(evenShares(this.frames.map((frame) => frame.data)), () => {});
    });
  }

  /** Draw the frames at shares of the way, then go on with `then` unless another walk was begun meanwhile. */
  drawAt(shares, then) {
    const walk = ++this.walking;
    const codes = this.codes(shares);
    this.walk = codes;
    this.shares = shares;
    this.frames = new Array(FRAMES).fill(null);
    const order = [this.state.frame, 0, FRAMES - 1, ...codes.keys()];
    const next = () => {
      if (walk !== this.walking) return;
      const i = order.find((each) => !this.frames[each]);
      if (i === undefined) {
        then();
        return;
      }
      this.frameAt(i);
      setTimeout(next, 0);
    };
    next();
  }

  /** A frame of the walk, drawn if it is not yet. */
  frameAt(i) {
    if (!this.frames[i]) {
      this.frames[i] = this.decoder.picture(this.walk[i]);
      if (i === 0) this.paint(find("end-a"), this.frames[i]);
      if (i === FRAMES - 1) this.paint(find("end-b"), this.frames[i]);
      if (i % EVERY === 0) this.paint(this.cells[i / EVERY].firstChild, this.frames[i]);
      if (i === this.state.frame) this.showFrame();
    }
    return this.frames[i];
  }

  goTo(i) {
    this.state.frame = i;
    this.frameAt(i);
    this.showFrame();
    this.keep();
  }

  showFrame() {
    const i = this.state.frame;
    this.paint(find("view"), this.frames[i]);
    find("frame").value = i;
    const share = Math.round((100 * i) / (FRAMES - 1));
    find("frame").setAttribute("aria-valuetext", `${share} % of the way`);
    const way = this.state.way === "geodesic" && !this.geodesic() ? " (straight)" : "";
    find("view-name").textContent = `${share} % of the way${way} · ${this.nearness(this.walk[i])}`;
    this.cells.forEach((cell, k) => cell.classList.toggle("now", k === Math.round(i / EVERY)));
  }

  play() {
    const button = find("play");
    if (this.playing) {
      clearInterval(this.playing);
      this.playing = 0;
    } else {
      let step = 1;
      this.playing = setInterval(() => {
        if (this.state.frame + step < 0 || this.state.frame + step >= FRAMES) step = -step;
        this.goTo(this.state.frame + step);
      }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 400 : 70);
    }
    button.textContent = this.playing ? "Stop" : "Play";
    button.setAttribute("aria-pressed", String(Boolean(this.playing)));
  }

  saveStrip() {
    const { size } = this.data.decoder;
    const sheet = make("canvas");
    [sheet.width, sheet.height] = [this.cells.length * (size + 2) - 2, size];
    this.cells.forEach((_, k) => sheet.getContext("2d").putImageData(this.frameAt(k * EVERY), k * (size + 2), 0));
    this.saveCanvas(sheet, "walk.png");
  }

  /** Play the walk there and back, and record it. */
  saveFilm() {
    const button = find("save-film");
    const recorder = new MediaRecorder(find("view").captureStream(30));
    const pieces = [];
    recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
    recorder.addEventListener("stop", () => {
      button.disabled = false;
      this.offer(new Blob(pieces, { type: recorder.mimeType }), `walk.${recorder.mimeType.includes("mp4") ? "mp4" : "webm"}`);
    });
    button.disabled = true;
    recorder.start();
    let i = 0;
    const timer = setInterval(() => {
      if (i > 2 * (FRAMES - 1)) {
        clearInterval(timer);
        recorder.stop();
        return;
      }
      this.goTo(i < FRAMES ? i : 2 * (FRAMES - 1) - i);
      i++;
    }, 80);
  }
}
