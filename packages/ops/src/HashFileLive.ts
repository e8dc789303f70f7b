/**
 * Handler of the task `HashFile`.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { FilesError } from "./FilesError.ts"
import * as HashAlgorithms from "./HashAlgorithm.ts"
import type { HashAlgorithm } from "./HashAlgorithm.ts"
import * as HashCache from "./HashCache.ts"
import * as Hasher from "./Hasher.ts"
import { type Hashed, HashFailed, HashFile, type Method, ThreadTasks } from "./HashFile.ts"
import * as HugeContent from "./internal/hugeContent.ts"
import * as SampledHash from "./SampledHash.ts"
import { SkipReason } from "./SkipReason.ts"

const most = 2 ** 20

/** What a file is hashed with. */
interface Tools {
  readonly hasher: Hasher.Hasher
  readonly buffer: Uint8Array
}

/** Tools that are not in use: for a small file it takes longer to make them than to use them. */
const spare = new Map<HashAlgorithm, Array<Tools>>()

const takeTools = (algorithm: HashAlgorithm): Tools =>
  spare.get(algorithm)?.pop() ?? { hasher: Hasher.make(algorithm), buffer: new Uint8Array(most) }

/** Keeps tools for the next file. Those that were stopped on their way are left: they hold what they were given. */
const keepTools = (algorithm: HashAlgorithm, tools: Tools): void => {
  const own = spare.get(algorithm)
  if (own === undefined) spare.set(algorithm, [tools])
  else own.push(tools)
}

/**
 * Reads a file to its end, whatever its size is said to be: those of the kernel say 0. There are as few steps as can
 * be: of a small file they are most of what it takes. Of its bytes, so many as were counted before are not counted.
 */
const hashContent = (
  file: Files.OpenFile,
  stat: Files.FileStat,
  name: HashAlgorithm,
  counted = 0
): Effect.Effect<typeof Hashed.Type, FilesError | Interrupter.Interrupted> =>
  Effect.withFiber((fiber) => {
    const reporter = Context.get(fiber.context, Progress.Reporter)
    const tools = takeTools(name)
    const { buffer: into, hasher } = tools
    let sizeBytes = 0
    const read = (): Effect.Effect<typeof Hashed.Type, FilesError | Interrupter.Interrupted> =>
      Effect.flatMap(file.read(into), (length) => {
        if (length > 0) {
          hasher.update(length === into.length ? into : into.subarray(0, length))
          sizeBytes += length
          const fresh = Math.min(length, sizeBytes - counted)
          if (fresh > 0) reporter.addUnsafe("bytes", fresh)
        }
        // A read that does not fill the buffer has met the end, if that is where it should be.
        const isOver = length === 0 || (sizeBytes === stat.sizeBytes && length < into.length)
        if (!isOver) return Effect.flatMap(Interrupter.check, read)
        const digest = hasher.digest()
        keepTools(name, tools)
        return Effect.succeed({ _tag: "Hashed", digest, sizeBytes })
      })
    return read()
  })

/** Hashes what is open, in a way that suits its size. */
const hashAny = (file: Files.OpenFile, stat: Files.FileStat, algorithm: HashAlgorithm) =>
  Effect.flatMap(HugeContent.Limits, ({ minBytes }) =>
    stat.sizeBytes < minBytes
      ? hashContent(file, stat, algorithm)
      : HugeContent.hash(file, stat, algorithm, (counted) => hashContent(file, stat, algorithm, counted)))

/** Whether a file is what it was when it was opened. Nothing is known of one that the kernel makes up. */
const isSame = (before: Files.FileStat, after: Files.FileStat, sizeBytes: number): boolean =>
  before.modifiedNanos === after.modifiedNanos && before.sizeBytes === after.sizeBytes &&
  (before.sizeBytes === 0 || before.sizeBytes === sizeBytes)

const changed = (path: FilePath.FilePath) =>
  new HashFailed({ code: "Changed", path, why: `"${FilePath.display(path)}" changed while it was read` })

/** Hashes what is open, and sees whether it stayed the same. The stamp is for a digest of all that it was. */
const hashOpen = (
  file: Files.OpenFile,
  before: Files.FileStat,
  path: FilePath.FilePath,
  algorithm: HashAlgorithm,
  stamp?: HashCache.Stamp
) =>
  Effect.flatMap(hashAny(file, before, algorithm), (hashed) =>
    Effect.flatMap(
      file.stat,
      (after): Effect.Effect<typeof Hashed.Type, HashFailed> => {
        if (!isSame(before, after, hashed.sizeBytes)) return Effect.fail(changed(path))
        const isAsStamped = after.changedNanos === before.changedNanos && hashed.sizeBytes === before.sizeBytes
        return Effect.succeed(stamp !== undefined && isAsStamped ? { ...hashed, stamp } : hashed)
      }
    ))

/** Takes the digest of what is open from the cache, and else hashes it and has its digest remembered. */
const hashCached = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  stat: Files.FileStat,
  path: FilePath.FilePath,
  algorithm: HashAlgorithm
) {
  const cache = yield* HashCache.HashCache
  const now = yield* Clock.currentTimeMillis
  // Asked of each file: a device is another's as soon as a disk was plugged out and the next one in.
  const fileSystem = yield* Effect.orElseSucceed(file.fileSystem, () => Option.none())
  if (Option.isNone(fileSystem)) return yield* hashOpen(file, stat, path, algorithm)
  const stamp = HashCache.stampOf(fileSystem.value, stat)
  const found = yield* cache.find(algorithm, stamp)
  if (Option.isNone(found)) {
    return yield* hashOpen(file, stat, path, algorithm, HashCache.isSettled(stat, now) ? stamp : undefined)
  }
  yield* Progress.add("cached", 1)
  const hashed = { _tag: "Hashed", digest: found.value.digest, sizeBytes: stat.sizeBytes } as const
  return HashCache.isAged(found.value, now) ? { ...hashed, stamp } : hashed
})

