/**
 * Why an entry is skipped, in the words that are stored with its outcome.
 */
import type { Outcome } from "@fanout/core/Outcome"
import type { Tally } from "@fanout/core/Progress"
import * as Num from "effect/Number"

/**
 * What is said of entries that are skipped.
 *
 * @category models
 */
export const SkipReason = {
  Exists: "it is there already",
  Special: "it is no file, folder or link",
  Link: "it is a link, which no object can be: --dereference copies what it leads to",
  Database: "it belongs to the database of this job",
  Output: "it is what the lines of this job are written to",
  NoMedia: "it is of no kind that metadata is read of",
  Replaced: "another one has taken its place meanwhile, which is left",
  Vanished: "it vanished",
  /** Of a folder that is there. It stands for as many as are less than there were. */
  VanishedInside: "some of what was in it vanished before it was listed"
} as const

const vanished: ReadonlyArray<string> = [SkipReason.Vanished, SkipReason.VanishedInside]

/**
 * Checks whether an entry, or what was in it, was skipped because it was gone when its turn came: an ending of its own
 * for people.
 *
 * @category predicates
 */
export const isVanished = (outcome: Outcome): boolean => outcome._tag === "Skipped" && vanished.includes(outcome.reason)

/**
 * How many of the skipped entries have vanished.
 *
 * @category accessors
 */
export const countVanished = ({ reasons = {} }: Tally): number =>
  Num.sumAll(vanished.map((reason) => reasons[reason] ?? 0))
