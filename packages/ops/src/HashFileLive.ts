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
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import type * as HashAlgorithm from "./HashAlgorithm.ts"
import * as Hasher from "./Hasher.ts"
import { HashFailed, HashFile, ThreadTasks } from "./HashFile.ts"
import { SkipReason } from "./SkipReason.ts"

const most = 2 ** 20

/** Buffers that are not in use: to fill a new one with zeros takes longer than to read a file into it. */
const spare: Array<Uint8Array> = []
const buffer = Effect.acquireRelease(
  Effect.sync(() => spare.pop() ?? new Uint8Array(most)),
  (buffer) => Effect.sync(() => void spare.push(buffer))
)

/** Reads a file to its end, whatever its size is said to be: those of the kernel say 0. */
const hashContent = Effect.fnUntraced(
  function*(file: Files.OpenFile, stat: Files.FileStat, name: HashAlgorithm.HashAlgorithm) {
    const hasher = Hasher.make(name)
    const into = yield* buffer
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

const hash = Effect.fnUntraced(function*({ algorithm, path }: Task.Payload<typeof HashFile>) {
  const files = yield* Files.Files
  const file = yield* files.open(path)
  const before = yield* file.stat
  if (before.kind !== "file") return yield* Task.skip(SkipReason.Special)
  const hashed = yield* hashContent(file, before, algorithm)
  if (isSame(before, yield* file.stat, hashed.sizeBytes)) return hashed
  const why = `"${FilePath.display(path)}" changed while it was read`
  return yield* new HashFailed({ code: "Changed", path, why })
}, Effect.scoped)

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof HashFile>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [HashFile._tag]: (payload: Task.Payload<typeof HashFile>) =>
      hash(payload).pipe(
        Effect.provideService(Files.Files, files),
        Effect.catchTag("FilesError", (error): Effect.Effect<never, HashFailed | Task.Skipped> =>
          error.isMissing
            ? Task.skip(SkipReason.Vanished)
            : Effect.fail(new HashFailed({ code: error.code, path: error.path, why: error.message })))
      )
  }))
)
