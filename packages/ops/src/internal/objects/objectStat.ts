/**
 * What an object tells of a file, and a file leaves at its object: time and mode, as rclone writes them.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { CopyOptions } from "../../CopyOptions.ts"
import type * as Files from "../../Files.ts"
import type { ListedObject, ObjectInfo, WriteOptions } from "../../ObjectStore.ts"
import { contentTypeOf } from "../cloud/contentType.ts"
import { isAlike } from "../files/statComparison.ts"
import { common, digestOf } from "../hash/storedDigest.ts"
import type { Aspect } from "../verify/metadataComparison.ts"

/** What is known of an object: by a listing, or by itself. */
export type Info = ListedObject & Partial<Pick<ObjectInfo, "metadata" | "attributes" | "checksums">>

/** Name in the metadata of an object, of a random word. Whoever has lost an answer finds its own object by that. */
export const nonceName = "fanout-upload"

/** Metadata that files have in their own way, or need not have: rclone adds a checksum of the content. */
const ofFiles: ReadonlySet<string> = new Set(["mtime", "mode", nonceName, "md5chksum"])

/** Whether an object has metadata or attributes that no file can be given. The type is in the name of most files. */
export const hasMetadata = ({ attributes = {}, metadata = {} }: Info): boolean =>
  Object.keys(metadata).some((name) => !ofFiles.has(name)) ||
  Object.keys(attributes).some((name) => name !== "content-type")

/** Whose files are that come from objects, and what rights they do not get. */
export interface Process {
  readonly user: number
  readonly denied: number
}

/** A number that stands for a text. */
export const numberOf = (text: string): bigint => createHash("sha1").update(text).digest().readBigUInt64BE()

const nanosOf = (seconds: string | undefined): bigint | undefined => {
  const [, sign, whole, part = ""] = /^(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(seconds ?? "") ?? []
  if (whole === undefined) return undefined
  const nanos = BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, "0"))
  return sign === "" ? nanos : -nanos
}

const secondsOf = (nanos: bigint): string => {
  const size = nanos < 0n ? -nanos : nanos
  const part = String(size % 1_000_000_000n).padStart(9, "0")
  return `${nanos < 0n ? "-" : ""}${size / 1_000_000_000n}.${part}`
}

/** Modes of files in decimal, as s3fs writes them. In octal such a number is the mode of nothing. */
const [leastDecimal, mostDecimal] = [0o100000, 0o107777]

/**
 * Rights alone: a bucket lends nobody the rights of its reader. Modes are in octal, as rclone and fanout write them, or
 * in decimal.
 */
const modeOf = (text = ""): number | undefined => {
  const decimal = /^\d{5}$/.test(text) ? Number(text) : 0
  if (decimal >= leastDecimal && decimal <= mostDecimal) return decimal & 0o777
  return /^[0-7]{3,7}$/.test(text) ? Number.parseInt(text, 8) & 0o777 : undefined
}

const millisToNanos = (millis: number): bigint => BigInt(Math.round(millis)) * 1_000_000n

/**
 * When the store has put an object in its place. One of which it does not tell that has a time within a second of the
 * epoch that stands for its content: a copy with that time is one of this content, and of no other.
 */
const storedNanos = ({ etag, storedMillis }: Pick<ListedObject, "etag" | "storedMillis">): bigint =>
  storedMillis === undefined ? numberOf(etag) % 1_000_000_000n : millisToNanos(storedMillis)

/** Later than any object was stored: where nobody knows when that was, it may have been just now. */
const justNow = millisToNanos(Number.MAX_SAFE_INTEGER)

/** What no store tells, and a time for all times. */
const statAt = (bucket: string, { user }: Process, nanos: bigint) => ({
  device: numberOf(bucket),
  links: 1,
  owner: user,
  group: 0,
  bornNanos: 0n,
  sizeBytes: 0,
  allocatedBytes: 0,
  accessedNanos: nanos,
  modifiedNanos: nanos,
  changedNanos: nanos
})

/** Stands for an object and its content. */
export const inodeOf = ({ etag, key }: Pick<Info, "etag" | "key">): bigint => numberOf(`${etag} ${key}`)

/** What an object is as a file. Its inode stands for the content, too. */
export const statOf = (bucket: string, info: Info, process: Process): Files.FileStat => {
  const { metadata = {}, sizeBytes } = info
  return {
    ...statAt(bucket, process, nanosOf(metadata["mtime"]) ?? storedNanos(info)),
    kind: "file",
    inode: inodeOf(info),
    mode: modeOf(metadata["mode"]) ?? 0o666 & ~process.denied,
    sizeBytes,
    allocatedBytes: sizeBytes,
    changedNanos: info.storedMillis === undefined ? justNow : storedNanos(info)
  }
}

/** What an object does not tell of its file, and is no difference. Nobody owns an object. */
export const untold = ({ metadata = {} }: Pick<Info, "metadata">): ReadonlyArray<Aspect> => [
  "owner",
  ...nanosOf(metadata["mtime"]) === undefined ? ["times" as const] : [],
  ...modeOf(metadata["mode"]) === undefined ? ["mode" as const] : []
]

