// Whether a copy is as its source.
import * as fs from "node:fs"
import * as path from "node:path"

/**
 * What a copy has to have besides the content: times of files and links, or all times and modes; or these of what links
 * lead to, in their place.
 */
export type Keeps = "everything" | "times" | "content" | "targets"

const buffers = [Buffer.alloc(2 ** 20), Buffer.alloc(2 ** 20)] as const

const isSameContent = (source: string, copy: string): boolean => {
  const descriptors = [fs.openSync(source, "r"), fs.openSync(copy, "r")] as const
  try {
    for (;;) {
      const read = fs.readSync(descriptors[0], buffers[0])
      if (read !== fs.readSync(descriptors[1], buffers[1])) return false
      if (read === 0) return true
      if (buffers[0].compare(buffers[1], 0, read, 0, read) !== 0) return false
    }
  } finally {
    for (const descriptor of descriptors) fs.closeSync(descriptor)
  }
}

const typeOf = ({ mode }: fs.BigIntStats): bigint => mode & BigInt(fs.constants.S_IFMT)

/** Whoever does not keep owners and groups must not keep the bits either that lend their rights. */
const modeFor = ({ gid, mode, uid }: fs.BigIntStats, copy: fs.BigIntStats): bigint =>
  mode & ~(uid === copy.uid ? 0n : 0o4000n) & ~(gid === copy.gid ? 0n : 0o2000n)

const differenceOfFolders = (source: string, copy: string, keeps: Keeps): string | undefined => {
  const names = fs.readdirSync(source)
  const inSource = new Set(names)
  const extra = fs.readdirSync(copy).find((name) => !inSource.has(name))
  if (extra !== undefined) return `${path.join(copy, extra)} is not in the source`
  for (const name of names) {
    const found = difference(path.join(source, name), path.join(copy, name), keeps)
    if (found !== undefined) return found
  }
  return undefined
}

/** Throws if a copy is not as its source. */
export const checkCopy = (name: string, source: string, copy: string, keeps: Keeps): void => {
  const found = difference(source, copy, keeps)
  if (found !== undefined) throw new Error(`${name} made a copy that is not as its source: ${found}`)
}

/** The first difference of a copy from its source, as a sentence. */
const difference = (source: string, copy: string, keeps: Keeps): string | undefined => {
  const own = (keeps === "targets" ? fs.statSync : fs.lstatSync)(source, { bigint: true })
  const other = fs.lstatSync(copy, { bigint: true, throwIfNoEntry: false })
  if (other === undefined) return `${copy} is missing`
  if (typeOf(own) !== typeOf(other)) return `${copy} is of another type`
  const isExact = keeps === "everything" || keeps === "targets"
  if (isExact && modeFor(own, other) !== other.mode) return `${copy} has another mode`
  if (keeps !== "content" && own.mtimeNs !== other.mtimeNs && (isExact || !own.isDirectory())) {
    return `${copy} has another time`
  }
  if (own.isDirectory()) return differenceOfFolders(source, copy, keeps)
  // Some that keep less make links absolute.
  if (own.isSymbolicLink() && keeps !== "content" && fs.readlinkSync(source) !== fs.readlinkSync(copy)) {
    return `${copy} leads elsewhere`
  }
  if (!own.isFile()) return undefined
  if (own.size !== other.size) return `${copy} has another size`
  return own.size === 0n || isSameContent(source, copy) ? undefined : `${copy} has other content`
}
