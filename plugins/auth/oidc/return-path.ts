/** Where a login may lead back to: a path of this site, and nothing that a browser could read as another. */

/** One slash, then visible ASCII without a backslash: `//evil`, `/\evil`, `javascript:`, tabs and line ends are none. */
const SAME_SITE = /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/;
/** Longer ones would not fit the cookie that remembers them. */
const LONGEST = 2048;

/** @returns `/` for what is no such path. */
export function returnPath(target: string | undefined): string {
  return target !== undefined && target.length <= LONGEST && SAME_SITE.test(target) ? target : '/';
}
