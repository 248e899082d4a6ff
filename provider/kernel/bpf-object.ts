/** ELF-64, little-endian (System V ABI, chapter 4): where a header says what. */
const SECTIONS_AT = 0x28;
const SECTION_SIZE_AT = 0x3a;
const SECTION_COUNT_AT = 0x3c;
const NAMES_AT = 0x3e;
const SYMBOL_SIZE = 24;
const SYMBOL_TABLE = 2;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly at: number;
  readonly size: number;
  /** Of a symbol table: the section of its names. */
  readonly link: number;
}

export interface ConstantPlace {
  /** Offset in the file. */
  readonly at: number;
  readonly size: number;
}

/**
 * An object with other values of its constants (`volatile const` in C), which the verifier takes for known.
 * @throws Error for a constant that the object does not have, or a value of another size.
 */
export function withConstants(object: Buffer, constants: Readonly<Record<string, Buffer>>): Buffer {
  const placeOf = constantsOf(object);
  const patched = Buffer.from(object);
  for (const [name, value] of Object.entries(constants)) {
    const { at, size } = placeOf(name);
    if (size !== value.length) throw new Error(`the constant ${name} has ${size} bytes, its value ${value.length}`);
    value.copy(patched, at);
  }
  return patched;
}

/**
 * Where an object's file has a constant, in bytes: for values that only the node knows.
 * @throws Error for a constant that the object does not have.
 */
export const constantAt = (object: Buffer, name: string): ConstantPlace => constantsOf(object)(name);

function constantsOf(object: Buffer): (name: string) => ConstantPlace {
  const sections = sectionsOf(object);
  const index = sections.findIndex(({ name }) => name === ".rodata");
  const rodata = sections[index];
  const symbols = symbolsOf(object, sections).filter(({ section }) => section === index);
  return (name) => {
    const symbol = symbols.find((one) => one.name === name);
    if (!rodata || !symbol) throw new Error(`the object has no constant ${JSON.stringify(name)}`);
    return { at: rodata.at + symbol.value, size: symbol.size };
  };
}

function sectionsOf(object: Buffer): Section[] {
  if (object.readUInt32BE(0) !== 0x7f454c46) throw new Error("not an ELF object");
  const [start, size] = [Number(object.readBigUInt64LE(SECTIONS_AT)), object.readUInt16LE(SECTION_SIZE_AT)];
  const headers = Array.from({ length: object.readUInt16LE(SECTION_COUNT_AT) }, (_, i) =>
    object.subarray(start + i * size, start + (i + 1) * size),
  );
  const names = headers[object.readUInt16LE(NAMES_AT)];
  const namesAt = names ? Number(names.readBigUInt64LE(0x18)) : 0;
  return headers.map((header) => ({
    name: text(object, namesAt + header.readUInt32LE(0)),
    type: header.readUInt32LE(4),
    at: Number(header.readBigUInt64LE(0x18)),
    size: Number(header.readBigUInt64LE(0x20)),
    link: header.readUInt32LE(0x28),
  }));
}

function symbolsOf(object: Buffer, sections: readonly Section[]) {
  const table = sections.find(({ type }) => type === SYMBOL_TABLE);
  const names = table && sections[table.link];
  if (!table || !names) return [];
  return Array.from({ length: table.size / SYMBOL_SIZE }, (_, i) => {
    const symbol = object.subarray(table.at + i * SYMBOL_SIZE);
    return {
      name: text(object, names.at + symbol.readUInt32LE(0)),
      section: symbol.readUInt16LE(6),
      value: Number(symbol.readBigUInt64LE(8)),
      size: Number(symbol.readBigUInt64LE(16)),
    };
  });
}

const text = (object: Buffer, at: number): string => object.toString("latin1", at, object.indexOf(0, at));
