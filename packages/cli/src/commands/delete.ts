/**
 * `fanout delete`: starts a deletion, or goes on with the one that the same command has started before.
 */
import type * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Arr from "effect/Array"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Stop from "../exit/Stop.ts"
import * as Host from "../host/Host.ts"
import * as Arguments from "../options/Arguments.ts"
import * as Rules from "../options/Rules.ts"
import * as Settings from "../options/Settings.ts"
import * as DryRun from "../output/DryRun.ts"
import { withFilesAt, withJobs } from "../run/JobRuntime.ts"
import * as RunJob from "../run/RunJob.ts"
import * as format from "../ui/format.ts"
import * as Question from "../ui/question.ts"
import { type Options, whileRead } from "../ui/View.ts"

const config = {
  paths: Settings.paths(
    "Files, links and folders to delete, a link itself and not what it leads to; or addresses such as s3://bucket/a",
    "What is to be deleted? `fanout delete PATH...`"
  ),
  trash: Settings.toggle("trash", "Move them to the trash of the desktop instead"),
  crossMounts: Settings.toggle("cross-mounts", "Also delete what is mounted in PATH; without it, that is left"),
  ...Rules.flags,
  yes: Settings.toggle("yes", "Don't ask, however much there is").pipe(Flag.withAlias("y")),
  dryRun: Settings.toggle("dry-run", "Say what would be done, and do nothing"),
  json: Settings.json,
  quiet: Settings.quiet
}

/** On a terminal, it is asked whether more than as many are to be deleted. */
const asksAbove = 100

/** As many are counted for that at most. */
const countsTo = 100_000

const load = Effect.promise(() => import("@fanout/ops/Delete"))

const plan = (request: Delete.Request) =>
  Effect.gen(function*() {
    const { plan } = yield* load
    return yield* withFilesAt(request.paths, plan(request, yield* Settings.databaseFiles)).pipe(
      // As with rm, what is not there is no mistake in how it was asked for.
      Effect.mapError((error) =>
        error.reason._tag === "NothingThere" ? Stop.someFailed(`${error.message}.`) : Stop.refusal(error)
      )
    )
  })

const previewOf = (payload: Delete.Payload) =>
  Stream.unwrap(
    Effect.map(Effect.promise(() => import("@fanout/ops/DeletePreview")), ({ entries }) => entries(payload))
  )

/** Asks, where there is much to delete and somebody to ask. */
const ask = Effect.fnUntraced(function*({ json, yes }: Options & { readonly yes: boolean }, payload: Delete.Payload) {
  if (yes || payload.request.trash) return
  if ((yield* Host.Current) !== undefined) {
    return yield* Stop.usage("Nobody is there to be asked whether all is to be deleted: add --yes, or --trash.")
  }
  if (json || !Question.isPossible()) return
  const going = Stream.filter(previewOf(payload), ({ action }) => action === "Delete")
  const { paths } = payload.request
  const count = yield* withFilesAt(paths, Stream.runCount(Stream.take(going, countsTo + 1)))
  if (count <= asksAbove) return
  const [{ path }, ...others] = payload.roots
  const where = `"${FilePath.display(path)}"${others.length > 0 ? ` and ${format.count(others.length)} more` : ""}`
  const much = count > countsTo ? `More than ${format.count(countsTo)}` : format.count(count)
  const what = paths.every(FilePath.isAddress) ? "objects" : "files and folders"
  if (yield* Question.confirm(`${much} ${what} are in ${where}. Delete them all?`)) return
  return yield* Stop.someFailed("Nothing was deleted.")
})

/** `fanout delete` */
export const remove = Command.make(
  "delete",
  config,
  ({ crossMounts, dryRun, paths, trash, ...options }) =>
    Effect.gen(function*() {
      const rules = yield* Rules.resolve(options)
      if (trash && rules.rules !== undefined) {
        return yield* Stop.usage("With --trash, each PATH is moved as a whole: there is no --exclude.")
      }
      const request = {
        paths: Arr.map(paths, Arguments.absoluteOrAddress),
        trash,
        oneFileSystem: !crossMounts,
        ...rules
      }
      if (dryRun) {
        const told = DryRun.tell(previewOf(yield* plan(request)), DryRun.remove, options)
        return yield* whileRead(withFilesAt(paths, told))
      }
      yield* withJobs({ claim: { ids: [] }, paths: request.paths.filter(FilePath.isAddress) })(Effect.gen(function*() {
        const { job } = yield* load
        // What is to go was settled when it started.
        const same = yield* RunJob.findOpen(job, (own) => Equal.equals(own.request, request))
        if (Option.isSome(same)) {
          yield* RunJob.goOn(same.value.id, options)
          return yield* RunJob.run(same.value.id, options)
        }
        const payload = yield* plan(request)
        yield* ask(options, payload)
        yield* RunJob.run(yield* RunJob.start(job, payload, options), options)
      }))
    })
).pipe(
  Command.withDescription(
    "Delete files, links and folders with all that is in them. On a terminal it asks first where that is much. The " +
      "same command again goes on with an unfinished deletion. Ctrl-C pauses it; a second Ctrl-C stops at once."
  ),
  Command.withShortDescription("Delete files and folders, resumably"),
  Command.withExamples([
    { command: "fanout delete node_modules", description: "Delete a folder and all that is in it" },
    { command: "fanout delete --dry-run build", description: "Tell what would go" },
    { command: "fanout delete s3://bucket/old", description: "Delete an object, or all that are below that address" },
    { command: "fanout delete --trash old.txt", description: "Move it to where it can be taken back from" }
  ])
)
