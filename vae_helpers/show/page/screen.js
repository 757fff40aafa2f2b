// What the two parts of the page share: what is on the screen, choices, pictures on canvases, files.

const FRAMES = 25; // of a walk; the strip shows every other one
const EVERY = 2;
const EVEN_SHARES = [...Array(FRAMES).keys()].map((i) => i / (FRAMES - 1));
const REACH = 3; // spreads from the mean to the ends of a latent's slider
// What the words on the page mean, for whoever points at them.
const MEANINGS = {
  straight: "every number of the code goes straight from A's to B's",
  arc: "the code goes on an arc, and keeps a length between A's and B's",
  chart: "every attribute goes straight from A's to B's, which keeps the frames whole where straight codes break",
  geodesic: "the shortest way counted in changes of the picture: it looks much like a cross-fade",
  trust: "measured on held-out pictures: how far the slider moves what it is called, and nothing else; 1 is perfect",
  nats: "how much this number tells of a picture on average; below 0.1 hardly anything",
};
const find = (id) => document.getElementById(id);

/** An element with attributes; text is text, never markup. */
function make(tag, attributes = {}, text = "") {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

/** The last part of a path. */
function shortName(name) {
  return name.split("/").pop() || name;
}

/** What is on the screen, as the page's address holds it. */
class State {
  constructor(count, pair) {
    this.count = count;
    Object.assign(this, { a: pair[0], b: pair[1], way: "", even: 0, frame: (FRAMES - 1) / 2 });
    Object.assign(this, { start: "a", taken: null, seed: 0, set: "", moved: {} });
  }

  toString() {
    const parts = { a: this.a, b: this.b, way: this.way, even: this.even, frame: this.frame, start: this.start, set: this.set };
    if (this.start === "sample") parts.seed = this.seed;
    if (this.start === "frame" && this.taken) {
      parts.taken = [this.taken.a, this.taken.b, this.taken.way, this.taken.share.toFixed(6)].join(" ");
    }
    const words = new URLSearchParams(parts);
    for (const [name, value] of Object.entries(this.moved)) words.append(`move.${name}`, value);
    return words.toString();
  }

  /** Which frame of which walk was taken, as an address says; null where it says nothing that fits. */
  frameOf(text, ways) {
    const [a, b, share] = [0, 1, 3].map((i) => Number(text.split(" ")[i] ?? NaN));
    const way = text.split(" ")[2];
    const inside = (i) => Number.isInteger(i) && i >= 0 && i < this.count;
    return inside(a) && inside(b) && ways.includes(way) && share >= 0 && share <= 1 ? { a, b, way, share } : null;
  }

  /** Take what an address says, as far as it fits; `known` are the names that can be moved. */
  take(text, ways, sets, known) {
    const words = new URLSearchParams(text);
    const whole = (name, most, usual) => {
      const value = Number(words.get(name) ?? NaN);
      return Number.isInteger(value) && value >= 0 && value <= most ? value : usual;
    };
    this.a = whole("a", this.count - 1, this.a);
    this.b = whole("b", this.count - 1, this.b);
    this.even = whole("even", 1, this.even);
    this.frame = whole("frame", FRAMES - 1, this.frame);
    this.seed = whole("seed", 2 ** 31, this.seed);
    if (ways.includes(words.get("way"))) this.way = words.get("way");
    if (sets.includes(words.get("set"))) this.set = words.get("set");
    this.taken = this.frameOf(words.get("taken") ?? "", ways);
    const starts = ["a", "mean", "sample", ...(this.taken ? ["frame"] : [])];
    this.start = starts.includes(words.get("start")) ? words.get("start") : "a";
    this.moved = {};
    for (const [name, value] of words) {
      const own = name.startsWith("move.") ? name.slice(5) : "";
      if (known.has(own) && Number.isFinite(Number(value))) this.moved[own] = Number(value);
    }
  }
}

class Screen {
  constructor(data, bytes, plain) {
    this.data = data;
    this.decoder = new Decoder(data.decoder, bytes, plain);
    this.chart = data.chart ? new Chart(data.chart) : null;
    this.ways = { straight: "straight", arc: "arc", ...(this.chart ? { chart: "along the chart" } : {}) };
    if (data.geodesics.length) this.ways.geodesic = "geodesic";
    this.sets = { ...(this.chart ? { attributes: "attributes" } : {}), latents: "latents" };
    this.state = new State(data.pictures.length, data.pair);
    this.state.way = this.chart ? "chart" : "straight";
    this.state.set = this.chart ? "attributes" : "latents";
    this.before = [];
    this.turn = "a"; // which of the two the next click sets
    this.frames = [];
    this.walking = 0; // number of the walk that is being drawn, so that an older one ends
    this.rows = new Map();
  }

  /** Radio buttons that set `state[name]`. */
  makeChoices(field, name, options, chosen) {
    const inputs = Object.entries(options).map(([value, text]) => {
      const input = make("input", { type: "radio", name, value });
      const label = make("label", { class: "choice", ...(MEANINGS[value] ? { title: MEANINGS[value] } : {}) });
      label.append(input, make("span", {}, text));
      input.addEventListener("change", () => {
        this.state[name] = value;
        chosen();
        this.keep();
      });
      field.append(label);
      return input;
    });
    return inputs;
  }

  /** How far a code lies from the training pictures' that the page knows, in words. */
  nearness(code) {
    const { known, unit } = this.data.meter;
    const { active } = this.data;
    let least = Infinity;
    for (const each of known) {
      let sum = 0;
      for (let i = 0; i < active.length; i++) sum += (each[i] - code[active[i]]) ** 2;
      least = Math.min(least, sum);
    }
    return `distance ${(Math.sqrt(least) / unit).toFixed(2)}`;
  }

  /** Put a picture on a canvas. */
  paint(canvas, image) {
    if (canvas.width !== image.width || canvas.height !== image.height) {
      [canvas.width, canvas.height] = [image.width, image.height];
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** Keep the state in the address, not more often than browsers allow. */
  keep() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => history.replaceState(null, "", `#${this.state}`), 250);
  }

  saveCanvas(canvas, name) {
    canvas.toBlob((blob) => this.offer(blob, name));
  }

  offer(blob, name) {
    const link = make("a", { download: name, href: URL.createObjectURL(blob) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}
