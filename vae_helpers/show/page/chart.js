// The chart: which way codes go when an attribute changes. The same arithmetic as in vae_helpers/latent/chart.py.

/** Legendre polynomials of degree 1 to `highest` at x. */
function legendre(x, highest) {
  const found = [x];
  for (let n = 1, before = 1; n < highest; n++) {
    const next = ((2 * n + 1) * x * found[n - 1] - n * before) / (n + 1);
    before = found[n - 1];
    found.push(next);
  }
  return found.slice(0, highest);
}

/** Eigenvalues and vectors of a symmetric matrix by Jacobi's rotations: {values, vectors}, vectors in columns. */
function symmetricEigen(matrix) {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const v = a.map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p][q] ** 2;
    if (off < 1e-24) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(a[p][q]) < 1e-18) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++) [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        for (let k = 0; k < n; k++) [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
        for (let k = 0; k < n; k++) [v[k][p], v[k][q]] = [c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]];
      }
    }
  }
  return { values: a.map((row, i) => row[i]), vectors: v };
}

/** The pseudo-inverse of a symmetric matrix; what is under a millionth of the largest counts as nothing. */
function pseudoInverse(matrix) {
  const { values, vectors } = symmetricEigen(matrix);
  const least = 1e-6 * Math.max(...values.map(Math.abs));
  return matrix.map((_, i) =>
    matrix.map((_, j) =>
      values.reduce((sum, e, k) => sum + (Math.abs(e) > least ? (vectors[i][k] * vectors[j][k]) / e : 0), 0),
    ),
  );
}

class Chart {
  /** `data` is the chart as build.py writes it. */
  constructor(data) {
    Object.assign(this, data);
    let start = 0;
    this.parts = data.table.map((attribute) => {
      const part = [start, start + attribute.width];
      start += attribute.width;
      return part;
    });
  }

  names() {
    return this.table.map((attribute) => attribute.name);
  }

  /** A value as numbers: from -1 to 1, cosine and sine, or 1 for the choice and 0 for others. */
  embed(k, value) {
    const { kind, low, high, choices } = this.table[k];
    const share = (value - low) / (high - low || 1);
    if (kind === "number") return [Math.min(1, Math.max(-1, 2 * share - 1))];
    if (kind === "circular") return [Math.cos(2 * Math.PI * share), Math.sin(2 * Math.PI * share)];
    return choices.map((_, i) => (i === value ? 1 : 0));
  }

  /** The inverse of `embed`. */
  unembed(k, part) {
    const { kind, low, high } = this.table[k];
    if (kind === "category") return part.indexOf(Math.max(...part));
    let share = (Math.min(1, Math.max(-1, part[0])) + 1) / 2;
    if (kind === "circular") share = (Math.atan2(part[1], part[0]) / (2 * Math.PI) + 1) % 1;
    return low + share * (high - low);
  }

  /** Embedded attributes read off a code, each as an embedding that a value can have. */
  start(code) {
    const { centre, scale, places, weights, offset, gamma } = this.reader;
    const scaled = this.active.map((latent, i) => (code[latent] - centre[i]) * scale);
    const near = places.map((place) =>
      Math.exp(-gamma * place.reduce((sum, value, i) => sum + (value - scaled[i]) ** 2, 0)),
    );
    const features = [...near, ...scaled];
    const read = offset.map((value, t) => features.reduce((sum, feature, f) => sum + feature * weights[f][t], value));
    return this.parts.flatMap(([from, to], k) => this.embed(k, this.unembed(k, read.slice(from, to))));
  }

  /** The attributes' values at a code. */
  read(code) {
    const start = this.start(code);
    return this.parts.map(([from, to], k) => this.unembed(k, start.slice(from, to)));
  }

  /** The functions of embedded attributes that codes are linear in. */
  features(embedded) {
    const own = [];
    const others = [];
    this.table.forEach((attribute, k) => {
      const part = embedded.slice(...this.parts[k]);
      if (attribute.kind === "number") own.push(...legendre(part[0], this.degrees[k]));
      else if (attribute.kind === "category") others.push(...part);
      else {
        let [re, im] = [1, 0];
        for (let n = 0; n < this.degrees[k]; n++) {
          [re, im] = [re * part[0] - im * part[1], re * part[1] + im * part[0]];
          others.push(re, im);
        }
      }
    });
    const all = [...own, ...others];
    return [...all, ...this.pairs.map(([i, j]) => all[i] * all[j])];
  }

