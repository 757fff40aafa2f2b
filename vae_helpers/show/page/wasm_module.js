// A WebAssembly module with the two loops that take nearly all the time, written byte by byte when the page opens.
//
// Both kernels work on numbers of 32 bits in one memory, and are told where by byte addresses:
//   affine(matrix, z, bias, out, latents, blocks)   out = bias + z · matrix, sixteen outputs a block
//   row(input, weights, bias, out, tiles, pixel, line, step)   eight channels of one row of a convolution of 2 × 2
// `plainKernels` does the same in JavaScript, for browsers without SIMD.

const OPCODES = {
  loop: 0x03, // begin a loop whose body leaves nothing on the stack (0x40)
  branchIf: 0x0d, // jump to the begin of the loop of this depth if the top of the stack is not 0
  end: 0x0b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22, // set, and keep on the stack
  constant: 0x41, // a whole number of 32 bits
  isLess: 0x49, // of two whole numbers without sign
  add: 0x6a,
  subtract: 0x6b,
  simd: 0xfd, // what follows is an operation on four numbers at once:
  load4: 0x00,
  store4: 0x0b,
  loadSplat: 0x09, // one number of 32 bits, four times
  add4: 0xe4,
  multiply4: 0xe6,
};
const WHOLE = 0x7f; // types of locals: a whole number of 32 bits, and four numbers
const FOUR = 0x7b;

/** A whole number without sign in LEB128: seven bits a byte, the lowest first. */
function leb(value) {
  const bytes = [];
  do {
    const more = value > 127;
    bytes.push((value & 127) | (more ? 128 : 0));
    value >>>= 7;
  } while (value > 0);
  return bytes;
}

/** The same with a sign, as constants are written. */
function signedLeb(value) {
  const bytes = [];
  for (;;) {
    const low = value & 127;
    value >>= 7;
    const done = (value === 0 && !(low & 64)) || (value === -1 && (low & 64) !== 0);
    bytes.push(done ? low : low | 128);
    if (done) return bytes;
  }
}

/** What functions are written with: each call gives the bytes of one instruction. */
const write = {
  get: (local) => [OPCODES.localGet, ...leb(local)],
  set: (local) => [OPCODES.localSet, ...leb(local)],
  tee: (local) => [OPCODES.localTee, ...leb(local)],
  number: (value) => [OPCODES.constant, ...signedLeb(value)],
  add: () => [OPCODES.add],
  load4: (offset) => [OPCODES.simd, OPCODES.load4, 4, ...leb(offset)],
  store4: (offset) => [OPCODES.simd, OPCODES.store4, 4, ...leb(offset)],
  loadSplat: () => [OPCODES.simd, OPCODES.loadSplat, 2, 0],
  add4: () => [OPCODES.simd, ...leb(OPCODES.add4)],
  multiply4: () => [OPCODES.simd, ...leb(OPCODES.multiply4)],
  loop: (...body) => [OPCODES.loop, 0x40, ...body.flat(), OPCODES.end],
  againIf: () => [OPCODES.branchIf, 0],
  /** local = local + another local, or + a constant. */
  addLocal: (local, other) => [...write.get(local), ...write.get(other), OPCODES.add, ...write.set(local)],
  addNumber: (local, value) => [...write.get(local), ...write.number(value), OPCODES.add, ...write.set(local)],
  /** local = local - 1, and the loop goes on while that is not 0. */
  countDown: (local) => [
    ...write.get(local), ...write.number(1), OPCODES.subtract, ...write.tee(local), ...write.againIf(),
  ],
  /** sum = sum + value · factor, of four numbers. */
  multiplyAdd: (sum, value, factor) => [
    ...write.get(sum), ...write.get(value), ...write.get(factor), ...write.multiply4(), ...write.add4(),
    ...write.set(sum),
  ],
};

/** affine(matrix, z, bias, out, latents, blocks); the matrix lies as [block][latent][16]. */
function affineBody() {
  const [matrix, z, bias, out, latents, blocks, at, left, value, factor] = [...Array(10).keys()];
  const sums = [10, 11, 12, 13];
  const body = write.loop(
    ...sums.map((sum, i) => [...write.get(bias), ...write.load4(16 * i), ...write.set(sum)]),
    [...write.get(z), ...write.set(at), ...write.get(latents), ...write.set(left)],
    write.loop(
      [...write.get(at), ...write.loadSplat(), ...write.set(value)],
      ...sums.map((sum, i) => [
        ...write.get(matrix), ...write.load4(16 * i), ...write.set(factor), ...write.multiplyAdd(sum, value, factor),
      ]),
      write.addNumber(matrix, 64),
      write.addNumber(at, 4),
      write.countDown(left),
    ),
    ...sums.map((sum, i) => [...write.get(out), ...write.get(sum), ...write.store4(16 * i)]),
    write.addNumber(bias, 64),
    write.addNumber(out, 64),
    write.countDown(blocks),
  );
  return functionBody([[2, WHOLE], [6, FOUR]], body);
}

/**
 * row(input, weights, bias, out, tiles, pixel, line, step): `tiles` times four pixels of eight output channels.
 *
 * `pixel` and `line` are the bytes of an input pixel and of an input row, `step` those from one output pixel of this
 * parity to the next. The weights lie as [tap][input channel][8].
 */
