/**
 * How urgent a job is, as the number that is stored and as the name that people use. The numbers are Spacedrive's.
 *
 * Who claims jobs takes the higher number first. Tasks of a job are as much more urgent than they say as the job is
 * more urgent than a `normal` one.
 *
 * @since 0.1.0
 */
import type { Priority } from "./Task.ts"

/**
 * Number of each name.
 *
 * @category models
 * @since 0.1.0
 */
export const numbers: Readonly<Record<Priority, number>> = { low: -1, normal: 0, high: 1, critical: 10 }

/**
 * Returns the name of a number: the most urgent one that it reaches.
 *
 * @category accessors
 * @since 0.1.0
 */
export const nameOf = (number: number): Priority =>
  number >= numbers.critical
    ? "critical"
    : number >= numbers.high
    ? "high"
    : number >= numbers.normal
    ? "normal"
    : "low"