  /** What features say of the active latents, without the offset. */
  expected(features) {
    const found = new Array(this.active.length).fill(0);
    features.forEach((feature, f) => {
      const row = this.weights[f];
      for (let i = 0; i < found.length; i++) found[i] += feature * row[i];
    });
    return found;
  }

  /** Embedded attributes where some are `wanted` ({place: value}) and those that hang together with them follow. */
  targets(start, wanted) {
    const target = [...start];
    const moved = [];
    for (const [k, value] of Object.entries(wanted)) {
      const [from, to] = this.parts[k];
      const asked = this.embed(Number(k), value);
      const same = asked.every((each, i) => Math.abs(each - start[from + i]) <= 1e-9);
      for (let i = from; i < to; i++) {
        moved.push(i);
        if (!same) target[i] = asked[i - from];
      }
    }
    const inverse = pseudoInverse(moved.map((i) => moved.map((j) => this.covariance[i][j])));
    const change = moved.map((i) => target[i] - start[i]);
    const weights = inverse.map((row) => row.reduce((sum, value, i) => sum + value * change[i], 0));
    this.table.forEach((attribute, k) => {
      const [from, to] = this.parts[k];
      if (k in wanted) return;
      const follows = [];
      for (let j = from; j < to; j++) follows.push(moved.reduce((sum, i, m) => sum + weights[m] * this.covariance[i][j], 0));
      if (follows.some((each) => each !== 0)) {
        const part = this.clip(k, follows.map((each, j) => target[from + j] + each));
        part.forEach((each, j) => { target[from + j] = each; });
      }
    });
    return target;
  }

  /** Embedded values brought back to where values can be. */
  clip(k, part) {
    const { kind } = this.table[k];
    if (kind === "number") return part.map((each) => Math.min(1, Math.max(-1, each)));
    if (kind === "circular") {
      const length = Math.max(Math.hypot(...part), 1e-9);
      return part.map((each) => each / length);
    }
    const shares = part.map((each) => Math.min(1, Math.max(0, each)));
    const total = shares.reduce((sum, each) => sum + each, 0);
    return shares.map((each) => each / total);
  }

  /** A code with some attributes at other values, {place in the table: value}. */
  move(code, wanted) {
    if (!Object.keys(wanted).length) return Float64Array.from(code);
    const start = this.start(code);
    const before = this.expected(this.features(start));
    const after = this.expected(this.features(this.targets(start, wanted)));
    const moved = Float64Array.from(code);
    this.active.forEach((latent, i) => { moved[latent] += after[i] - before[i]; });
    return moved;
  }

  /** Codes from a to b at shares of the way, along which attributes go straight. */
  path(a, b, shares) {
    const ends = [this.start(a), this.start(b)];
    const [first, last] = ends.map((end) => this.expected(this.features(end)));
    return shares.map((t) => {
      const between = this.parts.flatMap(([from, to], k) => this.between(k, ends.map((end) => end.slice(from, to)), t));
      const here = this.expected(this.features(between));
      const code = straight(a, b, t);
      if (t > 0 && t < 1) {
        this.active.forEach((latent, i) => { code[latent] += here[i] - (1 - t) * first[i] - t * last[i]; });
      }
      return code;
    });
  }

  /** One attribute between two embedded values. */
  between(k, [a, b], t) {
    const { kind } = this.table[k];
    if (kind === "number") return [(1 - t) * a[0] + t * b[0]];
    if (kind === "category") return t < 0.5 ? a : b;
    const start = Math.atan2(a[1], a[0]);
    const turn = Math.atan2(b[1], b[0]) - start;
    const short = turn - 2 * Math.PI * Math.floor((turn + Math.PI) / (2 * Math.PI));
    return [Math.cos(start + t * short), Math.sin(start + t * short)];
  }

  /** The code of a new picture: the attributes of one training picture, what they leave unexplained of another. */
  sample(random) {
    const attributes = this.samples.embedded[Math.floor(random() * this.samples.embedded.length)];
    const residue = this.samples.residues[Math.floor(random() * this.samples.residues.length)];
    const code = Float64Array.from(this.mean);
    this.expected(this.features(attributes)).forEach((value, i) => {
      code[this.active[i]] = value + this.offset[i] + residue[i];
    });
    return code;
  }
}
