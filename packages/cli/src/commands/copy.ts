/**
 * `fanout copy`: starts a copy, or goes on with the one that the same command has started before.
 */
import { JobManager } from "@fanout/core/JobManager"
import type { JobRecord } from "@fanout/core/JobStore"
import type * as Copy from "@fanout/ops/Copy"
import type { Entry } from "@fanout/ops/CopyPreview"
import * as FilePath from "@fanout/ops/FilePath"
import * as Arr from "effect/Array"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Arguments from "../Arguments.ts"
import * as ExitCode from "../ExitCode.ts"
import { withJobs } from "../Jobs.ts"
import * as Preserve from "../Preserve.ts"
import * as Rules from "../Rules.ts"
import * as RunJob from "../RunJob.ts"
import * as Settings from "../Settings.ts"
import * as Stop from "../Stop.ts"
import * as dry from "../ui/dryRun.ts"
import * as events from "../ui/events.ts"
import { type Options, print, whileRead } from "../ui/View.ts"

const config = {
  paths: Param.makeSingle({ kind: Param.argumentKind, name: "SRC... DEST", primitiveType: Settings.path }).pipe(
    Argument.withDescription("Files and folders to copy, and where to"),
    Argument.variadic({ min: 1 })
  ),
  noTargetDirectory: Settings.toggle(
    "no-target-directory",
    "Take DEST as the copy's own name, also where it is a folder"
  ).pipe(Flag.withAlias("T")),
  conflict: Flag.Literals("conflict", ["changed", "overwrite", "skip", "rename", "error"]).pipe(
    Flag.withDescription(
      "What to do where there is a file: replace it if size or time differ (the default), always, never, take " +
        "another name, or fail"
    ),
    Flag.withDefault("changed")
  ),
  preserve: Preserve.flag,
  durable: Settings.toggle(
    "durable",
    "Have each copy survive a power cut before it counts as done: flushed, then put in its place"
  ),
  verify: Settings.toggle("verify", "Read each copy back from the device, and compare, before it gets its name"),
  ...Rules.flags,
  concurrency: Settings.concurrency,
  dryRun: Settings.toggle("dry-run", "Say what would be done, and do nothing"),
  json: Settings.json,
  quiet: Settings.quiet
}

/** What the flags were given that say what is copied, and how. */
type Given =
  & Pick<
    Command.Command.Config.Infer<typeof config>,
    "noTargetDirectory" | "conflict" | "durable" | "preserve" | "verify"
  >
  & Rules.Given

/** What is asked for: the paths absolute, as they were given otherwise. */
const requestOf = (
  paths: ReadonlyArray<string>,
  { durable, exclude, excludeFrom, include, preserve, verify, ...options }: Given
): Effect.Effect<Copy.Request, Stop.Stop> =>
  Effect.gen(function*() {
    const given = paths.map((path) => FilePath.join(Arguments.workingFolder(), FilePath.make(path)))
    const sources = given.slice(0, -1)
    const destination = given.at(-1)
    if (paths.includes("")) return yield* Stop.usage("An empty name is the name of no file.")
    if (destination === undefined || !Arr.isArrayNonEmpty(sources)) {
      return yield* Stop.usage(
        `Where is "${paths[0] ?? ""}" to be copied to? \`fanout copy SRC... DEST\``
      )
    }
    const rules = yield* Rules.resolve({ exclude, excludeFrom, include })
    return {
      sources,
      destination,
      ...options,
      // What is as usual is the request that it was before there was anything else.
      ...yield* Preserve.resolve(preserve),
      ...durable ? { durable } : {},
      ...verify ? { verify } : {},
      ...rules.length === 0 ? {} : { rules }
    }
  })

/** Active job that was started for the same request. Where its copy goes is settled; only a new one is planned. */
const findSame = (request: Copy.Request) =>
  Effect.gen(function*() {
    const { Payload, job } = yield* loadCopy
    const manager = yield* JobManager
    const isSame = ({ payload }: JobRecord): boolean =>
      Option.exists(Schema.decodeUnknownOption(Payload)(payload), (own) => Equal.equals(own.request, request))
    const active = yield* manager.list({ states: ["Queued", "Running", "Paused"], names: [job.name], limit: 1000 })
    return active.find(isSame)?.id
  })

const loadCopy = Effect.promise(() => import("@fanout/ops/Copy"))

const nodeFiles = Effect.map(Effect.promise(() => import("@fanout/ops/SystemFiles")), ({ layer }) => layer)

const plan = (request: Copy.Request) =>
  Effect.gen(function*() {
    const { plan } = yield* loadCopy
    return yield* plan(request, yield* Settings.databaseFiles).pipe(
      Effect.provide(yield* nodeFiles),
      Effect.catchTag("DestinationError", ({ message }) => Effect.fail(Stop.usage(`${message}.`)))
    )
  })

const runDry = (request: Copy.Request, { json, quiet }: Options) =>
  Effect.gen(function*() {
    const { entries } = yield* Effect.promise(() => import("@fanout/ops/CopyPreview"))
    const show = (entry: Entry): Effect.Effect<void> => {
      const line = json ? dry.json(entry) : dry.line(entry)
      return quiet || line === "" ? Effect.void : print(line)
    }
    const totals = yield* Stream.runFoldEffect(
      entries(yield* plan(request)),
      () => dry.none,
      (totals, entry) => Effect.as(show(entry), dry.add(totals, entry))
    ).pipe(Effect.provide(yield* nodeFiles))
    if (!quiet) yield* (json ? print(events.line("summary", { dryRun: true, ...totals })) : print(dry.sentence(totals)))
    if (dry.isIncomplete(totals)) return yield* Stop.withCode(ExitCode.someFailed)
  })

/** Starts the job, or goes on with the one that the same command has started before. */
const startOrGoOn = (request: Copy.Request, options: Options) =>
  Effect.gen(function*() {
    const same = yield* findSame(request)
    if (same !== undefined) {
      yield* RunJob.goOn(same, options)
      return same
    }
    const manager = yield* JobManager
    const { job } = yield* loadCopy
    const { id, started } = yield* manager.start(job, yield* plan(request))
    if (!started) yield* RunJob.goOn(id, options)
    return id
  })

/** `fanout copy` */
export const copy = Command.make(
  "copy",
  config,
  ({ concurrency, dryRun, json, paths, quiet, ...given }) =>
    Effect.gen(function*() {
      const options = { json, quiet }
      const request = yield* requestOf(paths, given)
      if (dryRun) return yield* whileRead(runDry(request, options))
      yield* withJobs({ claim: { ids: [] }, concurrency, isDurable: given.durable })(
        Effect.flatMap(startOrGoOn(request, options), (id) => RunJob.run(id, options))
      )
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
    {
      command: "fanout copy --exclude node_modules/ --exclude '*.log' --include keep.log src dst",
      description: "Leave out what patterns of .gitignore match, but for what is included"
    },
    { command: "fanout copy --conflict skip --json src dst", description: "Replace nothing; tell of it in NDJSON" }
  ])
)
