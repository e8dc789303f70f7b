/**
 * Sees whether a file has the digest that it is to have.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import * as HashAlgorithms from "../HashAlgorithm.ts"
import type { HashAlgorithm } from "../HashAlgorithm.ts"
import { CheckFailed, type CheckFile } from "../HashTask.ts"
import * as ProtectedFiles from "../ProtectedFiles.ts"
import { SkipReason } from "../SkipReason.ts"
import { hashOpen } from "./fileHash.ts"
import * as HugeContent from "./hugeContent.ts"

type Payload = Task.Payload<typeof CheckFile>

const ofDatabase = (path: FilePath.FilePath) =>
  new CheckFailed({
    code: "Database",
    path,
    why: `"${FilePath.display(path)}" is not read: ${SkipReason.Database}`
  })

/**
 * Opens what a name leads to, unless it belongs to the database. Most lead through no links, so it is tried first
 * whether this one does.
 */
const openFollowing = (
  files: Files.Files["Service"],
  path: FilePath.FilePath,
  { paths }: ProtectedFiles.ProtectedFiles
): Effect.Effect<Files.OpenFile, FilesError | CheckFailed, Scope.Scope> => {
  const follow = Effect.gen(function*() {
    const real = yield* files.realPath(path)
    return paths.has(real) ? yield* ofDatabase(path) : yield* files.open(real)
  })
  // What is called like one of its files may be that, also by a path with dots in it.
  const name = FilePath.name(path)
  for (const one of paths.keys()) if (FilePath.name(one) === name) return follow
  return Effect.catchIf(files.open(path), ({ code }) => code === "ELOOP" || code === "ENOTDIR", () => follow)
}

/** Hashes what a name leads to, unless that was done: a run before this one was at one of those that come later. */
const hashNamed = Effect.fnUntraced(function*(
  { isLinked = false, path }: Payload,
  algorithm: HashAlgorithm,
  later: ReadonlyArray<HashAlgorithm>
) {
  const files = yield* Files.Files
  const left = yield* ProtectedFiles.ProtectedFiles
  if (isLinked && ProtectedFiles.useOfFile(left, yield* files.stat(path)) !== undefined) return yield* ofDatabase(path)
  const file = yield* openFollowing(files, path, left)
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
const check = Effect.fnUntraced(function*(payload: Payload) {
  const { algorithms, digest, path } = payload
  for (const [index, algorithm] of algorithms.entries()) {
    const hashed = yield* hashNamed(payload, algorithm, algorithms.slice(index + 1))
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
  payload: Payload
): Effect.Effect<Task.Success<typeof CheckFile>, CheckFailed | Interrupted, Files.Files> =>
  Effect.catchTag(
    check(payload),
    "FilesError",
    ({ code, message, path }) => Effect.fail(new CheckFailed({ code, path, why: message }))
  )