/** What a part of keys is as a folder: it has no time, so the copy is as new as it is. */
export const folderStat = (bucket: string, key: string, nowMillis: number, process: Process): Files.FileStat => ({
  ...statAt(bucket, process, millisToNanos(nowMillis)),
  kind: "folder",
  inode: numberOf(`${key}/`),
  mode: 0o777 & ~process.denied
})

/** What an object tells besides its content. */
export type Properties = Required<Pick<WriteOptions, "metadata" | "attributes">>

/** What an object of this key is to tell of its file. */
export const propertiesOf = (
  key: string,
  { mode, modifiedNanos }: Files.FileStat,
  { keeps }: Pick<CopyOptions, "keeps">
): Properties => {
  const type = contentTypeOf(key)
  return {
    metadata: {
      ...keeps.has("times") ? { mtime: secondsOf(modifiedNanos) } : {},
      ...keeps.has("mode") ? { mode: `0${(0o100000 | mode).toString(8)}` } : {}
    },
    attributes: type === undefined ? {} : { "content-type": type }
  }
}

/**
 * What a copy of an object is to tell of it: all that the object does. Where that has no time of its own it is when the
 * store has put it in its place.
 */
export const carriedBy = (info: Info): Properties => ({
  metadata: { mtime: secondsOf(storedNanos(info)), ...info.metadata },
  attributes: info.attributes ?? {}
})

// --- Whether it has changed -----------------------------------------------------------------------------------------

/** A file, or an object of which this is known. */
export interface Entry {
  readonly stat: Files.FileStat
  readonly info?: Info | undefined
}

/** A source and what is at its target, and how more is learned of them. */
interface Pair<E, R> {
  readonly source: Entry
  readonly target: Entry
  /** Looks at an object that was listed; nothing where it can't be looked at. */
  readonly look: (side: "source" | "target") => Effect.Effect<Entry | undefined, E, R>
  /** Reads the source, which is a small file; nothing where it can't be read. */
  readonly read: Effect.Effect<Uint8Array | undefined, E, R>
}

/** The MD5 of an object or its parts, by an ETag that looks like one. Zeros stand for none in some stores. */
const digestIn = ({ etag }: Info): string | undefined =>
  /^(?!0{32})[0-9a-f]{32}(-\d+)?$/i.exec(etag)?.[0]?.toLowerCase()

/** To read such a file, and to hash it, takes as long as to ask for its object. */
const readBytes = 2 ** 18

/** As long a file may have been on its way to its object, by clocks that differ. */
const sendingNanos = 300_000_000_000n

/**
 * Whether a file may have to be read in the place of a look at its object: what has changed since the object was sent
 * may have another time, which the object is to get, too.
 */
const isForReading = ({ changedNanos, sizeBytes }: Files.FileStat, info: Info): boolean =>
  info.metadata === undefined && digestIn(info)?.length === 32 && sizeBytes <= readBytes &&
  changedNanos + sendingNanos < storedNanos(info)

/**
 * Whether a source and what is at its target are the same, where one of them is an object at least; nothing where that
 * can't be told. All copies of objects, and their previews, ask here.
 *
 * A listing tells sizes and ETags alone: nobody knows by these who has stored an object, and of what. So the ETag of a
 * small object is compared with the content of its file, and that of an object with the one of its copy. In any other
 * case objects are looked at: both have to have one time, and no checksum may differ. An ETag that differs says
 * nothing, as a store that encrypts with a key has others.
 */
export const isUnchanged = Effect.fnUntraced(function*<E, R>(
  { look, read, source, target }: Pair<E, R>
): Effect.fn.Return<boolean | undefined, E, R> {
  if (source.stat.kind !== target.stat.kind || source.stat.sizeBytes !== target.stat.sizeBytes) return false
  const [ofSource, ofTarget] = [source.info, target.info].map((info) => info && digestIn(info))
  if (ofSource !== undefined && ofSource === ofTarget) return true
  const isRead = source.info === undefined && target.info !== undefined && isForReading(source.stat, target.info)
  const bytes = isRead ? yield* read : undefined
  const ofRead = bytes === undefined ? [] : [{ algorithm: "md5" as const, digest: digestOf("md5", bytes) }]
  if (ofRead.some(({ digest }) => digest === ofTarget)) return true
  const looked = (side: "source" | "target", entry: Entry) =>
    entry.info === undefined || entry.info.metadata !== undefined ? Effect.succeed(entry) : look(side)
  const from = yield* looked("source", source)
  const to = yield* looked("target", target)
  if (from === undefined || to === undefined) return undefined
  const told = common(from.info?.checksums ?? ofRead, to.info?.checksums ?? [])
  return isAlike(from.stat, to.stat) && told?.a === told?.b
})

/** What was found of a target that is an object, as the facts that a decision rests on: its time says it. */
export const foundAs = (info: Info, { modifiedNanos }: Files.FileStat, isSame: boolean): Info => ({
  ...info,
  metadata: { ...info.metadata, mtime: secondsOf(isSame ? modifiedNanos : modifiedNanos + 1_000_000_000n) }
})
