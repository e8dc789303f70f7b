/**
 * Tells folders that are filled under temporary names from what others give such names, so that nothing else is
 * emptied.
 */
import type * as Files from "../../Files.ts"

/** Mode of a folder that is not whole. Nobody but its owner could give it to another one, and it is of no use else. */
export const unfinishedMode = 0o1700

/** Bit of a mode that a folder has from the one it is made in: then what is made in it gets the same group. */
const inheritedBit = 0o2000

/** Bit that no mask takes away. */
const stickyBit = 0o1000

/** The same mode, with what a folder has from the one that it was made in. */
export const withInherited = (mode: number, { mode: found }: Pick<Files.FileStat, "mode">): number =>
  mode | (found & inheritedBit)

/** Whether this user has made a folder that is not whole. */
export const isUnfinished = (stat: Pick<Files.FileStat, "mode" | "owner">, user: number): boolean =>
  stat.mode === withInherited(unfinishedMode, stat) && stat.owner === user

/**
 * Whether it may be a folder that this user has made just now to be such, which may have less of the mode, by the mask
 * of the process.
 */
export const isBegun = ({ mode, owner }: Pick<Files.FileStat, "mode" | "owner">, user: number): boolean =>
  owner === user && (mode | unfinishedMode | inheritedBit) === (unfinishedMode | inheritedBit) &&
  (mode & stickyBit) !== 0
