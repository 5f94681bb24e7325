/**
 * The words of the configuration language: durations, sizes, percentages, status ranges. Each is one TypeBox type that
 * validates what the user writes, documents it for editors, and decodes it to the number the code works with.
 */
import Type, { type TString, type TUnsafe } from 'typebox';

const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** How a duration is written. */
export const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const SIZE = /^(\d+)(B|KiB|MiB|GiB)$/;
const PERCENT = /^(\d+(?:\.\d+)?)%$/;
const STATUS_RANGE = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/;

/** `250ms`, `1.5s`, `1h` → milliseconds. */
export function parseDuration(text: string): number {
  const [, number = '', unit = ''] = DURATION_PATTERN.exec(text) ?? [];
  return Number(number) * DURATION_MS[unit as keyof typeof DURATION_MS];
}

/** `64KiB` → bytes. */
export function parseSize(text: string): number {
  const [, number = '', unit = ''] = SIZE.exec(text) ?? [];
  return Number(number) * SIZE_BYTES[unit as keyof typeof SIZE_BYTES];
}

/** `20%` → 0.2. */
export function parsePercent(text: string): number {
  return Number(PERCENT.exec(text)?.[1]) / 100;
}

/** `200-399` → [200, 399]; `503` → [503, 503]. */
export function parseStatusRange(text: string | number): readonly [number, number] {
  const [, first = '', last = first] = STATUS_RANGE.exec(String(text)) ?? [];
  return [Number(first), Number(last)];
}

function word<Decoded>(
  pattern: RegExp,
  name: string,
  examples: readonly string[],
  parse: (text: string) => Decoded,
  description: string,
  written: string | undefined,
) {
  const schema: TString = Type.String({
    pattern: pattern.source,
    title: name,
    examples: [...examples],
    description,
    ...(written === undefined ? {} : { default: written }),
  });
  return Type.Codec(schema)
    .Decode(parse)
    .Encode(() => written ?? '');
}

/** A duration; decodes to milliseconds. `written` is its default, in the user's spelling. */
export const Duration = (description: string, written?: string) =>
  word(DURATION_PATTERN, 'duration', ['250ms', '5s', '1m', '1h'], parseDuration, description, written);

/** A size; decodes to bytes. */
export const Size = (description: string, written?: string) =>
  word(SIZE, 'size', ['512B', '64KiB', '8MiB'], parseSize, description, written);

/** A percentage; decodes to a share (0.2 for `20%`). */
export const Percent = (description: string, written?: string) =>
  word(PERCENT, 'percentage', ['20%', '50%'], parsePercent, description, written);

const TIMESTAMP = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/;

/** A day or a moment (RFC 3339); decodes to milliseconds since the epoch, NaN where the calendar has no such day. */
export const Timestamp = (description: string) =>
  word(TIMESTAMP, 'date', ['2027-01-31', '2027-01-31T12:00:00Z'], parseTimestamp, description, undefined);

function parseTimestamp(text: string): number {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
  // Date.parse takes the 31st of February for the 3rd of March.
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day ? Date.parse(text) : NaN;
}

/** Status codes, `200-399` or `204`; decodes to [first, last]. */
export const StatusRange = (description: string, written?: string) =>
  Type.Codec(
    Type.Unsafe<string | number>({
      anyOf: [
        { type: 'string', pattern: STATUS_RANGE.source },
        { type: 'integer', minimum: 100, maximum: 599 },
      ],
      title: 'status range',
      examples: ['200-399', 204],
      description,
      ...(written === undefined ? {} : { default: written }),
    } as never) as TUnsafe<string | number>,
  )
    .Decode(parseStatusRange)
    .Encode((range) => `${range[0]}-${range[1]}`);
