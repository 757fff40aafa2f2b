// The decoder: a code in, a picture out. Numbers lie in one memory, pictures as [row][column][channel].

const LEAK = 0.01; // slope of LeakyReLU below 0
const TINY = 1e-5; // what InstanceNorm adds to a variance

/** Numbers of 16 bits (IEEE half precision) as numbers of 32 bits. */
function fromHalves(halves, target) {
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    target[i] = exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
  }
}

/** coth(a) - 1/a, near 0 by its series. */
function langevin(a) {
  const square = a * a;
  if (Math.abs(a) < 0.5) return a * (1 / 3 + square * (-1 / 45 + square * (2 / 945 - square / 4725)));
  return 1 / Math.tanh(a) - 1 / a;
}

class Decoder {
  /**
   * `spec` describes the packed bytes: where each array lies (`arrays`), the size and channels of each layer. With `plain`
   * WebAssembly is not tried.
   */
  constructor(spec, bytes, plain = false) {
    this.spec = spec;
    this.places = new Map();
    let end = 0;
    const reserve = (count) => {
      const place = end;
      end += Math.ceil((4 * count) / 64) * 64;
      return place;
    };
    const first = spec.layers[0];
    this.blocks = (first.size ** 2 * first.channels) / 16; // of sixteen outputs of the first matrix
    for (const array of spec.arrays) if (!array.latents) this.places.set(array.name, reserve(array.count));
    this.matrix = reserve(16 * this.blocks * spec.latents);
    this.z = reserve(spec.latents);
    this.drawn = reserve(Math.max(...spec.layers.map((layer) => layer.size ** 2 * layer.channels)));
    this.padded = spec.layers.map((layer) => reserve((layer.size + 2) ** 2 * layer.channels));
    const pages = Math.ceil(end / 65536);
    const memory = plain || typeof WebAssembly === "undefined" ? null : new WebAssembly.Memory({ initial: pages });
    let kernels = memory && wasmKernels(memory);
    const buffer = kernels ? memory.buffer : new ArrayBuffer(65536 * pages);
    kernels = kernels || plainKernels(buffer);
    this.kernels = kernels;
    this.fast = memory !== null && buffer === memory.buffer;
    this.numbers = new Float32Array(buffer);
    for (const array of spec.arrays) this.unpack(array, bytes);
  }

  /** Bring an array of the packed bytes into the memory, as numbers of 32 bits. */
  unpack(array, bytes) {
    if (array.latents) {
      this.unpackRows(array, bytes);
      return;
    }
    const target = this.array(array.name);
    if (array.type === "f32") target.set(new Float32Array(bytes.buffer, array.offset, array.count));
    else fromHalves(new Uint16Array(bytes.buffer, array.offset, array.count), target);
  }

  /** Rows of the first matrix, [block][row][16], to where the matrix has them: [block][latent][16]. */
  unpackRows({ latents, type, offset, count }, bytes) {
    let rows;
    let scales = null;
    if (type === "i8") {
      rows = new Int8Array(bytes.buffer, offset, count);
      scales = this.array("scale");
    } else {
      rows = new Float32Array(count);
      fromHalves(new Uint16Array(bytes.buffer, offset, count), rows);
    }
    for (let block = 0, from = 0; block < this.blocks; block++) {
      for (const latent of latents) {
        const to = this.matrix / 4 + 16 * (block * this.spec.latents + latent);
        for (let i = 0; i < 16; i++, from++) {
          this.numbers[to + i] = rows[from] * (scales ? scales[16 * block + i] : 1);
        }
      }
    }
  }

  /** A view of a named array in the memory. */
  array(name) {
    const { count } = this.spec.arrays.find((each) => each.name === name);
    const start = this.places.get(name) / 4;
    return this.numbers.subarray(start, start + count);
  }

  /** The picture of a code, as values before rounding from -1 to 1: [row][column][3]. */
  values(code) {
    const { latents, layers, size } = this.spec;
    this.numbers.set(code, this.z / 4);
    this.kernels.affine(this.matrix, this.z, this.places.get("bias 0"), this.drawn, latents, this.blocks);
    for (let i = 1; i < layers.length; i++) {
      this.normalise(i - 1, code);
      this.convolve(i);
    }
    const last = layers[layers.length - 1];
    const bend = this.spec.output === "tanh" ? Math.tanh : langevin;
    const picture = new Float32Array(size * size * 3);
    for (let i = 0; i < size * size; i++) {
      for (let c = 0; c < 3; c++) picture[3 * i + c] = bend(this.numbers[this.drawn / 4 + i * last.channels + c]);
    }
    return picture;
  }

