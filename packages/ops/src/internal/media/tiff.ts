/**
 * Copies what is sound of a TIFF structure, which EXIF is, into a small one.
 *
 * Counts, offsets and links of the original may be anything; those of the copy are right, and it is small. So whoever
 * reads it needs to fear nothing: not a loop, nor a value of 4 GiB, nor 65,535 that are all the same 64 KiB.
 */
import * as Effect from "effect/Effect"
import { type Carried, mostBlockBytes } from "./carried.ts"
import { type Fault, malformed, type Source, u16, u32 } from "./source.ts"

/** A structure that is sound. */
export interface Tiff {
  readonly bytes: Uint8Array
  /** Of the picture, where the structure is a file of its own. */
  readonly width: number | undefined
  readonly height: number | undefined
  readonly xmp: Uint8Array | undefined
  readonly iptc: Uint8Array | undefined
  readonly problems: ReadonlyArray<string>
}

interface Entry {
  readonly tag: number
  readonly type: number
  readonly count: number
  /** In the order of bytes of the structure. */
  readonly value: Uint8Array
}

type Directory = Map<number, Entry>

const typeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4]

/** Cameras write less than 100. */
const mostEntries = 512

/** Longer ones are tables of pixels, and what makers keep to themselves. */
const mostValueBytes = 2 ** 16
const mostAllBytes = 2 ** 18

const tags = {
  subfileType: 0xfe,
  width: 0x100,
  height: 0x101,
  subDirectories: 0x14a,
  xmp: 0x2bc,
  iptc: 0x83bb,
  exif: 0x8769,
  gps: 0x8825,
  profile: 0x8773,
  makerNote: 0x927c
} as const

const left = new Set<number>([tags.profile, tags.makerNote])
const blocks = new Set<number>([tags.xmp, tags.iptc])

class Copying {
  readonly problems: Array<string> = []
  private readonly source: Source
  readonly isLittle: boolean
  private bytes = 0

  constructor(source: Source, isLittle: boolean) {
    this.source = source
    this.isLittle = isLittle
  }

  note(problem: string): void {
    if (!this.problems.includes(problem)) this.problems.push(problem)
  }

  /** Entries that are sound, of what begins here. */
  readonly directory = Effect.fnUntraced({ self: this }, function*(this: Copying, name: string, offset: number) {
    const directory: Directory = new Map()
    const count = u16(yield* this.source.at(offset, 2), 0, this.isLittle)
    const there = Math.floor((this.source.sizeBytes - offset - 2) / 12)
    const sound = Math.min(count, there, mostEntries)
    if (sound < count) this.note(`${name} claims ${count} entries`)
    const entries = yield* this.source.at(offset + 2, sound * 12)
    for (let at = 0; at < sound * 12; at += 12) {
      const entry = yield* this.entry(name, entries.subarray(at, at + 12))
      if (entry !== undefined && !directory.has(entry.tag)) directory.set(entry.tag, entry)
    }
    return directory
  })

  private readonly entry = Effect.fnUntraced({ self: this }, function*(this: Copying, name: string, bytes: Uint8Array) {
    const { isLittle } = this
    const tag = u16(bytes, 0, isLittle)
    const type = u16(bytes, 2, isLittle)
    const count = u32(bytes, 4, isLittle)
    const size = (typeBytes[type] ?? 0) * count
    if (size === 0 || left.has(tag)) return undefined
    if (size <= 4) return { tag, type, count, value: bytes.slice(8, 8 + size) }
    const offset = u32(bytes, 8, isLittle)
    if (offset + size > this.source.sizeBytes) {
      this.note(`a value of ${name} is said to be behind the end`)
      return undefined
    }
    if (size > (blocks.has(tag) ? mostBlockBytes : mostValueBytes)) return undefined
    if (!blocks.has(tag) && this.bytes + size > mostAllBytes) {
      this.note(`the values of ${name} are larger than any camera's`)
      return undefined
    }
    this.bytes += size
    return { tag, type, count, value: (yield* this.source.at(offset, size)).slice() }
  })

  /** Entries of the directory that an entry leads to. */
  readonly linked = Effect.fnUntraced({ self: this }, function*(this: Copying, name: string, link: Entry | undefined) {
    const none: Directory = new Map()
    if (link === undefined) return none
    return yield* this.directory(name, numberOf(link, this.isLittle) ?? 0).pipe(
      Effect.catchTag("Fault", (fault) => {
        if (fault.code !== "Malformed") return Effect.fail(fault)
        this.note(`${name}: ${fault.why}`)
        return Effect.succeed(none)
      })
    )
  })

