/**
 * `fanout hash`: hashes files and trees, or goes on with what the same command has started before.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import * as ChecksumLine from "@fanout/ops/ChecksumLine"
import * as FilePath from "@fanout/ops/FilePath"
import * as HashAlgorithm from "@fanout/ops/HashAlgorithm"
import type { Line, Sorter } from "@fanout/ops/HashLines"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Arguments from "../Arguments.ts"
import { withJobs } from "../Jobs.ts"
import * as RunJob from "../RunJob.ts"
import * as Settings from "../Settings.ts"
import * as Stop from "../Stop.ts"
import * as events from "../ui/events.ts"
import { print } from "../ui/View.ts"

const config = {
  paths: Param.makeSingle({ kind: Param.argumentKind, name: "PATH", primitiveType: Settings.path }).pipe(
    Argument.withDescription("Files and folders to hash"),
    Argument.variadic({ min: 1 })
  ),
  algorithm: Flag.Literals("algo", HashAlgorithm.HashAlgorithm.literals).pipe(
    Flag.withDescription("Which algorithm (default: blake3)"),
    Flag.withDefault("blake3")
  ),
  tagged: Settings.toggle("tag", "Write lines that name the algorithm, as `sha256sum --tag` does"),
  json: Settings.json,
  quiet: Settings.quiet
}

/** Rows that are read at once. */
const page = 1000

/** Path of a line as it was given on the command line, and below. */
const nameOf = (given: ReadonlyArray<FilePath.FilePath>, { place }: Line): FilePath.FilePath => {
  const top = given[place.source] ?? FilePath.empty
  return place.path === "" ? top : FilePath.join(top, place.path)
}

/** Writes the lines of a job in the order of its walk, as far as they are recorded. */
const makeOutput = (
  id: JobId,
  sorter: Sorter,
  write: (lines: ReadonlyArray<Line>) => Effect.Effect<void>
): Effect.Effect<RunJob.Output, never, JobStore> =>
  Effect.map(JobStore, (store) => {
    let after = 0
    const recorded = Effect.gen(function*() {
      while (true) {
        const rows = yield* store.outcomes(id, { after, limit: page })
        yield* write(sorter.add(rows.map(([, row]) => row)))
        after = rows.at(-1)?.[0] ?? after
        if (rows.length < page) return
      }
    })
    return { write: recorded, end: Effect.andThen(recorded, Effect.suspend(() => write(sorter.rest))) }
  })

/** `fanout hash` */
export const hash = Command.make("hash", config, ({ algorithm, paths, tagged, ...options }) =>
  Effect.gen(function*() {
    const given = paths.map((path) => FilePath.make(path))
    const sources = given.map((path) => FilePath.join(Arguments.workingFolder(), path))
    if (paths.includes("")) return yield* Stop.usage("An empty name is the name of no file.")
    if (!Arr.isArrayNonEmpty(sources)) return
    const { Hash, HashLines, NodeFiles } = yield* Effect.promise(() => import("../Hashing.ts"))
    const style = tagged ? "tagged" : "plain"
    const leaveOut = yield* Settings.databaseFiles
    const show = ({ hashed, row }: Line, name: FilePath.FilePath): Effect.Effect<void> => {
      if (Option.isNone(hashed)) return Effect.void
      const { digest, sizeBytes } = hashed.value
      return options.json
        ? print(events.line("hash", { key: row.key, name: FilePath.toText(name), algorithm, digest, sizeBytes }))
        : Effect.sync(() => void process.stdout.write(ChecksumLine.write({ algorithm, digest, path: name }, style)))
    }
    yield* withJobs({ claim: { ids: [] } })(
      Effect.gen(function*() {
        const manager = yield* JobManager
        const payload = yield* Effect.provide(Hash.plan({ sources, algorithm, leaveOut }), NodeFiles.layer)
        const { id, started } = yield* manager.start(Hash.job, payload)
        if (!started) yield* RunJob.goOn(id, options)
        const output = yield* makeOutput(id, new HashLines.Sorter(), (lines) =>
          Effect.forEach(lines, (line) =>
            show(line, nameOf(given, line)), { discard: true }))
        yield* RunJob.run(id, { ...options, isShared: process.stdout.isTTY }, output)
      })
    )
  })).pipe(
    Command.withDescription(
      "Hash files, and all files in folders. The same command again goes on where it was, and prints all of it."
    ),
    Command.withShortDescription("Hash files, resumably, on all cores"),
    Command.withExamples([
      { command: "fanout hash Photos > photos.b3", description: "Write what `b3sum --check photos.b3` reads" },
      { command: "fanout hash --algo sha256 a.iso b.iso", description: "Use another algorithm" }
    ])
  )