function rowBody() {
  const [input, weights, bias, out, tiles, pixel, line, step, at, end, place] = [...Array(11).keys()];
  const pixels = [11, 12, 13, 14];
  const low = [15, 16, 17, 18];
  const high = [19, 20, 21, 22];
  const [first, second, value] = [23, 24, 25];
  const tap = (down, right) => [
    ...write.get(input),
    ...(down ? [...write.get(line), OPCODES.add] : []),
    ...(right ? [...write.get(pixel), OPCODES.add] : []),
    ...write.tee(pixels[0]), ...write.get(pixel), OPCODES.add,
    ...write.tee(pixels[1]), ...write.tee(end), ...write.get(pixel), OPCODES.add,
    ...write.tee(pixels[2]), ...write.get(pixel), OPCODES.add, ...write.set(pixels[3]),
    ...write.loop(
      [...write.get(at), ...write.load4(0), ...write.set(first)],
      [...write.get(at), ...write.load4(16), ...write.set(second)],
      ...pixels.map((each, p) => [
        ...write.get(each), ...write.loadSplat(), ...write.set(value),
        ...write.multiplyAdd(low[p], value, first), ...write.multiplyAdd(high[p], value, second),
        ...write.addNumber(each, 4),
      ]),
      write.addNumber(at, 32),
      [...write.get(pixels[0]), ...write.get(end), OPCODES.isLess, ...write.againIf()],
    ),
  ];
  const body = write.loop(
    ...low.map((sum) => [...write.get(bias), ...write.load4(0), ...write.set(sum)]),
    ...high.map((sum) => [...write.get(bias), ...write.load4(16), ...write.set(sum)]),
    [...write.get(weights), ...write.set(at)],
    tap(false, false), tap(false, true), tap(true, false), tap(true, true),
    [...write.get(out), ...write.set(place)],
    ...pixels.map((_, p) => [
      ...write.get(place), ...write.get(low[p]), ...write.store4(0),
      ...write.get(place), ...write.get(high[p]), ...write.store4(16), ...write.addLocal(place, step),
    ]),
    [...write.get(place), ...write.set(out)],
    ...pixels.map(() => write.addLocal(input, pixel)),
    write.countDown(tiles),
  );
  return functionBody([[7, WHOLE], [11, FOUR]], body);
}

/** A function's locals, as [how many, type], and its instructions. */
function functionBody(locals, body) {
  const bytes = [...leb(locals.length), ...locals.flatMap(([count, type]) => [...leb(count), type]), ...body, OPCODES.end];
  return [...leb(bytes.length), ...bytes];
}

/** The module as bytes: it imports `env.memory` and exports `affine` and `row`. */
function moduleBytes() {
  const text = (word) => [...leb(word.length), ...[...word].map((letter) => letter.charCodeAt(0))];
  const section = (id, content) => [id, ...leb(content.length), ...content];
  const signature = (count) => [0x60, ...leb(count), ...Array(count).fill(WHOLE), 0];
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "\0asm", version 1
    ...section(1, [2, ...signature(6), ...signature(8)]), // types
    ...section(2, [1, ...text("env"), ...text("memory"), 2, 0, 1]), // a memory of at least one page
    ...section(3, [2, 0, 1]), // functions by type
    ...section(7, [2, ...text("affine"), 0, 0, ...text("row"), 0, 1]), // exports
    ...section(10, [2, ...affineBody(), ...rowBody()]), // code
  ]);
}

/** The kernels in WebAssembly, or null where the browser lacks it or its SIMD. */
function wasmKernels(memory) {
  try {
    const module = new WebAssembly.Module(moduleBytes());
    return new WebAssembly.Instance(module, { env: { memory } }).exports;
  } catch {
    return null;
  }
}

/** The same kernels in JavaScript, over an ArrayBuffer. */
function plainKernels(buffer) {
  const numbers = new Float32Array(buffer);
  return {
    affine(matrix, z, bias, out, latents, blocks) {
      const [m, from, b, to] = [matrix / 4, z / 4, bias / 4, out / 4];
      for (let block = 0; block < blocks; block++) {
        for (let i = 0; i < 16; i++) {
          let sum = numbers[b + 16 * block + i];
          for (let k = 0, at = m + 16 * latents * block + i; k < latents; k++, at += 16) {
            sum += numbers[from + k] * numbers[at];
          }
          numbers[to + 16 * block + i] = sum;
        }
      }
    },
    row(input, weights, bias, out, tiles, pixel, line, step) {
      const channels = pixel / 4;
      const sums = new Float64Array(8);
      for (let x = 0; x < 4 * tiles; x++) {
        for (let i = 0; i < 8; i++) sums[i] = numbers[bias / 4 + i];
        let at = weights / 4;
        for (let tap = 0; tap < 4; tap++) {
          const from = (input + x * pixel + (tap >> 1) * line + (tap & 1) * pixel) / 4;
          for (let k = 0; k < channels; k++, at += 8) {
            const value = numbers[from + k];
            for (let i = 0; i < 8; i++) sums[i] += value * numbers[at + i];
          }
        }
        for (let i = 0; i < 8; i++) numbers[(out + x * step) / 4 + i] = sums[i];
      }
    },
  };
}
