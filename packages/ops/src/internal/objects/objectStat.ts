/**
 * What an object tells of a file, and a file leaves at its object: time and mode, as rclone writes them.
 */
import { createHash } from "node:crypto"
import type { CopyOptions } from "../../CopyOptions.ts"
import type * as Files from "../../Files.ts"
import type { ListedObject, ObjectInfo, WriteOptions } from "../../ObjectStore.ts"
import { contentTypeOf } from "../cloud/contentType.ts"
import type { Aspect } from "../verify/metadataComparison.ts"

/** What is known of an object: by a listing, or by itself. */
export type Info = ListedObject & Partial<Pick<ObjectInfo, "metadata" | "attributes" | "checksums">>

/** Name in the metadata of an object, of a random word. Whoever has lost an answer finds its own object by that. */
export const nonceName = "fanout-upload"

/** Metadata that files have in their own way, or need not have: rclone adds a checksum of the content. */
const ofFiles: ReadonlySet<string> = new Set(["mtime", "mode", nonceName, "md5chksum"])

/** Whether the listings of two objects of one size tell that they have the same content. Some tell no ETag. */
export const haveOneEtag = (a: Info, b: Info): boolean => a.etag !== "" && a.etag === b.etag

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

/** Rights alone: a bucket lends nobody the rights of its reader. */
const modeOf = (octal: string | undefined): number | undefined =>
  octal !== undefined && /^[0-7]{3,7}$/.test(octal) ? Number.parseInt(octal, 8) & 0o777 : undefined

const millisToNanos = (millis: number): bigint => BigInt(Math.round(millis)) * 1_000_000n

/** When the store has put an object in its place. */
const storedNanos = ({ storedMillis }: Pick<ListedObject, "storedMillis">): bigint => millisToNanos(storedMillis)

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
    changedNanos: storedNanos(info)
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

/** What is known of an object that has the time of a file. */
export const withTimeOf = (info: Info, { modifiedNanos }: Files.FileStat): Info => ({
  ...info,
  metadata: { mtime: secondsOf(modifiedNanos) }
})

/** As long a file may have been on its way to its object, by clocks that differ. */
const sendingNanos = 300_000_000_000n

/**
 * Whether a file has the size of an object, and did not change since that was sent: so nobody asks for its time. What
 * has changed shortly before the object was stored may have changed on its way there.
 */
export const isSettledByListing = (file: Files.FileStat, info: Info): boolean =>
  file.sizeBytes === info.sizeBytes && file.changedNanos + sendingNanos < storedNanos(info)
