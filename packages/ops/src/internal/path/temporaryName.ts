/**
 * Names the files and folders that a copy is written to before it is put in place.
 *
 * The name says whose it is: the job, and the owner of the job by the token of its lease. So whoever owns the job
 * next finds and removes what a killed process has left, and touches nothing else. It is always 48 bytes of ASCII:
 * it fits wherever the final name fits.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { isFolderAt, namesIn } from "./subfolders.ts"
import { isUnfinished } from "./unfinishedFolder.ts"

/** What a temporary name says. */
export interface TemporaryName {
  /** Hash of the job's identifier. */
  readonly job: string
  /** Token of the lease of the owner that made the name. */
  readonly token: number
}

const tokenDigits = 7
const targetDigits = 17
// Older versions had 14 digits for the target. A move of theirs may have put a source aside that is nowhere else.
const pattern = /^\.fanout-([0-9a-z]{14})-([0-9a-z]{7})-(?:[0-9a-z]{17}|[0-9a-z]{14})$/

const digits = "0123456789abcdefghijklmnopqrstuv"

/**
 * 85 bits of a target's path. Two that came to the same would be written to one file: so nobody who chooses names can
 * have that, as nobody knows the job before.
 */
const hashTarget = (job: JobId.JobId, target: FilePath.FilePath): string => {
  // Few commands have use for it, and it takes long to load.
  const crypto = process.getBuiltinModule("node:crypto")
  const digest = crypto.hash("sha256", Buffer.from(`${job} ${target}`, "utf16le"), "buffer")
  let text = ""
  for (const byte of digest.subarray(0, targetDigits)) text += digits[byte & 31]
  return text
}

/** 64 bits of a text, from two lanes that are mixed at the end (after cyrb53, by bryc). */
const hash = (text: string): string => {
  let [a, b] = [0xdeadbeef, 0x41c6ce57]
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 0x9e3779b1)
    b = Math.imul(b ^ code, 0x5f356495)
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35)
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  return [a, b].map((lane) => (lane >>> 0).toString(36).padStart(7, "0")).join("")
}

/** Creates the name, in the folder of the target, that the job's owner writes the target's content to. */
export const make = (job: JobId.JobId, token: number, target: FilePath.FilePath): FilePath.FilePath =>
  FilePath.fromLatin1(named(job, token, hashTarget(job, target)))

const named = (job: JobId.JobId, token: number, target: string): string =>
  `.fanout-${hash(job)}-${token.toString(36).padStart(tokenDigits, "0")}-${target}`

/** Checks whether an owner of the job has made the name for this target, of whichever version. */
export const isFor = (job: JobId.JobId, name: FilePath.FilePath, target: FilePath.FilePath): boolean =>
  Option.exists(
    parse(name),
    ({ token }) => [hashTarget(job, target), hash(target)].some((digits) => name === named(job, token, digits))
  )

/** Reads what a name says, if it is a temporary one. */
export const parse = (name: FilePath.FilePath): Option.Option<TemporaryName> => {
  const [, job, token] = pattern.exec(name) ?? []
  return job === undefined || token === undefined
    ? Option.none()
    : Option.some({ job, token: Number.parseInt(token, 36) })
}

/** Checks whether the name was made by an owner of this job; with `before`, by one before the owner with that token. */
export const isOf = (job: JobId.JobId, name: FilePath.FilePath, before = Number.POSITIVE_INFINITY): boolean =>
  Option.exists(parse(name), (found) => found.job === hash(job) && found.token < before)

const removeAll = Effect.fnUntraced(function*(folder: Files.Folder): Effect.fn.Return<void, FilesError> {
  const { folders, others } = yield* namesIn(folder)
  yield* Effect.forEach(others, (name) => folder.unlink(name), { discard: true })
  yield* Effect.forEach(folders, (name) => removeInner(folder, name), { discard: true })
})

const removeInner = Effect.fnUntraced(function*(parent: Files.Folder, name: FilePath.FilePath) {
  // It may have the mode of its source already, which may let nobody take anything out of it.
  yield* Effect.ignore((yield* parent.open(name)).setMode(0o700))
  yield* removeAll(yield* parent.folder(name))
  yield* parent.removeFolder(name)
}, Effect.scoped)

/**
 * Removes a folder that was filled under a temporary name, with all that is in it.
 *
 * It is known by its mode and its owner. Anything else that has the name by now was given that by somebody, and is left
 * unless it is empty.
 */
export const removeFolder: (
  parent: Files.Folder,
  name: FilePath.FilePath
) => Effect.Effect<void, FilesError, Files.Files> = Effect.fnUntraced(function*(parent, name) {
  const folder = yield* parent.folder(name)
  const user = yield* (yield* Files.Files).user
  if (isUnfinished(yield* folder.stat, user)) yield* removeAll(folder)
  yield* Effect.catchIf(parent.removeFolder(name), (error) => error.isNotEmpty, () => Effect.void)
}, Effect.scoped)

/**
 * Removes what owners of the job have left in the folder, and returns how many names that were. With `before`,
 * only what owners before that token left: the present owner's own may be in use.
 */
export const sweep = Effect.fnUntraced(function*(options: {
  readonly folder: Files.Folder
  readonly job: JobId.JobId
  readonly before?: number
}): Effect.fn.Return<number, FilesError | Interrupted, Files.Files> {
  const { before, folder, job } = options
  const listing = yield* folder.list
  let removed = 0
  for (let index = 0; index < listing.size; index++) {
    const name = listing.nameAt(index)
    if (!isOf(job, name, before)) continue
    yield* Lease.check
    const remove = Effect.flatMap(
      isFolderAt(folder, listing, index),
      (isFolder) => isFolder ? removeFolder(folder, name) : folder.unlink(name)
    )
    yield* Effect.catchIf(remove, (error) => error.isMissing, () => Effect.void)
    removed++
  }
  return removed
})
