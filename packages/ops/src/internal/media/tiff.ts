/**
 * Copies what is sound of a TIFF structure, which EXIF is, into a small one.
 *
 * Counts, offsets and links of the original may be anything; those of the copy are right, and it is small. So whoever
 * reads it needs to fear nothing: not a loop, nor a value of 4 GiB, nor 65,535 that are all the same 64 KiB.
 */
import * as Effect from "effect/Effect"
import { type Carried, mostBlockBytes } from "./carried.ts"
import { type Fault, headOf, latin, malformed, type Source, u16, u32 } from "./source.ts"

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

const typeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8]

/** What stands behind the order of bytes. Raw photos of Panasonic and Olympus are TIFF but for that. */
const marks = { tiff: 42, big: 43, panasonic: 0x55, olympus: 0x4f52, olympusOther: 0x5352 } as const
const known = new Set<number>(Object.values(marks))

/** What stands behind the head of a raw photo of Canon, whose first picture is a small one. */
const canon = "CR\x02\0"

/** Cameras write less than 100. */
const mostEntries = 512

/** Longer ones are tables of pixels, and what makers keep to themselves. */
const mostValueBytes = 2 ** 16
const mostAllBytes = 2 ** 18

const tags = {
  sensorTop: 4,
  sensorLeft: 5,
  sensorBottom: 6,
  sensorRight: 7,
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
  /** How many bytes an offset takes. */
  private readonly wide: 4 | 8
  private bytes = 0

  constructor(source: Source, isLittle: boolean, wide: 4 | 8) {
    this.source = source
    this.isLittle = isLittle
    this.wide = wide
  }

  /** Offset or count. */
  readonly number = (bytes: Uint8Array, at: number): number => numberAt(bytes, at, this.wide, this.isLittle)

  note(problem: string): void {
    if (!this.problems.includes(problem)) this.problems.push(problem)
  }

  /** Entries that are sound, of what begins here. */
  readonly directory = Effect.fnUntraced({ self: this }, function*(this: Copying, name: string, offset: number) {
    const directory: Directory = new Map()
    const [head, size] = this.wide === 4 ? [2, 12] as const : [8, 20] as const
    const start = yield* this.source.at(offset, head)
    const count = this.wide === 4 ? u16(start, 0, this.isLittle) : this.number(start, 0)
    const there = Math.floor((this.source.sizeBytes - offset - head) / size)
    const sound = Math.min(count, there, mostEntries)
    if (sound < count) this.note(`${name} claims ${count} entries`)
    const entries = yield* this.source.at(offset + head, sound * size)
    for (let at = 0; at < sound * size; at += size) {
      const entry = yield* this.entry(name, entries.subarray(at, at + size))
      if (entry !== undefined && !directory.has(entry.tag)) directory.set(entry.tag, entry)
    }
    return directory
  })

  private readonly entry = Effect.fnUntraced({ self: this }, function*(this: Copying, name: string, bytes: Uint8Array) {
    const { isLittle, wide } = this
    const tag = u16(bytes, 0, isLittle)
    const type = u16(bytes, 2, isLittle)
    const count = this.number(bytes, 4)
    const size = (typeBytes[type] ?? 0) * count
    if (size === 0 || left.has(tag)) return undefined
    if (size <= wide) return narrow({ tag, type, count, value: bytes.slice(4 + wide, 4 + wide + size) }, isLittle)
    const offset = this.number(bytes, 4 + wide)
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
    return narrow({ tag, type, count, value: (yield* this.source.at(offset, size)).slice() }, isLittle)
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
  readonly size = Effect.fnUntraced({ self: this }, function*(this: Copying, first: Directory, mark: number) {
    if (mark === marks.panasonic) {
      const border = (tag: number) => numberOf(first.get(tag), this.isLittle) ?? 0
      return {
        width: border(tags.sensorRight) - border(tags.sensorLeft),
        height: border(tags.sensorBottom) - border(tags.sensorTop)
      }
    }
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

const numberAt = (bytes: Uint8Array, at: number, wide: 4 | 8, isLittle: boolean): number => {
  if (wide === 4) return u32(bytes, at, isLittle)
  const [high, low] = isLittle ? [at + 4, at] : [at, at + 4]
  return u32(bytes, high, isLittle) * 2 ** 32 + u32(bytes, low, isLittle)
}

/** An entry as a structure of narrow offsets has it. */
const narrow = (entry: Entry, isLittle: boolean): Entry => {
  if (entry.type < 16) return entry
  const value = new Uint8Array(entry.count * 4)
  for (let n = 0; n < entry.count; n++) {
    new DataView(value.buffer).setUint32(n * 4, numberAt(entry.value, n * 8, 8, isLittle), isLittle)
  }
  return { ...entry, type: 4, value }
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
  const header = yield* headOf(source, 16, 0)
  const order = u16(header, 0)
  const isLittle = order === 0x4949
  const mark = u16(header, 2, isLittle)
  if (header.length < 8 || (!isLittle && order !== 0x4d4d) || !known.has(mark)) {
    return yield* malformed("its EXIF does not begin as such")
  }
  const copying = new Copying(source, isLittle, mark === marks.big ? 8 : 4)
  const first = yield* copying.directory("the first directory", copying.number(header, mark === marks.big ? 8 : 4))
  const exif = yield* copying.linked("EXIF", first.get(tags.exif))
  const gps = yield* copying.linked("GPS", first.get(tags.gps))
  const isPreview = latin(header, 8, 12) === canon
  const size = isPreview ? { width: undefined, height: undefined } : yield* copying.size(first, mark)
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
