// Arrays of numbers that stand in the page as bytes, apart from its data.

/** The data of the page, in which {numbers: shape, offset, count, type} stands for nested arrays of that shape. */
function readData(text, bytes) {
  return JSON.parse(text, (_, value) => (value && value.numbers ? nested(flatNumbers(value, bytes), value.numbers) : value));
}

/** The numbers of an array, one after the other. */
function flatNumbers({ offset, count, type }, bytes) {
  if (type === "f32") return Array.from(new Float32Array(bytes.buffer, offset, count));
  const found = new Array(count);
  fromHalves(new Uint16Array(bytes.buffer, offset, count), found);
  return found;
}

/** A flat array as rows of rows. */
function nested(flat, shape) {
  if (shape.length === 1) return flat;
  const size = shape[0] ? flat.length / shape[0] : 0;
  return [...Array(shape[0]).keys()].map((i) => nested(flat.slice(i * size, (i + 1) * size), shape.slice(1)));
}
