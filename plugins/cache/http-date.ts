/** HTTP dates, read strictly (RFC 9110 §5.6.7): the three forms and nothing else; names in any case. */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Sun, 06 Nov 1994 08:49:37 GMT */
const FIXED = /^(?:mon|tue|wed|thu|fri|sat|sun), (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/i;
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC_850 =
  /^(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday), (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) gmt$/i;
/** Sun Nov  6 08:49:37 1994 */
const ASCTIME = /^(?:mon|tue|wed|thu|fri|sat|sun) ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/i;

const FIFTY_YEARS = 50;

/** Milliseconds since the epoch, or NaN. @param now for years of two digits. */
export function parseHttpDate(text: string, now: number): number {
  const fixed = FIXED.exec(text);
  if (fixed !== null) return moment(fixed[3]!, fixed[2]!, fixed[1]!, fixed[4]!, fixed[5]!, fixed[6]!);
  const asctime = ASCTIME.exec(text);
  if (asctime !== null) return moment(asctime[6]!, asctime[1]!, asctime[2]!, asctime[3]!, asctime[4]!, asctime[5]!);
  const old = RFC_850.exec(text);
  if (old === null) return NaN;
  // RFC 9110 §5.6.7: more than 50 years ahead means the most recent year in the past with those digits.
  const thisYear = new Date(now).getUTCFullYear();
  const year = Math.floor(thisYear / 100) * 100 + Number(old[3]);
  const nearest = year > thisYear + FIFTY_YEARS ? year - 100 : year;
  return moment(String(nearest), old[2]!, old[1]!, old[4]!, old[5]!, old[6]!);
}

function moment(year: string, month: string, day: string, hour: string, minute: string, second: string): number {
  const at = MONTHS.indexOf(month.toLowerCase());
  // A leap second is the next minute's first.
  if (at === -1 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return NaN;
  const ms = Date.UTC(Number(year), at, Number(day), Number(hour), Number(minute), Number(second));
  return new Date(ms).getUTCDate() === Number(day) || second === '60' ? ms : NaN;
}
