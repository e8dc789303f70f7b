/**
 * Priority of a job, as the number that is stored and as the name that people use. The numbers are Spacedrive's.
 *
 * A manager claims the higher number first. The job's distance from `normal` shifts the priority of its tasks.
 */
import type { Priority } from "./Task.ts"

/**
 * Number of each name.
 *
 * @category models
 */
export const numbers: Readonly<Record<Priority, number>> = { low: -1, normal: 0, high: 1, critical: 10 }

/**
 * Returns the most urgent name whose number is not above the given number, or `low`.
 *
 * @category accessors
 */
export const nameOf = (number: number): Priority =>
  number >= numbers.critical
    ? "critical"
    : number >= numbers.high
    ? "high"
    : number >= numbers.normal
    ? "normal"
    : "low"
