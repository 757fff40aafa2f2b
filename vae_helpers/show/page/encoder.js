// The encoder: one's own photo in, a code out. It runs once a photo, so plain JavaScript is quick enough.

class Encoder {
  /** `spec` describes the packed bytes, as for the decoder. */
  constructor(spec, bytes) {
    this.spec = spec;
    this.arrays = new Map(
      spec.arrays.map(({ name, type, offset, count }) => {
        if (type === "f32") return [name, new Float32Array(bytes.buffer, offset, count)];
        const values = new Float32Array(count);
        fromHalves(new Uint16Array(bytes.buffer, offset, count), values);
        return [name, values];
      }),
    );
  }

  /** The mean code of a square ImageData of the model's size. */
  code(image) {
    let size = this.spec.size;
    let values = new Float32Array(size * size * 3);
    for (let i = 0; i < size * size; i++) {
      for (let c = 0; c < 3; c++) values[3 * i + c] = image.data[4 * i + c] / 127.5 - 1;
    }
    for (const layer of this.spec.layers) {
      values = this.convolve(values, size, layer);
      size /= 2;
    }
    return this.head(values);
  }

  /** A convolution of 4 × 4 and stride 2 with its batch norm in the weights, [tap][in][out], then LeakyReLU. */
  convolve(input, size, { name, before, channels }) {
    const weights = this.arrays.get(`weights ${name}`);
    const bias = this.arrays.get(`bias ${name}`);
    const half = size / 2;
    const output = new Float32Array(half * half * channels);
    const sums = new Float64Array(channels);
    for (let y = 0; y < half; y++) {
      for (let x = 0; x < half; x++) {
        sums.set(bias);
        for (let tap = 0; tap < 16; tap++) {
          const [row, column] = [2 * y - 1 + (tap >> 2), 2 * x - 1 + (tap & 3)];
          if (row < 0 || row >= size || column < 0 || column >= size) continue;
          let from = (row * size + column) * before;
          let at = tap * before * channels;
          for (let k = 0; k < before; k++, from++) {
            const value = input[from];
            for (let c = 0; c < channels; c++) sums[c] += value * weights[at++];
          }
        }
        const to = (y * half + x) * channels;
        for (let c = 0; c < channels; c++) output[to + c] = sums[c] < 0 ? LEAK * sums[c] : sums[c];
      }
    }
    return output;
  }

  /** The last layer: [latent][value]. */
  head(values) {
    const weights = this.arrays.get("weights mu");
    return Float64Array.from(this.arrays.get("bias mu"), (bias, latent) => {
      let sum = bias;
      for (let i = 0, at = latent * values.length; i < values.length; i++) sum += values[i] * weights[at++];
      return sum;
    });
  }
}

/** A picture that the browser has opened as a square of the model's size: its middle, or whole on grey ("pad"). */
function squareOf(bitmap, { size, fit }) {
  const side = fit === "pad" ? Math.max(bitmap.width, bitmap.height) : Math.min(bitmap.width, bitmap.height);
  let square = make("canvas");
  [square.width, square.height] = [side, side];
  const context = square.getContext("2d");
  context.fillStyle = "rgb(128, 128, 128)";
  context.fillRect(0, 0, side, side);
  context.drawImage(bitmap, (side - bitmap.width) / 2, (side - bitmap.height) / 2);
  // Halved until it is near: browsers look at few pixels when they shrink a picture much.
  while (square.width !== size) {
    const next = make("canvas");
    next.width = next.height = square.width > 2 * size ? Math.ceil(square.width / 2) : size;
    const smaller = next.getContext("2d");
    smaller.imageSmoothingQuality = "high";
    smaller.drawImage(square, 0, 0, next.width, next.height);
    square = next;
  }
  return square.getContext("2d").getImageData(0, 0, size, size);
}
