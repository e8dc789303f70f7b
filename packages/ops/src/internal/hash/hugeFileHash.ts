/**
 * Hashes a huge file so that it goes on where it was stopped, where that costs next to nothing.
 *
 * Only a hasher that is several times slower than the usual one can be saved. Where content comes more slowly still,
 * from a disk or a network, nobody waits for it; so a first part is read to see which of the two takes longer.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { HashAlgorithm } from "../../HashAlgorithm.ts"
import { edition } from "../files/statComparison.ts"
import type { Hashed } from "./fileHash.ts"
import * as ResumableHasher from "./resumableHasher.ts"

const pieceBytes = 2 ** 20

/** What is worth how much. */
interface Limits {
  /** Smaller files start over: what is lost is seconds, even on a slow disk. */
  readonly minBytes: number
  /** How much is read to see how fast it comes, and then, if it comes fast, once more. */
  readonly probeBytes: number
  /** How many times as long as hashing reading has to take. The file takes as much longer as one part of these. */
  readonly slowness: number
  /** How much time may be lost. */
  readonly everyMillis: number
}

export const Limits = Context.Reference<Limits>("@fanout/ops/internal/hugeContent", {
  defaultValue: () => ({ minBytes: 2 ** 30, probeBytes: 2 ** 24, slowness: 3, everyMillis: 5000 })
})

/** How far a file was hashed by which algorithm, what it is known by, and the hasher that has taken the bytes. */
const Saved = Schema.Struct({
  algorithm: HashAlgorithm,
  edition: Schema.String,
  bytes: Schema.Natural,
  /** How many bytes of whatever was there were counted: more, where it was another file before. */
  counted: Schema.Natural,
  state: ResumableHasher.HasherState
})
const saved = TaskCheckpoint.make(Saved)

/** Whether a run before this one was already at one of these algorithms with what is open. */
export const isAt = (
  stat: Files.FileStat,
  algorithms: ReadonlyArray<HashAlgorithm>
): Effect.Effect<boolean> =>
  Effect.map(
    saved.get,
    Option.exists(({ algorithm, edition: before }) => algorithms.includes(algorithm) && before === edition(stat))
  )

/**
 * Hashes what is open, or goes on with it where it is what it was. Where its content comes so fast that to start over
 * costs less, `quick` hashes it, which is given how many of its bytes were counted before.
 */
export const hash = Effect.fnUntraced(function*<R>(
  file: Files.OpenFile,
  stat: Files.FileStat,
  algorithm: HashAlgorithm,
  quick: (counted: number) => Effect.Effect<Hashed, FilesError | Interrupter.Interrupted, R>
): Effect.fn.Return<Hashed, FilesError | Interrupter.Interrupted, R> {
  const { everyMillis, probeBytes, slowness } = yield* Limits
  const clock = yield* Clock.Clock
  const now = () => clock.monotonicTimeNanosUnsafe()
  const hasher = yield* ResumableHasher.make(algorithm)
  const buffer = new Uint8Array(pieceBytes)
  const run = { bytes: 0, readNanos: 0n, hashNanos: 0n }
  /** Reads and hashes the next piece, and gives its length: 0 at the end of the file. */
  const piece = Effect.gen(function*() {
    const most = yield* TaskDispatcher.pieceBytes(pieceBytes)
    yield* TaskDispatcher.throttle(most)
    const started = now()
    const length = yield* file.readAt(buffer.subarray(0, most), run.bytes)
    const read = now()
    hasher.update(buffer.subarray(0, length))
    run.bytes += length
    run.readNanos += read - started
    run.hashNanos += now() - read
    return length
  })
  const present = edition(stat)
  // Where several are tried, what was saved may be another one's.
  const before = Option.getOrUndefined(Option.filter(yield* saved.get, (before) => before.algorithm === algorithm))
  const counted = before?.counted ?? 0
  const save = Effect.suspend(() =>
    saved.save({
      algorithm,
      edition: present,
      bytes: run.bytes,
      counted: Math.max(counted, run.bytes),
      state: hasher.save()
    })
  )
  if (before !== undefined && before.edition === present && hasher.restore(before.state)) {
    run.bytes = before.bytes
  } else {
    while (run.bytes < probeBytes && (yield* piece) > 0) yield* Interrupter.check
    if (run.readNanos <= BigInt(slowness) * run.hashNanos) return yield* quick(counted)
    yield* Progress.add("bytes", Math.max(0, run.bytes - counted))
    // What was read by now would be read quickly the next time.
    yield* save
  }
  let savedAt = now()
  for (;;) {
    const length = yield* piece
    if (length === 0) return { digest: hasher.digest(), sizeBytes: run.bytes }
    yield* Progress.add("bytes", Math.max(0, Math.min(length, run.bytes - counted)))
    if (now() - savedAt >= BigInt(everyMillis) * 1_000_000n) {
      savedAt = now()
      yield* save
    }
    yield* Effect.tapError(Interrupter.check, () => save)
  }
})
