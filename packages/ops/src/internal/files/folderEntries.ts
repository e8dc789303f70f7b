/**
 * Reads what Linux tells of the entries of a folder.
 */
import type { EntryKind } from "../../FolderListing.ts"

/** Kinds by `d_type` (dirent.h). */
const kindOfType: Readonly<Record<number, EntryKind>> = { 0: "unknown", 4: "folder", 8: "file", 10: "link" }

const dot = 46

/** Whether the name that begins there is that of the folder itself, or of the one that it is in. */
const isDots = (from: Buffer, at: number): boolean =>
  from[at] === dot && (from[at + 1] === 0 || (from[at + 1] === dot && from[at + 2] === 0))

/** Reads the `struct linux_dirent64`s in a buffer, whose names end with NUL. */
export const addEntries = (
  from: Buffer,
  length: number,
  add: (name: string, kind: EntryKind, inode: number) => void,
  skips: ((kind: EntryKind) => boolean) | undefined
): void => {
  for (let at = 0; at < length; at += from.readUInt16LE(at + 16)) {
    const kind = kindOfType[from[at + 18] ?? 0] ?? "special"
    if (isDots(from, at + 19) || skips?.(kind) === true) continue
    const inode = from.readUInt32LE(at) + (from.readUInt32LE(at + 4) & 0xf) * 2 ** 32
    add(from.toString("latin1", at + 19, from.indexOf(0, at + 19)), kind, inode)
  }
}
