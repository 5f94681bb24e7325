/**
 * The Huffman code of HPACK (RFC 7541 Appendix B). It is canonical: codes are handed out in the order of their lengths, and of the
 * symbols within a length, so that the lengths say all.
 */

/** Symbols by the length of their code in bits, each as `first-last` or alone. */
const SYMBOLS_OF_LENGTH: readonly (readonly [bits: number, symbols: string])[] = [
  [5, '48-50 97 99 101 105 111 115-116'],
  [6, '32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117'],
  [7, '58 66-87 89 106-107 113 118-122'],
  [8, '38 42 44 59 88 90'],
  [10, '33-34 40-41 63'],
  [11, '39 43 124'],
  [12, '35 62'],
  [13, '0 36 64 91 93 126'],
  [14, '94 125'],
  [15, '60 96 123'],
  [19, '92 195 208'],
  [20, '128 130-131 162 184 194 224 226'],
  [21, '153 161 167 172 176-177 179 209 216-217 227 229-230'],
  [22, '129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228 232-233'],
  [23, '1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197 231 239'],
  [24, '9 142 144-145 148 159 171 206 215 225 236-237'],
  [25, '199 207 234-235'],
  [26, '192-193 200-202 205 210 213 218-219 238 240 242-243 255'],
  [27, '203-204 211-212 214 221-223 241 244-248 250-254'],
  [28, '2-8 11-12 14-21 23-31 127 220 249'],
  [30, '10 13 22 256'],
];

/** Never in a string: only its first bits, as what fills the last byte (§5.2). */
const END = 256;

/**
 * The tree of the code, four bits a step. A state is an inner node; `STEPS[state << 4 | bits]` holds the next one, and the symbol
 * that was completed on the way, if any: no code is shorter than five bits, so it is one at most.
 */
const SYMBOL_BITS = 8;
const HAS_SYMBOL = 1 << 8;
const STATE_SHIFT = 9;
const INVALID = -1;
/** States in which a string may end: fewer than eight bits into the code of END, all of them ones. */
const { STEPS, MAY_END } = buildSteps();

/**
 * Writes what `bytes` from `start` to `end` stand for to `into`, which must have room for 8/5 of it.
 * @returns how many bytes that are; -1 where it is no such code.
 */
export function huffmanDecode(bytes: Buffer, start: number, end: number, into: Buffer): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    let step = STEPS[(state << 4) | (byte >> 4)]!;
    if (step === INVALID) return -1;
    if ((step & HAS_SYMBOL) !== 0) into[length++] = step & (HAS_SYMBOL - 1);
    step = STEPS[((step >> STATE_SHIFT) << 4) | (byte & 15)]!;
    if (step === INVALID) return -1;
    if ((step & HAS_SYMBOL) !== 0) into[length++] = step & (HAS_SYMBOL - 1);
    state = step >> STATE_SHIFT;
  }
  return MAY_END[state] === 1 ? length : -1;
}

/** An inner node has two ways on: to a node, or, as ~symbol, to the end of a code. */
type Node = [number, number];

function buildSteps(): { STEPS: Int32Array; MAY_END: Uint8Array } {
  const nodes = buildTree();
  const steps = new Int32Array(nodes.length << 4);
  for (const state of nodes.keys()) {
    for (let bits = 0; bits < 16; bits++) steps[(state << 4) | bits] = stepOf(nodes, state, bits);
  }
  const mayEnd = new Uint8Array(nodes.length);
  for (let state = 0, ones = 0; ones < SYMBOL_BITS; ones++, state = nodes[state]![1]) mayEnd[state] = 1;
  return { STEPS: steps, MAY_END: mayEnd };
}

function buildTree(): Node[] {
  const nodes: Node[] = [[0, 0]];
  let code = 0;
  let before = 0;
  for (const [bits, symbols] of SYMBOLS_OF_LENGTH) {
    code <<= bits - before;
    before = bits;
    for (const symbol of unfolded(symbols)) addCode(nodes, code++, bits, symbol);
  }
  return nodes;
}

function addCode(nodes: Node[], code: number, bits: number, symbol: number): void {
  let node = nodes[0]!;
  for (let bit = bits - 1; bit > 0; bit--) {
    const way = (code >> bit) & 1;
    if (node[way] === 0) node[way] = nodes.push([0, 0]) - 1;
    node = nodes[node[way]!]!;
  }
  node[code & 1] = ~symbol;
}

function stepOf(nodes: readonly Node[], from: number, bits: number): number {
  let state = from;
  let symbol = INVALID;
  for (let bit = 3; bit >= 0; bit--) {
    const next = nodes[state]![(bits >> bit) & 1]!;
    if (next >= 0) {
      state = next;
      continue;
    }
    symbol = ~next;
    if (symbol === END) return INVALID;
    state = 0;
  }
  return (state << STATE_SHIFT) | (symbol === INVALID ? 0 : HAS_SYMBOL | symbol);
}

function unfolded(symbols: string): number[] {
  return symbols.split(' ').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}
