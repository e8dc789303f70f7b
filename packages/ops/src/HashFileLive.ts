/**
 * Handler of the task `HashFile`.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { FilesError } from "./FilesError.ts"
import * as HashAlgorithms from "./HashAlgorithm.ts"
import type { HashAlgorithm } from "./HashAlgorithm.ts"
import * as Hasher from "./Hasher.ts"
import { HashFailed, HashFile, type Method, ThreadTasks } from "./HashFile.ts"
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

const takeTools = (algorithm: HashAlgorithm) =>
  Effect.acquireRelease(
    Effect.sync(() => spare.get(algorithm)?.pop() ?? { hasher: Hasher.make(algorithm), buffer: new Uint8Array(most) }),
    // A hasher that was stopped on its way still holds what it was given.
    (tools, exit) =>
      Effect.sync(() => {
        if (exit._tag !== "Success") return
        const own = spare.get(algorithm)
        if (own === undefined) spare.set(algorithm, [tools])
        else own.push(tools)
      })
  )

/** Reads a file to its end, whatever its size is said to be: those of the kernel say 0. */
const hashContent = Effect.fnUntraced(
  function*(file: Files.OpenFile, stat: Files.FileStat, name: HashAlgorithm) {
    const { buffer: into, hasher } = yield* takeTools(name)
    let sizeBytes = 0
    for (;;) {
      const length = yield* file.read(into)
      if (length > 0) {
        hasher.update(length === into.length ? into : into.subarray(0, length))
        sizeBytes += length
        yield* Progress.add("bytes", length)
      }
      // A read that does not fill the buffer has met the end, if that is where it should be.
      if (length === 0 || (sizeBytes === stat.sizeBytes && length < into.length)) break
      yield* Interrupter.check
    }
    return { _tag: "Hashed", digest: hasher.digest(), sizeBytes } as const
  }
)

/** Whether a file is what it was when it was opened. Nothing is known of one that the kernel makes up. */
const isSame = (before: Files.FileStat, after: Files.FileStat, sizeBytes: number): boolean =>
  before.modifiedNanos === after.modifiedNanos && before.sizeBytes === after.sizeBytes &&
  (before.sizeBytes === 0 || before.sizeBytes === sizeBytes)

const changed = (path: FilePath.FilePath) =>
  new HashFailed({ code: "Changed", path, why: `"${FilePath.display(path)}" changed while it was read` })

/** Hashes what is open, and sees whether it stayed the same. */
const hashOpen = Effect.fnUntraced(function*(
  file: Files.OpenFile,
  before: Files.FileStat,
  path: FilePath.FilePath,
  algorithm: HashAlgorithm
) {
  const hashed = yield* hashContent(file, before, algorithm)
  return isSame(before, yield* file.stat, hashed.sizeBytes) ? hashed : yield* changed(path)
})

/** Opens what a walk has met, which was a file. */
const openMet = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const files = yield* Files.Files
  const file = yield* files.open(path)
  const stat = yield* file.stat
  return stat.kind === "file" ? { file, stat } : yield* Task.skip(SkipReason.Special)
})

const hashWhole = Effect.fnUntraced(function*(path: FilePath.FilePath, algorithm: HashAlgorithm) {
  const { file, stat } = yield* openMet(path)
  return yield* hashOpen(file, stat, path, algorithm)
}, Effect.scoped)

const hashSampled = Effect.fnUntraced(function*(path: FilePath.FilePath) {
  const { file, stat } = yield* openMet(path)
  const { hasher } = yield* takeTools("blake3")
  const { sizeBytes } = stat
  const contentId = yield* SampledHash.compute(
    hasher,
    sizeBytes,
    (buffer, offset) => Effect.tap(file.readAt(buffer, offset), (length) => Progress.add("bytes", length))
  )
  return Option.isSome(contentId) && isSame(stat, yield* file.stat, sizeBytes)
    ? { _tag: "Sampled", contentId: contentId.value, sizeBytes } as const
    : yield* changed(path)
}, Effect.scoped)

/** Opens what a name leads to: most are no links, so it is tried first whether this one is. */
const openFollowing = (files: Files.Files["Service"], path: FilePath.FilePath) =>
  Effect.catchIf(
    files.open(path),
    ({ code }) => code === "ELOOP",
    () => Effect.flatMap(files.realPath(path), files.open)
  )

const hashNamed = Effect.fnUntraced(function*(path: FilePath.FilePath, algorithm: HashAlgorithm) {
  const file = yield* openFollowing(yield* Files.Files, path)
  const stat = yield* file.stat
  if (stat.kind !== "file") {
    const what = stat.kind === "folder" ? "a folder" : "no file"
    return yield* new HashFailed({ code: "NoFile", path, why: `"${FilePath.display(path)}" is ${what}` })
  }
  return yield* hashOpen(file, stat, path, algorithm)
}, Effect.scoped)

/** Reads a file once for each algorithm that it may be: mostly the first one is right. */
const check = Effect.fnUntraced(
  function*(path: FilePath.FilePath, { algorithms, digest }: typeof Method.cases.Check.Type) {
    for (const algorithm of algorithms) {
      const hashed = yield* hashNamed(path, algorithm)
      if (hashed.digest === digest) return { _tag: "Matched", algorithm, sizeBytes: hashed.sizeBytes } as const
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
      return skippingMissing(hashWhole(path, method.algorithm))
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
  Effect.map(Files.Files, (files) => ({
    [HashFile._tag]: (payload: Task.Payload<typeof HashFile>) => Effect.provideService(run(payload), Files.Files, files)
  }))
)
