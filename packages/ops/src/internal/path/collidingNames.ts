/**
 * Finds names of one folder that another file system may take for one: names that differ in case, in how characters are
 * composed, or in what some leave out.
 */
import type * as FilePath from "../../FilePath.ts"

// Most names are such, and no two of them are one anywhere.
const isPlain = /^[a-z0-9_-]+(?:[.][a-z0-9_-]+)*$/
// oxlint-disable-next-line no-control-regex -- names of such characters are folded in one step
const isAscii = /^[\0-\x7f]*$/

/** Bytes that are not UTF-8 are taken for latin1, as good as any. */
const composed = (text: string): string =>
  text.replaceAll(/[\udc80-\udcff]/gu, (byte) => String.fromCharCode(byte.charCodeAt(0) - 0xdc00))
    // File systems that fold names may leave out of account what is not seen.
    .normalize("NFKD").replaceAll(/[\p{Cc}\p{Cf}\p{DI}]/gu, "")

/** The same for all names that some file system takes for one, and for some that none does. */
export const fold = (name: string): string => {
  // To go up first makes one of those that have several small letters.
  const folded = isAscii.test(name) ? name.toLowerCase() : composed(composed(name).toUpperCase().toLowerCase())
  return folded.replace(/[. ]+$/, "").replaceAll(/[<>:"|?*\\]/g, "_")
}

const none: ReadonlySet<never> = new Set()

/**
 * Those of the names in a folder that may be taken for one of the others. The names are given once or twice: a folder
 * may have millions, and only those are kept that are not plain.
 */
export const find = (names: () => Iterable<FilePath.FilePath>): ReadonlySet<FilePath.FilePath> => {
  const odd = new Map<string, FilePath.FilePath>()
  let found: Set<FilePath.FilePath> | undefined
  const add = (name: FilePath.FilePath, other: FilePath.FilePath | undefined): void => {
    if (other !== undefined) found = (found ?? new Set()).add(name).add(other)
  }
  for (const name of names()) {
    if (isPlain.test(name)) continue
    const folded = fold(name)
    add(name, odd.get(folded))
    odd.set(folded, name)
  }
  if (odd.size === 0) return none
  for (const name of names()) if (isPlain.test(name)) add(name, odd.get(name))
  return found ?? none
}
