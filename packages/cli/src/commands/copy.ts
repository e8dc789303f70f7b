/**
 * `fanout copy`: starts a copy, or goes on with the one that the same command has started before.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import * as FilePath from "@fanout/ops/FilePath"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Arguments from "../Arguments.ts"
import { defaultConcurrency, withJobs } from "../Jobs.ts"
import * as RunJob from "../RunJob.ts"
import * as Settings from "../Settings.ts"
import * as Stop from "../Stop.ts"
import * as format from "../ui/format.ts"
import { complain, type Options } from "../ui/View.ts"

const config = {
  paths: Argument.String("SRC... DEST").pipe(
    Argument.withDescription("Files and folders to copy, and where to"),
    Argument.variadic()
  ),
  noTargetDirectory: Flag.Boolean("no-target-directory").pipe(
    Flag.withAlias("T"),
    Flag.withDescription("Take DEST as the copy's own name, also where it is a folder"),
    Flag.withDefault(false)
  ),
  conflict: Flag.Literals("conflict", ["changed", "overwrite", "skip", "rename", "error"]).pipe(
    Flag.withDescription(
      "What to do where there is a file: replace it if size or time differ, always, never, take another name, or fail"
    ),
    Flag.withDefault("changed")
  ),
  concurrency: Settings.concurrency,
  json: Settings.json,
  quiet: Settings.quiet
}

const example = "`fanout copy SRC... DEST`"

/** Sources and destination among the paths, absolute. */
const roots = (paths: ReadonlyArray<string>, isOneToOne: boolean) =>
  Effect.gen(function*() {
    const destination = paths.at(-1)
    const sources = paths.slice(0, -1)
    if (destination === undefined) return yield* Stop.usage(`What is to be copied, and where to? ${example}`)
    if (sources.length === 0) {
      return yield* Stop.usage(`Where is "${format.printable(destination)}" to be copied to? ${example}`)
    }
    if (paths.includes("")) return yield* Stop.usage("An empty name is the name of no file.")
    if (isOneToOne && sources.length > 1) {
      return yield* Stop.usage(`-T copies one SRC to one DEST, and ${sources.length} SRC were given.`)
    }
    const folder = Arguments.workingFolder()
    const absolute = (path: string) => FilePath.join(folder, FilePath.make(path))
    return { sources: sources.map(absolute), destination: absolute(destination) }
  })

/** `fanout copy` */
export const copy = Command.make(
  "copy",
  config,
  ({ concurrency, conflict, noTargetDirectory, paths, ...options }) =>
    Effect.gen(function*() {
      const { destination, sources } = yield* roots(paths, noTargetDirectory)
      const Copy = yield* Effect.promise(() => import("@fanout/ops/Copy"))
      const request = {
        sources,
        destination,
        noTargetDirectory,
        conflict,
        concurrency: Option.getOrElse(concurrency, () => defaultConcurrency)
      }
      yield* withJobs({ claim: { ids: [] }, concurrency })(Effect.gen(function*() {
        const manager = yield* JobManager
        const payload = yield* Copy.plan(request)
        const { id, started } = yield* manager.start(Copy.job, payload)
        if (!started) yield* goOn(id, options)
        yield* RunJob.run(id, options)
      }))
    })
).pipe(
  Command.withDescription(
    "Copy files and folders. The same command again goes on with an unfinished copy. " +
      "Ctrl-C pauses it; a second Ctrl-C stops at once."
  ),
  Command.withShortDescription("Copy files and folders, resumably"),
  Command.withExamples([
    { command: "fanout copy Photos /mnt/backup", description: "Copy a folder into another (or to that name)" },
    { command: "fanout copy -T Photos /mnt/backup", description: "Make the one like the other" },
    { command: "fanout copy a.txt b.txt notes", description: "Copy files into a folder" },
    { command: "fanout copy --conflict skip --json src dst", description: "Replace nothing; tell of it in NDJSON" }
  ])
)

/** Goes on with the job that the same command has started before. */
const goOn = (id: JobId, { json, quiet }: Options) =>
  Effect.gen(function*() {
    const manager = yield* JobManager
    const { request, state } = yield* manager.get(id)
    if (!json && !quiet) yield* complain(`Going on with job ${id}, which was ${state._tag.toLowerCase()}.`)
    const isPausing = Option.isSome(request) && request.value === "Pause"
    if (state._tag !== "Paused" && !isPausing) return
    // Somebody else may have resumed it in the meantime, which is as good.
    yield* manager.resume(id).pipe(Effect.catchTag("JobManagerError", () => Effect.void))
  })
