/**
 * Sees whether files have the digests that they are to have.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { CheckFailed } from "../../ChecksumLine.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import * as HashAlgorithms from "../../HashAlgorithm.ts"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import { SkipReason } from "../../SkipReason.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { isLimited } from "../work/readingRate.ts"
import { hashOpen } from "./fileHash.ts"
import { hashEach, type Outcomes } from "./hashBatch.ts"
import { type CheckedFiles, type CheckFiles, named } from "./hashTask.ts"
import * as HugeFileHash from "./hugeFileHash.ts"

type Payload = Task.Payload<typeof CheckFiles>

/** Reference to the file system for what links lead to, which may be anywhere; by default it is that for all. */
export const Elsewhere = Context.Reference<Files.Files["Service"] | undefined>("@fanout/ops/internal/checkFiles", {
  defaultValue: () => undefined
})

const followed = Effect.flatMap(
  Elsewhere,
  (elsewhere) => elsewhere === undefined ? Files.Files : Effect.succeed(elsewhere)
)

const failed = (code: string, path: FilePath.FilePath, why: string) =>
  new CheckFailed({ code, path, why: `"${FilePath.display(path)}" ${why}` })

const ofDatabase = (path: FilePath.FilePath) => failed("Database", path, `is not read: ${SkipReason.Database}`)

/**
 * Opens what a name leads to, unless it belongs to the database. Most lead through no links, so it is tried first
 * whether this one does.
 */
const openFollowing = (
  files: Files.Files["Service"],
  path: FilePath.FilePath,
  { paths }: ProtectedFiles.ProtectedFiles
): Effect.Effect<Files.OpenFile, FilesError | CheckFailed, Files.Files | Scope.Scope> => {
  const follow = Effect.gen(function*() {
    const { open, realPath } = yield* followed
    const real = yield* realPath(path)
    return paths.has(real) ? yield* ofDatabase(path) : yield* open(real)
  })
  // What is called like one of its files may be that, also by a path with dots in it.
  const name = FilePath.name(path)
  for (const one of paths.keys()) if (FilePath.name(one) === name) return follow
  return Effect.catchIf(files.open(path), ({ code }) => code === "ELOOP" || code === "ENOTDIR", () => follow)
}

/** Hashes what a name leads to, unless that was done: a run before this one was at one of those that come later. */
const hashNamed = Effect.fnUntraced(function*(
  path: FilePath.FilePath,
  isLinked: boolean,
  algorithm: HashAlgorithm,
  later: ReadonlyArray<HashAlgorithm>
) {
  const files = yield* Files.Files
  const left = yield* ProtectedFiles.ProtectedFiles
  if (isLinked && ProtectedFiles.useOfFile(left, yield* (yield* followed).stat(path)) !== undefined) {
    return yield* ofDatabase(path)
  }
  const file = yield* openFollowing(files, path, left)
  const stat = yield* file.stat
  if (stat.kind !== "file") return yield* failed("NoFile", path, stat.kind === "folder" ? "is a folder" : "is no file")
  if (later.length > 0 && (yield* HugeFileHash.isAt(stat, later))) return undefined
  const hashed = yield* hashOpen(file, stat, algorithm)
  return hashed ?? (yield* failed("Changed", path, "changed while it was read"))
}, Effect.scoped)

/** Reads a file once for each algorithm that it may be: mostly the first one is right. */
const checkAlone = Effect.fnUntraced(function*(payload: Payload) {
  const { algorithms, digests: [digest = ""], isLinked = false, paths, root } = payload
  const path = named(root, paths[0])
  for (const [index, algorithm] of algorithms.entries()) {
    const hashed = yield* hashNamed(path, isLinked, algorithm, algorithms.slice(index + 1))
    if (hashed?.digest === digest) return [{ algorithm, sizeBytes: hashed.sizeBytes }]
  }
  const by = algorithms.map(HashAlgorithms.tag).join(" or ")
  return yield* failed("Different", path, `has another ${by} digest`)
})

/** Paths by the folders that they are in, as they follow one another. */
const foldersOf = (paths: ReadonlyArray<FilePath.FilePath>): ReadonlyArray<Files.FilesIn> => {
  const folders: Array<{ readonly path: FilePath.FilePath; readonly names: Array<FilePath.FilePath> }> = []
  for (const path of paths) {
    const [folder, name] = [FilePath.parent(path), FilePath.name(path)]
    const last = folders.at(-1)
    if (last?.path === folder) last.names.push(name)
    else folders.push({ path: folder, names: [name] })
  }
  return folders
}

/** Hashes what is small and opened through no link, by one algorithm after the other as long as some have others. */
const checkMany = Effect.fnUntraced(function*({ algorithms, digests, paths, root }: Payload) {
  const checked: Array<CheckedFiles[number]> = paths.map(() => null)
  // At a rate they are read one by one.
  if (yield* isLimited) return checked
  let left = paths.map((path, index) => ({ index, path: named(root, path) }))
  for (const algorithm of algorithms) {
    if (left.length === 0) break
    const hashed: Outcomes = []
    yield* hashEach(foldersOf(left.map(({ path }) => path)), algorithm, hashed)
    left = left.filter(({ index }, at) => {
      const one = hashed[at]
      // What could not be hashed can't be by another one.
      if (one === undefined || !("digest" in one)) return false
      if (one.digest !== digests[index]) return true
      checked[index] = { algorithm, sizeBytes: one.sizeBytes }
      return false
    })
  }
  return checked
})

export const checkFiles = (
  payload: Payload
): Effect.Effect<CheckedFiles, CheckFailed | Interrupted, Files.Files> =>
  payload.paths.length > 1 ? checkMany(payload) : Effect.catchTag(
    checkAlone(payload),
    "FilesError",
    ({ code, message, path }) => Effect.fail(new CheckFailed({ code, path, why: message }))
  )
