/**
 * Compares times of files.
 */

/** To the microsecond: where times are set through a double, the last digits of the nanoseconds are lost. */
export const isSameTime = (a: bigint, b: bigint): boolean => a - b < 1000n && b - a < 1000n