  /** Size in pixels: of the full picture, where the first directory has a small one. */
  readonly size = Effect.fnUntraced({ self: this }, function*(this: Copying, first: Directory) {
    const read = (directory: Directory) => ({
      width: numberOf(directory.get(tags.width), this.isLittle),
      height: numberOf(directory.get(tags.height), this.isLittle)
    })
    if (((numberOf(first.get(tags.subfileType), this.isLittle) ?? 0) & 1) === 0) return read(first)
    const link = first.get(tags.subDirectories)
    if (link === undefined) return { width: undefined, height: undefined }
    for (let at = 0; at < Math.min(link.count, 4); at++) {
      const offset: Entry = { ...link, count: 1, value: link.value.subarray(at * 4, at * 4 + 4) }
      const directory = yield* this.linked("a picture in it", offset)
      if (numberOf(directory.get(tags.subfileType), this.isLittle) === 0) return read(directory)
    }
    return { width: undefined, height: undefined }
  })
}

const numberOf = (entry: Entry | undefined, isLittle: boolean): number | undefined => {
  if (entry === undefined) return undefined
  if (entry.type === 3) return u16(entry.value, 0, isLittle)
  return entry.type === 4 || entry.type === 13 ? u32(entry.value, 0, isLittle) : undefined
}

/** A structure of these directories, one behind the other, each followed by its values. */
const write = (isLittle: boolean, first: Directory, exif: Directory, gps: Directory): Uint8Array => {
  const length = (directory: Directory) =>
    6 + [...directory.values()].reduce((sum, { value }) => sum + 12 + (value.length > 4 ? value.length : 0), 0)
  const links = [[tags.exif, exif], [tags.gps, gps]] as const
  const pointer: Pick<Entry, "type" | "count" | "value"> = { type: 4, count: 1, value: new Uint8Array(4) }
  const root = new Map(first)
  for (const [tag, directory] of links) {
    if (directory.size > 0) root.set(tag, { ...pointer, tag })
    else root.delete(tag)
  }
  for (const tag of blocks) root.delete(tag)
  const starts = [8, 8 + length(root), 8 + length(root) + length(exif)] as const
  const bytes = new Uint8Array(starts[2] + length(gps))
  const view = new DataView(bytes.buffer)
  bytes.fill(isLittle ? 0x49 : 0x4d, 0, 2)
  view.setUint16(2, 42, isLittle)
  view.setUint32(4, 8, isLittle)
  const put = (directory: Directory, start: number) => {
    const entries = [...directory.values()].toSorted((a, b) => a.tag - b.tag)
    view.setUint16(start, entries.length, isLittle)
    let at = start + 2
    let values = at + 12 * entries.length + 4
    for (const { count, tag, type, value } of entries) {
      view.setUint16(at, tag, isLittle)
      view.setUint16(at + 2, type, isLittle)
      view.setUint32(at + 4, count, isLittle)
      if (tag === tags.exif || tag === tags.gps) view.setUint32(at + 8, starts[tag === tags.exif ? 1 : 2], isLittle)
      else if (value.length <= 4) bytes.set(value, at + 8)
      else {
        view.setUint32(at + 8, values, isLittle)
        bytes.set(value, values)
        values += value.length
      }
      at += 12
    }
  }
  put(root, starts[0])
  put(exif, starts[1])
  put(gps, starts[2])
  return bytes
}

/** Copies what is sound. Fails where not even its first directory is there. */
export const copyTiff = Effect.fnUntraced(function*(source: Source) {
  const header = yield* source.at(0, 8)
  const order = u16(header, 0)
  const isLittle = order === 0x4949
  if ((!isLittle && order !== 0x4d4d) || u16(header, 2, isLittle) !== 42) {
    return yield* malformed("its EXIF does not begin as such")
  }
  const copying = new Copying(source, isLittle)
  const first = yield* copying.directory("the first directory", u32(header, 4, isLittle))
  const exif = yield* copying.linked("EXIF", first.get(tags.exif))
  const gps = yield* copying.linked("GPS", first.get(tags.gps))
  const size = yield* copying.size(first)
  const tiff: Tiff = {
    bytes: write(isLittle, first, exif, gps),
    ...size,
    xmp: first.get(tags.xmp)?.value,
    iptc: first.get(tags.iptc)?.value,
    problems: copying.problems
  }
  return tiff
})

/** Takes what is sound of EXIF that a picture carries, the first of it; where nothing is, that is a problem. */
export const takeExif = (carried: Carried, source: Source) =>
  Effect.catchTag(
    Effect.map(copyTiff(source), (tiff) => {
      carried.problems.push(...tiff.problems)
      carried.exif ??= tiff
    }),
    "Fault",
    (fault: Fault) => {
      if (fault.code !== "Malformed") return Effect.fail(fault)
      carried.problems.push(`EXIF: ${fault.why}`)
      return Effect.void
    }
  )
