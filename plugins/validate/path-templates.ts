/** Paths of an API, as templates (`/orders/{id}`): a tree of segments, so that the cost does not grow with their number. */

interface Node<Item> {
  readonly literals: Map<string, Node<Item>>;
  /** The more literal text, the earlier. */
  readonly templates: {
    readonly prefix: string;
    readonly suffix: string;
    readonly name: string;
    readonly next: Node<Item>;
  }[];
  item: Item | undefined;
}

export interface PathMatch<Item> {
  readonly item: Item;
  /** As sent, still encoded, by name. */
  readonly values: ReadonlyMap<string, string>;
}

export class PathTemplates<Item> {
  readonly #root: Node<Item> = emptyNode();

  /** @returns what stands there already, or why it cannot be read. */
  add(template: string, item: Item): Item | Error | undefined {
    let node = this.#root;
    for (const segment of template.split('/')) {
      const next = child(node, segment);
      if (next instanceof Error) return next;
      node = next;
    }
    if (node.item !== undefined) return node.item;
    node.item = item;
    return undefined;
  }

  /** @param path what is matched. @param sent the same path as it is sent, segment by segment. */
  find(path: string, sent: string): PathMatch<Item> | undefined {
    const values: [string, string][] = [];
    const item = walk(this.#root, path.split('/'), sent.split('/'), 0, values);
    return item === undefined ? undefined : { item, values: new Map(values) };
  }
}

function emptyNode<Item>(): Node<Item> {
  return { literals: new Map(), templates: [], item: undefined };
}

const TEMPLATE = /^([^{}]*)\{([^{}]+)\}([^{}]*)$/;

function child<Item>(node: Node<Item>, segment: string): Node<Item> | Error {
  if (!/[{}]/.test(segment)) {
    let next = node.literals.get(segment);
    if (next === undefined) node.literals.set(segment, (next = emptyNode()));
    return next;
  }
  const [, prefix, name, suffix] = TEMPLATE.exec(segment) ?? [];
  if (prefix === undefined || name === undefined || suffix === undefined) {
    return new Error(`segment '${segment}': expected at most one {name}`);
  }
  const known = node.templates.find((each) => each.prefix === prefix && each.suffix === suffix && each.name === name);
  if (known !== undefined) return known.next;
  const next = emptyNode<Item>();
  node.templates.push({ prefix, suffix, name, next });
  node.templates.sort((a, b) => b.prefix.length + b.suffix.length - a.prefix.length - a.suffix.length);
  return next;
}

/** OAS §4.8.8: what is concrete comes before what is templated. */
function walk<Item>(
  node: Node<Item>,
  path: readonly string[],
  sent: readonly string[],
  at: number,
  values: [string, string][],
): Item | undefined {
  const segment = path[at];
  if (segment === undefined) return node.item;
  const literal = node.literals.get(segment);
  const found = literal && walk(literal, path, sent, at + 1, values);
  if (found !== undefined || segment === '') return found;
  for (const { prefix, suffix, name, next } of node.templates) {
    const value = sent[at]!;
    if (value.length <= prefix.length + suffix.length || !value.startsWith(prefix) || !value.endsWith(suffix)) continue;
    values.push([name, value.slice(prefix.length, value.length - suffix.length)]);
    const below = walk(next, path, sent, at + 1, values);
    if (below !== undefined) return below;
    values.pop();
  }
  return undefined;
}
