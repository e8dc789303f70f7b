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
import type * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import { HashAlgorithm } from "../HashAlgorithm.ts"
import * as ResumableHasher from "../ResumableHasher.ts"
import type { Hashed } from "./fileHash.ts"
import { edition } from "./sameContent.ts"

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

/** Takes the bytes of a file from some offset on, and knows how long that has taken. */
class Run {
  readonly hasher: ResumableHasher.ResumableHasher
  bytes = 0
  readNanos = 0n
  hashNanos = 0n
  private readonly file: Files.OpenFile
  private readonly buffer = new Uint8Array(pieceBytes)
  private readonly clock: Clock.Clock

  constructor(file: Files.OpenFile, hasher: ResumableHasher.ResumableHasher, clock: Clock.Clock) {
    this.file = file
    this.hasher = hasher
    this.clock = clock
  }

  now(): bigint {
    return this.clock.monotonicTimeNanosUnsafe()
  }

  /** Reads and hashes a piece, and gives its length: 0 at the end of the file. */
  readonly piece: Effect.Effect<number, FilesError> = Effect.gen({ self: this }, function*() {
    const most = yield* TaskDispatcher.pieceBytes(pieceBytes)
    yield* TaskDispatcher.throttle(most)
    return yield* this.read(this.buffer.subarray(0, most))
  })

  private read(part: Uint8Array): Effect.Effect<number, FilesError> {
    const started = this.now()
    return Effect.map(this.file.readAt(part, this.bytes), (length) => {
      const read = this.now()
      this.hasher.update(part.subarray(0, length))
      this.bytes += length
      this.readNanos += read - started
      this.hashNanos += this.now() - read
      return length
    })
  }
}

/** Hashes the first part; tells whether reading it took so long that the rest is to be hashed by what can be saved. */
const isSlow = Effect.fnUntraced(function*(run: Run, { probeBytes, slowness }: Limits) {
  while (run.bytes < probeBytes && (yield* run.piece) > 0) yield* Interrupter.check
  return run.readNanos > BigInt(slowness) * run.hashNanos
})

/** Hashes up to the end, and saves how far it has come now and then, and before it stops. */
const toEnd = Effect.fnUntraced(function*(run: Run, save: Effect.Effect<void>, counted: number, everyMillis: number) {
  const everyNanos = BigInt(everyMillis) * 1_000_000n
  let savedAt = run.now()
  for (;;) {
    const length = yield* run.piece
    if (length === 0) return run.hasher.digest()
    yield* Progress.add("bytes", Math.max(0, Math.min(length, run.bytes - counted)))
    if (run.now() - savedAt >= everyNanos) {
      savedAt = run.now()
      yield* save
    }
    yield* Effect.tapError(Interrupter.check, () => save)
  }
})

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
  const limits = yield* Limits
  const run = new Run(file, yield* ResumableHasher.make(algorithm), yield* Clock.Clock)
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
      state: run.hasher.save()
    })
  )
  if (before !== undefined && before.edition === present && run.hasher.restore(before.state)) {
    run.bytes = before.bytes
  } else {
    if (!(yield* isSlow(run, limits))) return yield* quick(counted)
    yield* Progress.add("bytes", Math.max(0, run.bytes - counted))
    // What was read by now would be read quickly the next time.
    yield* save
  }
  const digest = yield* toEnd(run, save, counted, limits.everyMillis)
  return { digest, sizeBytes: run.bytes }
})