/** Opens what a walk has met, which was a file, and uses it. */
const withMet = <A, E, R>(
  path: FilePath.FilePath,
  use: (file: Files.OpenFile, stat: Files.FileStat) => Effect.Effect<A, E, R>
) =>
  Effect.scoped(Effect.flatMap(Files.Files, (files) =>
    Effect.flatMap(files.open(path), (file) =>
      Effect.flatMap(
        file.stat,
        (stat): Effect.Effect<A, E | Task.Skipped, R> =>
          stat.kind === "file" ? use(file, stat) : Task.skip(SkipReason.Special)
      ))))

const hashWhole = (path: FilePath.FilePath, { algorithm, cache }: typeof Method.cases.Whole.Type) =>
  withMet(
    path,
    (file, stat) => cache === true ? hashCached(file, stat, path, algorithm) : hashOpen(file, stat, path, algorithm)
  )

const hashSampled = (path: FilePath.FilePath) =>
  withMet(path, (file, stat) =>
    Effect.gen(function*() {
      const tools = takeTools("blake3")
      const { sizeBytes } = stat
      const contentId = yield* SampledHash.compute(
        tools.hasher,
        sizeBytes,
        (buffer, offset) => Effect.tap(file.readAt(buffer, offset), (length) => Progress.add("bytes", length))
      )
      if (Option.isNone(contentId)) return yield* changed(path)
      keepTools("blake3", tools)
      return isSame(stat, yield* file.stat, sizeBytes)
        ? { _tag: "Sampled", contentId: contentId.value, sizeBytes } as const
        : yield* changed(path)
    }))

/** Opens what a name leads to: most lead through no links, so it is tried first whether this one does. */
const openFollowing = (files: Files.Files["Service"], path: FilePath.FilePath) =>
  Effect.catchIf(
    files.open(path),
    ({ code }) => code === "ELOOP" || code === "ENOTDIR",
    () => Effect.flatMap(files.realPath(path), files.open)
  )

/** Hashes what a name leads to, unless that was done: a run before this one was at one of those that come later. */
const hashNamed = Effect.fnUntraced(function*(
  path: FilePath.FilePath,
  algorithm: HashAlgorithm,
  later: ReadonlyArray<HashAlgorithm>
) {
  const file = yield* openFollowing(yield* Files.Files, path)
  const stat = yield* file.stat
  if (stat.kind !== "file") {
    const what = stat.kind === "folder" ? "a folder" : "no file"
    return yield* new HashFailed({ code: "NoFile", path, why: `"${FilePath.display(path)}" is ${what}` })
  }
  if (later.length > 0 && (yield* HugeContent.isAt(stat, later))) return undefined
  return yield* hashOpen(file, stat, path, algorithm)
}, Effect.scoped)

/** Reads a file once for each algorithm that it may be: mostly the first one is right. */
const check = Effect.fnUntraced(
  function*(path: FilePath.FilePath, { algorithms, digest }: typeof Method.cases.Check.Type) {
    for (const [index, algorithm] of algorithms.entries()) {
      const hashed = yield* hashNamed(path, algorithm, algorithms.slice(index + 1))
      if (hashed?.digest === digest) return { _tag: "Matched", algorithm, sizeBytes: hashed.sizeBytes } as const
    }
    const by = algorithms.map(HashAlgorithms.tag).join(" or ")
    const why = `"${FilePath.display(path)}" has another ${by} digest`
    return yield* new HashFailed({ code: "Different", path, why })
  }
)

const failed = (error: FilesError): HashFailed =>
  new HashFailed({ code: error.code, path: error.path, why: error.message })

/** What a walk has met and is gone by now has vanished. */
const skippingMissing = <A, E, R>(effect: Effect.Effect<A, E | FilesError, R>) =>
  Effect.catchIf(
    effect,
    (error) => error instanceof FilesError,
    (error): Effect.Effect<never, HashFailed | Task.Skipped> =>
      error.isMissing ? Task.skip(SkipReason.Vanished) : Effect.fail(failed(error))
  )

const run = (
  { method, path }: Task.Payload<typeof HashFile>
): Effect.Effect<
  Task.Success<typeof HashFile>,
  HashFailed | Interrupter.Interrupted | Task.Skipped,
  Files.Files
> => {
  switch (method._tag) {
    case "Whole":
      return skippingMissing(hashWhole(path, method))
    case "Sampled":
      return skippingMissing(hashSampled(path))
    case "Check":
      return Effect.catchTag(check(path, method), "FilesError", (error) => Effect.fail(failed(error)))
  }
}

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof HashFile>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.gen(function*() {
    const files = yield* Files.Files
    const cache = yield* HashCache.HashCache
    const context = Context.make(Files.Files, files).pipe(
      Context.add(HashCache.HashCache, cache),
      Context.add(HugeContent.Limits, yield* HugeContent.Limits)
    )
    return {
      [HashFile._tag]: (payload: Task.Payload<typeof HashFile>) => Effect.provideContext(run(payload), context)
    }
  })
)
