/** Who goes first where there is not enough for all, and who is refused first. The index is the class: 0 is served first. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;

export type Priority = (typeof PRIORITIES)[number];