  /** The picture of a code as an ImageData. */
  picture(code) {
    const { size } = this.spec;
    const values = this.values(code);
    const image = new ImageData(size, size);
    for (let i = 0; i < size * size; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round((values[3 * i + c] + 1) * 127.5);
      image.data[4 * i + 3] = 255;
    }
    return image;
  }

  /** Norm and LeakyReLU of what layer i has drawn, into the middle of its padded place. */
  normalise(i, code) {
    const { size, channels } = this.spec.layers[i];
    const from = this.drawn / 4;
    const to = this.padded[i] / 4;
    const { scale, shift } = this.scaleAndShift(i, code);
    const numbers = this.numbers;
    for (let y = 0; y < size; y++) {
      let target = to + ((y + 1) * (size + 2) + 1) * channels;
      let source = from + y * size * channels;
      for (let x = 0; x < size; x++) {
        for (let c = 0; c < channels; c++) {
          const value = numbers[source++] * scale[c] + shift[c];
          numbers[target++] = value < 0 ? LEAK * value : value;
        }
      }
    }
  }

  /** What a norm multiplies each channel by and adds to it; a batch norm is in the weights already. */
  scaleAndShift(i, code) {
    const { size, channels } = this.spec.layers[i];
    const scale = new Float64Array(channels).fill(1);
    const shift = new Float64Array(channels);
    if (this.spec.norm === "batch") return { scale, shift };
    const count = size * size;
    const start = this.drawn / 4;
    const mean = new Float64Array(channels);
    const variance = new Float64Array(channels);
    for (let at = start, n = 0; n < count; n++) for (let c = 0; c < channels; c++) mean[c] += this.numbers[at++];
    for (let c = 0; c < channels; c++) mean[c] /= count;
    for (let at = start, n = 0; n < count; n++) {
      for (let c = 0; c < channels; c++) {
        const away = this.numbers[at++] - mean[c];
        variance[c] += away * away;
      }
    }
    const style = this.spec.norm === "adaptive" ? this.style(i, code) : null;
    for (let c = 0; c < channels; c++) {
      const own = 1 / Math.sqrt(variance[c] / count + TINY);
      const gain = style ? 1 + style[c] : 1;
      scale[c] = own * gain;
      shift[c] = -mean[c] * own * gain + (style ? style[channels + c] : 0);
    }
    return { scale, shift };
  }

  /** Gains and biases that the code gives to layer i: [2 · channels]. */
  style(i, code) {
    const weights = this.array(`style ${i}`);
    const found = Float64Array.from(this.array(`style bias ${i}`));
    for (let row = 0, at = 0; row < found.length; row++) for (const z of code) found[row] += z * weights[at++];
    return found;
  }

  /** A convolution that doubles the size, by four of 2 × 2 taps: one for each parity of row and column. */
  convolve(i) {
    const before = this.spec.layers[i - 1];
    const { size, channels } = this.spec.layers[i];
    const pixel = 4 * before.channels;
    const line = pixel * (before.size + 2);
    const perBlock = 4 * 4 * before.channels * 8;
    const weights = this.places.get(`weights ${i}`);
    const bias = this.places.get(`bias ${i}`);
    const blocks = channels / 8;
    for (let parity = 0; parity < 4; parity++) {
      const [down, right] = [parity >> 1, parity & 1];
      for (let block = 0; block < blocks; block++) {
        const from = weights + (parity * blocks + block) * perBlock;
        for (let y = 0; y < before.size; y++) {
          const input = this.padded[i - 1] + (y + down) * line + right * pixel;
          const out = this.drawn + 4 * (((2 * y + down) * size + right) * channels + 8 * block);
          this.kernels.row(input, from, bias + 32 * block, out, before.size / 4, pixel, line, 8 * channels);
        }
      }
    }
  }
}
