// Ways from one code to another, as in vae_helpers/latent/curves.py, and random numbers that come back with their seed.

/** The point at share t of the straight line. */
function straight(a, b, t) {
  return Float64Array.from(a, (value, i) => (1 - t) * value + t * b[i]);
}

/** The point at share t of the arc over the active latents: the direction turns evenly, the length goes straight. */
function arc(a, b, active, t) {
  const code = straight(a, b, t);
  const norm = (v) => Math.sqrt(active.reduce((sum, i) => sum + v[i] * v[i], 0));
  const [u, v] = [norm(a), norm(b)];
  const cosine = Math.min(1, Math.max(-1, active.reduce((sum, i) => sum + a[i] * b[i], 0) / (u * v)));
  if (active.length < 2 || !Number.isFinite(cosine) || Math.abs(cosine) > 1 - 1e-7 || t <= 0 || t >= 1) return code;
  const angle = Math.acos(cosine);
  const length = ((1 - t) * u + t * v) / Math.sin(angle);
  for (const i of active) {
    code[i] = length * ((Math.sin((1 - t) * angle) * a[i]) / u + (Math.sin(t * angle) * b[i]) / v);
  }
  return code;
}

/** The point at share t of a way that is given by codes at equal shares. */
function along(codes, t) {
  const place = t * (codes.length - 1);
  const before = Math.min(codes.length - 2, Math.floor(place));
  return straight(codes[before], codes[before + 1], place - before);
}

/** How much a picture differs from another, in grey levels: the root of the mean square. Both as red, green, blue, alpha. */
function pictureChange(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt((sum / a.length) * (4 / 3)); // alpha never differs
}

/** Shares of the way at which the picture changes by as much from frame to frame, given pictures at equal shares. */
function evenShares(pictures) {
  const lengths = [0];
  for (let i = 1; i < pictures.length; i++) lengths.push(lengths[i - 1] + pictureChange(pictures[i - 1], pictures[i]));
  const last = pictures.length - 1;
  const whole = lengths[last];
  if (!whole) return pictures.map((_, i) => i / last);
  let at = 0;
  return pictures.map((_, i) => {
    const wanted = (whole * i) / last;
    while (at < last - 1 && lengths[at + 1] < wanted) at++;
    const step = lengths[at + 1] - lengths[at];
    return i === last ? 1 : (at + (step ? (wanted - lengths[at]) / step : 0)) / last;
  });
}

/** Random numbers from 0 to 1 that hang on the seed alone (Mulberry32 by Tommy Ettinger). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
