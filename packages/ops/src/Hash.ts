/**
 * Job: hashes files and trees, durably.
 *
 * Every file of the walk has a number, which is in its cursor. What files came to is stored as it ends, in any order;
 * `HashRows` puts it back into the order of the walk.
 *
 * @since 0.1.0
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as FileTree from "./FileTree.ts"
import * as HashAlgorithm from "./HashAlgorithm.ts"
import { type Entry, HashCache } from "./HashCache.ts"
import * as HashCursor from "./HashCursor.ts"
import { HashFile, Method } from "./HashFile.ts"
import * as QuickFiles from "./QuickFiles.ts"
import { SkipReason } from "./SkipReason.ts"
import * as TemporaryName from "./TemporaryName.ts"

/**
 * Schema for what is to be hashed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Payload = Schema.Struct({
  /** Files and folders, absolute and without links. Links in folders are passed over. */
  sources: Schema.NonEmptyArray(FilePath.FilePath),
  /** `"sampled"` for content ids, which are no checksums. */
  algorithm: Schema.Union([HashAlgorithm.HashAlgorithm, Schema.Literal("sampled")]),
  /** Files that are not read: those of the job's own database. Without links above their names. */
  leaveOut: Schema.Array(FilePath.FilePath),
  /** Where what is hashed is written to, if that is inside of a source: it is not read either. Without links. */
  output: Schema.optionalKey(FilePath.FilePath),
  /** Whether what has not changed since it was hashed is not read again, by the `HashCache`. Samples are not kept. */
  cache: Schema.optionalKey(Schema.Boolean)
})

/**
 * What is to be hashed.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = typeof Payload.Type

/**
 * The job. Its success is how many files came to what; digests are in its rows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const job = Job.make("hash", {
  payload: Payload,
  success: Progress.Tally,
  idempotencyKey: ({ algorithm, cache, output, sources }) =>
    JSON.stringify([sources, algorithm, output ?? null, ...cache === true ? ["cache"] : []])
})

/**
 * Works out what to hash: where links lead that were named, and whether the output is in there. What can't be found
 * stays as it is, and fails then.
 *
 * @category running
 * @since 0.1.0
 */
export const plan = (
  { output, sources, ...rest }: Payload
): Effect.Effect<Payload, never, Files.Files> =>
  Effect.gen(function*() {
    const files = yield* Files.Files
    const real = yield* Effect.forEach(sources, (path) => Effect.orElseSucceed(files.realPath(path), () => path))
    const isInside = output !== undefined && real.some((source) => FilePath.isWithin(output, source))
    return { ...rest, sources: real, ...(isInside ? { output } : {}) }
  })

/**
 * Name of the fan-out whose rows have the digests.
 *
 * @category models
 * @since 0.1.0
 */
export const fanOutName = "files"

type Element = FanOut.Element<Task.Payload<typeof HashFile>>

/** Files and endings in the order of the walk; folders and links in them are passed over. */
const elements = (
  id: JobId,
  { algorithm, cache, leaveOut, output, sources }: Payload,
  after: Option.Option<string>
) => {
  const left = new Set(leaveOut)
  const method = algorithm === "sampled" ? Method.cases.Sampled.make({}) : Method.cases.Whole.make({
    algorithm,
    ...cache === true ? { cache } : {}
  })
  const place = Option.map(after, HashCursor.placeOf)
  const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => HashCursor.numberOf(cursor) + 1 })
  const elementOf = (number: number, element: FileTree.Element): Element | undefined => {
    const { path: inside, source } = element
    const path = inside === "" ? sources[source] ?? inside : FilePath.join(sources[source] ?? inside, inside)
    const cursor = HashCursor.format(number, element.cursor)
    const skipped = (reason: string): Element => ({
      _tag: "Settled",
      cursor,
      key: FilePath.display(path),
      outcome: { _tag: "Skipped", reason, count: 1 }
    })
    switch (element._tag) {
      case "Open":
      case "Close":
        return undefined
      case "Leaf":
        if (element.kind === "special") return skipped(SkipReason.Special)
        if (element.kind === "link") return undefined
        if (left.has(path)) return skipped(SkipReason.Database)
        if (output !== undefined && (path === output || TemporaryName.isOf(id, FilePath.name(path)))) {
          return skipped(SkipReason.Output)
        }
        return { _tag: "Item", cursor, payload: { path, method } }
      case "Unreadable": {
        const { code, isMissing, message } = element.error
        if (isMissing && inside !== "") return skipped(SkipReason.Vanished)
        const failure = { _tag: "Error", error: { code }, message } as const
        return { _tag: "Settled", cursor, key: FilePath.display(path), outcome: { _tag: "Failed", failure } }
      }
    }
  }
  return QuickFiles.walking(sources, FileTree.walk({ sources, after: place })).pipe(
    Stream.mapAccum(() => first, (number, element) => {
      const next = elementOf(number, element)
      return next === undefined ? [number, []] : [number + 1, [next]]
    })
  )
}

type Ended = FanOut.Ended<Task.Payload<typeof HashFile>, Task.Success<typeof HashFile>>

/** What is to be remembered of what has ended. */
const entriesOf = (ended: ReadonlyArray<Ended>): ReadonlyArray<Entry> =>
  ended.flatMap(({ payload, value }) => {
    if (Option.isNone(payload) || Option.isNone(value)) return []
    const [{ method }, hashed] = [payload.value, value.value]
    if (method._tag !== "Whole" || hashed._tag !== "Hashed" || hashed.stamp === undefined) return []
    return [{ algorithm: method.algorithm, digest: hashed.digest, ...hashed.stamp }]
  })

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 * @since 0.1.0
 */
export const program = Effect.fnUntraced(function*(payload: Payload) {
  const { fanOut } = yield* TaskDispatcher
  const { id } = yield* JobContext
  const cache = yield* HashCache
  const source = (after: Option.Option<string>) => elements(id, payload, after)
  const options = { keep: "all", concurrency: 256, flushEvery: 256 } as const
  const remember = (ended: ReadonlyArray<Ended>) => {
    const entries = entriesOf(ended)
    return Arr.isReadonlyArrayNonEmpty(entries) ? cache.remember(entries) : Effect.void
  }
  const hashing = payload.cache === true
    ? cache.recording(fanOut(fanOutName, HashFile, source, { ...options, onCommit: remember }))
    : fanOut(fanOutName, HashFile, source, options)
  return yield* hashing
    // It collects failures, so it never gives up.
    .pipe(Effect.catchTag("FanOutStopped", Effect.die))
})

/**
 * Layer that supplies the job's program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Job.ToHandler<typeof job>, never, Files.Files | Task.Handler<typeof HashFile>> = job
  .toLayer(program)
