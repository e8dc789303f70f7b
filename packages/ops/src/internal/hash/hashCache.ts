/**
 * Remembers the digests of files, so that what has not changed need not be read again.
 *
 * A file is known by its file system and inode, and is as it was while size, modification time and change time are the
 * same: nobody can set the last of these. All of it is looked up on the thread that has the file open, and what is new
 * is remembered in the transaction that records it.
 */
import type { JobStoreError } from "@fanout/core/JobStoreError"
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { FileStat } from "../../Files.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"

/** Schema for what a digest is remembered by. */
export const Stamp = Schema.Struct({
  /** File system and inode. */
  file: Schema.String,
  /** Size, modification time and change time. */
  state: Schema.String
})
export type Stamp = typeof Stamp.Type

/** Digest of one file, as it is remembered: one for each file and algorithm, the last one. */
export interface Entry extends Stamp {
  readonly algorithm: HashAlgorithm
  /** In hexadecimal digits, lower case. */
  readonly digest: string
}

/** Digest that was found. */
export interface Found {
  readonly digest: string
  /** When it was remembered last, in milliseconds since the epoch. */
  readonly usedAt: number
}

/** How long nobody has to have used an entry before it may be forgotten. */
const keptDays = 90

const dayMillis = 86_400_000

/** Until when an entry must have been used to be kept. */
export const keptSince = (nowMillis: number): number => nowMillis - keptDays * dayMillis

/**
 * Whether an entry that was found is to be remembered again, so that it is known to be in use: once a day is enough.
 */
export const isAged = ({ usedAt }: Found, nowMillis: number): boolean => nowMillis - usedAt >= dayMillis

/** Says what the digest of a file is remembered by. */
export const stampOf = (fileSystem: string, stat: FileStat): Stamp => ({
  file: `${fileSystem}-${stat.inode.toString(36)}`,
  state: [stat.sizeBytes, stat.modifiedNanos, stat.changedNanos].map((part) => part.toString(36)).join("-")
})

// Git calls an entry of its index racily clean whose file may have changed within the same tick of the clock after it
// was looked at (its `racy-git` page), and compares the content then. The coarsest clock of a file system that is named
// here is that of ext with inodes of 128 bytes, a second; this is twice that.
const settledNanos = 2_000_000_000n

/** Whether what is written to a file from now on is sure to change its times, so that its digest can be remembered. */
export const isSettled = ({ changedNanos, modifiedNanos }: FileStat, nowMillis: number): boolean => {
  const until = BigInt(Math.floor(nowMillis)) * 1_000_000n - settledNanos
  return changedNanos <= until && modifiedNanos <= until
}

/** What remembers digests. */
export interface HashCache {
  /** Digest of a file that is in this state. What can't be looked up is not found: a cache only saves time. */
  readonly find: (algorithm: HashAlgorithm, stamp: Stamp) => Effect.Effect<Option.Option<Found>>

  /** Remembers digests, in the place of older ones of the same files. Within `recording`, in a fan-out's `onCommit`. */
  readonly remember: (entries: Arr.NonEmptyReadonlyArray<Entry>) => Effect.Effect<void, JobStoreError>

  /** Runs a fan-out that remembers digests, and then forgets what nobody has used for `keptDays`. */
  readonly recording: <A, E, R>(fanOut: Effect.Effect<A, E, R>) => Effect.Effect<A, E | JobStoreError, R>
}

const refuse = Effect.die(
  new Error("Digests are to be remembered, and nothing does so: provide SqlHashCache.layer, or FileJobs.layer")
)

/**
 * Reference to what remembers digests; a job with `cache` is refused where no layer supplies it.
 *
 * Tasks need `find`, and the job the rest: on threads the two have caches of their own, on the same database.
 */
export const HashCache: Context.Reference<HashCache> = Context.Reference<HashCache>("@fanout/ops/HashCache", {
  defaultValue: () => ({ find: () => refuse, remember: () => refuse, recording: () => refuse })
})
