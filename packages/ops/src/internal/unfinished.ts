/**
 * Tells folders that are filled under temporary names from what others give such names, so that nothing else is
 * emptied.
 */
import type * as Files from "../Files.ts"

/** Mode of a folder that is not whole. Nobody but its owner could give it to another one, and it is of no use else. */
export const unfinishedMode = 0o1700

/** Whether this user has made a folder that is not whole. */
export const isUnfinished = ({ mode, owner }: Pick<Files.FileStat, "mode" | "owner">, user: number): boolean =>
  mode === unfinishedMode && owner === user

/** Number of the user that this process makes files as. */
export const userUnsafe = (): number => process.geteuid?.() ?? 0
