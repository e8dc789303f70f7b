/**
 * Sees whether a file has the digest that it is to have.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import * as HashAlgorithms from "../HashAlgorithm.ts"
import type { HashAlgorithm } from "../HashAlgorithm.ts"
import { CheckFailed, type CheckFile } from "../HashTask.ts"
import { hashOpen } from "./fileHash.ts"
import * as HugeContent from "./hugeContent.ts"

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
    return yield* new CheckFailed({ code: "NoFile", path, why: `"${FilePath.display(path)}" is ${what}` })
  }
  if (later.length > 0 && (yield* HugeContent.isAt(stat, later))) return undefined
  const { hashed } = yield* hashOpen(file, stat, algorithm)
  if (hashed !== undefined) return hashed
  return yield* new CheckFailed({ code: "Changed", path, why: `"${FilePath.display(path)}" changed while it was read` })
}, Effect.scoped)

/** Reads a file once for each algorithm that it may be: mostly the first one is right. */
const check = Effect.fnUntraced(function*({ algorithms, digest, path }: Task.Payload<typeof CheckFile>) {
  for (const [index, algorithm] of algorithms.entries()) {
    const hashed = yield* hashNamed(path, algorithm, algorithms.slice(index + 1))
    if (hashed?.digest === digest) return { _tag: "Matched", algorithm, sizeBytes: hashed.sizeBytes } as const
  }
  const by = algorithms.map(HashAlgorithms.tag).join(" or ")
  return yield* new CheckFailed({
    code: "Different",
    path,
    why: `"${FilePath.display(path)}" has another ${by} digest`
  })
})

export const checkFile = (
  payload: Task.Payload<typeof CheckFile>
): Effect.Effect<Task.Success<typeof CheckFile>, CheckFailed | Interrupted, Files.Files> =>
  Effect.catchTag(
    check(payload),
    "FilesError",
    ({ code, message, path }) => Effect.fail(new CheckFailed({ code, path, why: message }))
  )
