/**
 * Tells whether a source is what was copied, by what is known of it without reading.
 */
import type { CopyOptions } from "../../CopyOptions.ts"
import type * as Files from "../../Files.ts"

type Stat = Omit<Files.FileStat, "changedNanos" | "links">

const contentOf = ({ device, inode, modifiedNanos, sizeBytes }: Stat): string =>
  [device, inode, sizeBytes, modifiedNanos].join(" ")

/** What tells whether a source is what was copied, as long as nobody has given it another name. */
export const editionOf = (stat: Files.FileStat, links = stat.links): string =>
  // Whoever removes another name of it changes that time.
  `${contentOf(stat)} ${links > 1 ? "" : stat.changedNanos} ${stat.bornNanos}`

/** What is told apart by its birth. Jobs of earlier versions have recorded none. */
const withBirth = ({ bornNanos }: Pick<Stat, "bornNanos">, edition: string): string =>
  edition.split(" ").length < 6 ? `${edition} ${bornNanos}` : edition

/** Whether a source is what was copied. The last of several names is the only one by now. */
export const isEdition = (stat: Files.FileStat, edition: string): boolean =>
  [editionOf(stat), editionOf(stat, 2)].includes(withBirth(stat, edition))

/** Whether it has the content that was copied, also once it has been given another name. */
export const isContentOf = (stat: Stat, edition: string): boolean => edition.startsWith(`${contentOf(stat)} `)

/** Whether it is the file that was copied, whatever is in it by now. Inodes are used again. */
export const isFileOf = (stat: Pick<Stat, "bornNanos" | "device" | "inode">, edition: string): boolean =>
  edition.startsWith(`${stat.device} ${stat.inode} `) && withBirth(stat, edition).endsWith(` ${stat.bornNanos}`)

/**
 * What other names of a file know it by: what tells it from all others, and from what it was before. A move that takes
 * another name away changes the time of change.
 */
export const linkedAs = (stat: Files.FileStat, { isMove }: Pick<CopyOptions, "isMove">): string => {
  const { bornNanos, changedNanos, device, inode, modifiedNanos, sizeBytes } = stat
  return [device, inode, sizeBytes, modifiedNanos, bornNanos, isMove ? "" : changedNanos].join(" ")
}
